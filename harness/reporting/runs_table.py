"""One row per run of any status, with every key of its record: `runs.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from harness.records.choice import choice_score
from harness.records.record import Record, canonical, flatten, task_of
from harness.reporting.groups import Group
from harness.reporting.method_variant import SIZE, MethodVariant

# Columns that have a name of their own; every other one is the dotted name of its record key.
SHORT_NAMES = {
    "config.task.name": "task",
    "config.method.name": "method",
    f"config.method.{SIZE}": SIZE,
    "config.train.learning_rate": "learning_rate",
    "config.train.epochs": "epochs",
    "config.train.seed": "seed",
    "parameters.trained": "trained",
    "parameters.trained_fraction": "trained_fraction",
}
LEFT_OUT = {  # not one value per run
    "training": ("history", "losses", "stack"),
    "grid": ("tried",),
    "parameters": ("groups",),
}
FIRST = ("run_id", "status", "degenerate", "group", "label", *SHORT_NAMES, "headline", "score", "choice_score")


def runs_csv(groups: Iterable[Group]) -> str:
    """One row per run of any status, flat columns: what it is, its score, then every key of its record. A run without
    an encoder has one in each group.

    `score` is the headline metric on the task's first evaluation set in the metric's own range, `choice_score` that
    on the selection split; `group` and `label` are the section and the row that the run belongs to.
    """
    rows, columns = [], dict.fromkeys(FIRST)
    for group in groups:
        for record in group.records:
            task = task_of(record)
            row = flatten(_without_lists(record))
            for name, value in row.items():
                if type(value) is list:
                    row[name] = canonical(value)
            row["group"] = group.title
            row["label"] = group.labels[MethodVariant.of(record["config"]["method"])]
            row["headline"] = task.headline
            row["score"] = row.get(f"scores.{task.evaluation_sets[0]}.{task.headline}")
            row["choice_score"] = choice_score(record)
            columns |= dict.fromkeys(row)
            rows.append(row)
    # A frame of ten thousand rows and two hundred columns would take a second longer, a DictWriter half a second.
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SHORT_NAMES.get(name, name) for name in columns)
    writer.writerows([row.get(name) for name in columns] for row in rows)
    return text.getvalue()


def _without_lists(record: Record) -> dict[str, Any]:
    """The record without the keys that have more than one value per run."""
    kept = dict(record)
    for section, names in LEFT_OUT.items():
        if section in kept:
            kept[section] = {name: value for name, value in kept[section].items() if name not in names}
    return kept


def to_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame in which whole numbers stay whole next to missing ones (`64`, not `64.0`, in a CSV)."""
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    whole = [name for name, values in columns.items() if {int} == {type(v) for v in values if v is not None}]
    return pd.DataFrame(columns).astype(dict.fromkeys(whole, "Int64"))
