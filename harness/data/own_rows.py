"""A task's own rows: labels merged and checked, rows without text or label dropped, splits made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from datasets import Dataset, DatasetDict

from harness.data.columns import features
from harness.data.division import divide
from harness.errors import UserError
from harness.tasks.reading import WHOLE
from harness.tasks.task import Task

SHOWN_LABELS = 5  # values of dropped labels that are counted one by one


@dataclass(frozen=True)
class Table:
    """Rows as they were read, as strings: the text columns, then the label if it was asked for, named 0, 1, ….

    `place(row)` says where a row stands, for messages.
    """

    rows: pd.DataFrame
    name: str
    place: Callable[[int], str]


@dataclass
class OwnRows:
    """The rows of each split with the columns of `harness.data.columns` (labels as words or numbers).

    `labels` are those of the training rows; `dropped` counts rows by reason, `read` those in the files.
    """

    splits: dict[str, pd.DataFrame]
    labels: tuple[str, ...]
    read: dict[str, int]
    dropped: dict[str, int] = field(default_factory=dict)

    def summary(self, texts: tuple[str, ...]) -> dict[str, Any]:
        """What a record says about how the rows were read."""
        every = pd.concat(self.splits.values())
        labels = every.groupby(list(texts), sort=False)["label"].nunique()
        train = pd.MultiIndex.from_frame(self.splits["train"][list(texts)])
        others = {name: rows for name, rows in self.splits.items() if name != "train"}
        return {
            "read": self.read,
            "dropped": self.dropped,
            "duplicates": {
                "repeated": int(every.duplicated(list(texts)).sum()),
                "with_several_labels": int((labels > 1).sum()),
                "also_in_train": {
                    name: int(pd.MultiIndex.from_frame(rows[list(texts)]).isin(train).sum())
                    for name, rows in others.items()
                },
            },
        }


def own_rows(tables: Mapping[str, Table], task: Task) -> OwnRows:
    """The rows of a task from its tables, which are by split, or one `WHOLE`.

    Raises `UserError` for labels and splits that no run could use.
    """
    read = {name: len(table.rows) for name, table in tables.items()}
    dropped: dict[str, int] = {}
    splits = {}
    labelled = {name: table for name, table in tables.items() if name == WHOLE or name in task.labelled_splits}
    for name, table in labelled.items():
        splits[name] = _parsed(_complete(table, task, dropped), table, task)
    base = WHOLE if WHOLE in splits else "train"
    labels = ()
    if task.kind.name == "classification":
        labels = _with_known_labels(splits, labelled, base, task, dropped)
    division = task.reading.division
    if division.validation or division.test:
        splits |= divide(splits.pop(base), division, texts=task.columns)
    for name in tables.keys() - labelled.keys():
        texts = tables[name].rows.fillna("").set_axis(list(task.columns), axis=1)
        splits[name] = texts.assign(label=pd.NA)
    return OwnRows({name: splits[name] for name in task.splits if name in splits}, labels, read, dropped)


def to_datasets(own: OwnRows, task: Task) -> DatasetDict:
    """The splits as data sets. The gold labels of test sets are hidden, whether the file has them or not."""
    ids = {label: number for number, label in enumerate(task.kind.labels)}
    found = {}
    for name, rows in own.splits.items():
        if name in task.test_sets:
            gold = [task.kind.unlabelled] * len(rows)
        else:
            gold = rows["label"].map(ids) if ids else rows["label"]
        columns = {column: rows[column].to_numpy(object) for column in task.columns}
        columns |= {"label": list(gold), "idx": range(len(rows))}
        found[name] = Dataset.from_dict(columns, features=features(task))
    return DatasetDict(found)


def _complete(table: Table, task: Task, dropped: dict[str, int]) -> pd.DataFrame:
    """The rows that have texts and a label."""
    rows = table.rows.set_axis([*task.columns, "label"], axis=1)
    texts = rows[list(task.columns)]
    has_text = ~(texts.isna() | texts.apply(lambda column: column.str.strip() == "")).any(axis=1)
    has_label = rows["label"].notna() & (rows["label"].str.strip() != "")
    for column in task.columns:
        if rows[column].isna().all():
            name = task.text[task.columns.index(column)]
            raise UserError(f"{table.name}: no row has a text; the column {name!r} is empty in all {len(rows):,} rows")
    if not has_label.any():
        raise UserError(f"{table.name}: no row has a label; {task.reading.label!r} is empty in all {len(rows):,} rows")
    _count(dropped, "no text", int((~has_text).sum()))
    _count(dropped, "no label", int((has_text & ~has_label).sum()))
    return rows[has_text & has_label]


def _parsed(rows: pd.DataFrame, table: Table, task: Task) -> pd.DataFrame:
    """The rows with labels as numbers, or as the words that their spellings stand for."""
    raw = rows["label"].str.strip()
    if task.kind.name == "classification":
        spellings = dict(task.reading.spellings)
        return rows.assign(label=raw.map(lambda value: spellings.get(value, value)).astype(object))
    values = pd.to_numeric(raw, errors="coerce").astype(float)
    if (wrong := values.isna() | values.abs().eq(float("inf"))).any():
        row = int(rows.index[wrong][0])
        raise UserError(f"{table.place(row)}: the label {raw[row]!r} is not a number, and the task is a regression")
    return rows.assign(label=values)


def _with_known_labels(
    splits: dict[str, pd.DataFrame], tables: Mapping[str, Table], base: str, task: Task, dropped: dict[str, int]
) -> tuple[str, ...]:
    """Drop rows of rare and unknown labels from `splits`, in place; the labels of the task."""
    counts = splits[base]["label"].value_counts()
    rare = set(counts.index[counts < task.reading.min_label_rows])
    labels = task.kind.labels or tuple(sorted(set(counts.index) - rare, key=_natural))
    if len(labels) < 2:
        raise UserError(
            f"{tables[base].name}: the column {task.reading.label!r} has one label only ({', '.join(labels)}); a "
            "classification needs two"
        )
    for label in labels:
        if label not in counts.index:
            found = ", ".join(map(str, counts.index[:SHOWN_LABELS]))
            raise UserError(
                f"{tables[base].name}: label {label!r} has no training row (values there: {found}); leave it out of "
                "task.labels"
            )
    for name, rows in splits.items():
        is_rare, is_known = rows["label"].isin(rare), rows["label"].isin(labels)
        _count(dropped, "rare label", int(is_rare.sum()))
        others = rows["label"][~is_rare & ~is_known].value_counts()
        if len(others) and task.reading.unknown_labels == "error":
            known = ", ".join(labels[:SHOWN_LABELS]) + (", …" if len(labels) > SHOWN_LABELS else "")
            raise UserError(
                f"{tables[name].name}: label {others.index[0]!r} ({others.iloc[0]:,} rows) is not one of the task's "
                f"labels ({known}); name it in task.labels if training rows have it, or set task.unknown_labels=drop"
            )
        for value, count in others[:SHOWN_LABELS].items():
            _count(dropped, f"label {value!r}", int(count))
        _count(dropped, "other labels", int(others[SHOWN_LABELS:].sum()))
        splits[name] = rows[is_known & ~is_rare]
        if splits[name].empty:
            raise UserError(f"{tables[name].name}: no row has one of the task's labels ({', '.join(labels)})")
    return labels


def _natural(label: str) -> tuple[bool, float, str]:
    """Numbers by size, before words in alphabetical order."""
    is_number = label.isascii() and label.isdigit()
    return not is_number, float(label) if is_number else 0.0, label


def _count(dropped: dict[str, int], reason: str, rows: int) -> None:
    if rows:
        dropped[reason] = dropped.get(reason, 0) + rows
