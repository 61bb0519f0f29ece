"""The scores of a group as rows in points: data that tables, figures and CSV files are made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.records.record import task_of
from harness.reporting.groups import Candidate, Cell, Group, to_frame
from harness.reporting.method_names import differing_fields, method_title
from harness.reporting.table import DAGGER, NOTHING
from harness.tasks.task import Task

UNDEFINED = "undef."


@dataclass(frozen=True)
class Column:
    """One evaluation set of one task; MNLI has two."""

    title: str
    task: Task
    evaluation_set: str


@dataclass(frozen=True)
class Entry:
    """One score in points (0 to 100), or the reason why there is none.

    `state` is a run status, `missing`, `undefined` (a correlation that does not exist), or `constant`: the undefined
    correlation of the majority baseline, which counts as 0.
    """

    points: float | None = None
    std: float | None = None
    seeds: int = 0
    state: str = "missing"
    degenerate: bool = False
    fraction: float | None = None  # trained parameters over the encoder's, for this task

    @property
    def text(self) -> str:
        if self.points is None:
            words = {"missing": NOTHING, "constant": NOTHING, "undefined": UNDEFINED}
            return words.get(self.state, self.state) + DAGGER * self.degenerate
        spread = "" if self.std is None else f" ±{self.std:.1f}"
        return f"{self.points:.1f}{spread}{DAGGER * self.degenerate}"


@dataclass(frozen=True)
class Row:
    """One line of scores by column title. `keeps_copy`: the tasks share one pre-trained model, which counts once."""

    label: str
    entries: dict[str, Entry]
    keeps_copy: bool = True
    candidates: dict[str, Candidate] = field(default_factory=dict)  # that the scores are of, by column title

    def fractions(self, columns: Sequence[Column]) -> list[float]:
        found = [self.entries[column.title].fraction for column in columns]
        return [fraction for fraction in found if fraction is not None]

    def multiple(self, columns: Sequence[Column]) -> float | None:
        """Parameters of all the row's tasks together, in encoders: 1 + Σ fractions (paper: 1.3x, and 9x for full)."""
        fractions = self.fractions(columns)
        return self.keeps_copy + sum(fractions) if fractions else None

    def mean(self, columns: Sequence[Column]) -> float | None:
        """Mean over `columns`; None unless the row has a score in each of them."""
        entries = [self.entries[column.title] for column in columns]
        points = [0.0 if entry.state == "constant" else entry.points for entry in entries]
        return sum(points) / len(points) if points and None not in points else None


@dataclass(frozen=True)
class Scores:
    """The scores of a group; `counted` are the columns of the mean."""

    group: Group
    columns: list[Column]
    counted: list[Column]
    majority: Row
    methods: list[Row]
    pairs: list[tuple[Row, Row]]  # (adapters, full fine-tuning), for the rows of differences


def table_columns(group: Group) -> list[Column]:
    return [Column(task.column_title(name), task, name) for task in group.tasks for name in task.evaluation_sets]


def method_row(label: str, cells: dict[str, Cell], columns: Sequence[Column]) -> Row:
    """The scores of one cell a task, in points."""
    entries = {column.title: entry_of(cells.get(column.task.name), column) for column in columns}
    chosen = {name: cell.chosen for name, cell in cells.items() if cell.chosen}
    candidates = {column.title: chosen[column.task.name] for column in columns if column.task.name in chosen}
    keeps_copy = not any(cell.method["name"] == "full" for cell in cells.values())
    return Row(label, entries, keeps_copy, candidates)


def group_scores(group: Group) -> Scores:
    """Rows of the main table: majority, full fine-tuning, adapters (best size, then each size), the other methods."""
    columns = table_columns(group)
    by_key = {key: method_row(label, group.row(key), columns) for key, label in group.labels.items()}
    full = next((by_key[key] for key in by_key if json.loads(key)["name"] == "full"), None)
    families = group.sizes()
    best = {family: best_size_row(group, family, columns) for family, sizes in families.items() if len(sizes) > 1}
    first_of = {next(iter(sizes.values())): family for family, sizes in families.items()}
    methods: list[Row] = []
    for key, row in by_key.items():
        if (family := first_of.get(key)) in best:
            methods.append(best[family])
        methods.append(row)
    adapters = [best.get(family) or by_key[next(iter(sizes.values()))] for family, sizes in families.items()]
    counted = counted_columns(columns, methods)
    pairs = [(row, full) for row in adapters if full]
    return Scores(group, columns, counted, _majority_row(group, columns), methods, pairs)


def counted_columns(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns of a mean: not WNLI, and some row has a completed run there."""
    completed = {title for row in rows for title, entry in row.entries.items() if entry.fraction is not None}
    return [column for column in columns if column.task.in_mean and column.title in completed]


def best_size_row(group: Group, family: str, columns: Sequence[Column]) -> Row:
    method = json.loads(family)
    families = [other for name in group.sizes() if (other := json.loads(name))["name"] == method["name"]]
    parts = ["best size", *differing_fields(method, families).values()]
    return method_row(f"{method_title(method['name'])} ({', '.join(parts)})", group.best_size(family), columns)


def scores_frame(
    boards: Sequence[Scores], more: Callable[[Scores, Row], dict[str, Any]] = lambda scores, row: {}
) -> pd.DataFrame:
    """The main tables as numbers: one line a row, its group spelled out, points, deviations and seeds a column.

    `more` gives further columns of a row.
    """
    lines = []
    for scores in boards:
        key = scores.group.key
        about = {
            "group": scores.group.title,
            "encoder": key.encoder,
            "source": key.source,
            "is_glue": key.is_glue,
            "max_train_rows": key.max_train_rows,
            "max_eval_rows": key.max_eval_rows,
            "protocol": key.protocol,
            "data_version": key.data_version,
        }
        for row in [scores.majority, *scores.methods]:
            fractions = row.fractions(scores.counted)
            line: dict[str, Any] = about | {
                "row": row.label,
                "total_multiple": row.multiple(scores.counted),
                "tasks": len(fractions),
                "trained_percent": 100 * sum(fractions) / len(fractions) if fractions else None,
                "Mean": row.mean(scores.counted),
            }
            for title, entry in row.entries.items():
                line |= {title: entry.points, f"{title} std": entry.std, f"{title} seeds": entry.seeds}
                line |= {f"{title} state": entry.state, f"{title} degenerate": entry.degenerate}
            lines.append(line | more(scores, row))
    return to_frame(lines)


def entry_of(cell: Cell | None, column: Column) -> Entry:
    if cell is None:
        return Entry()
    return candidate_entry(cell.chosen, column) if cell.chosen else Entry(state=cell.state)


def candidate_entry(candidate: Candidate, column: Column) -> Entry:
    if not candidate.completed:
        return Entry()
    score = candidate.score(column.evaluation_set)
    known = {"seeds": score.seeds, "degenerate": candidate.degenerate, "fraction": candidate.trained_fraction}
    if score.mean is None:
        return Entry(state="undefined", **known)
    return Entry(100 * score.mean, None if score.std is None else 100 * score.std, state="completed", **known)


def _majority_row(group: Group, columns: Sequence[Column]) -> Row:
    """The constant prediction of the training majority, from the first run of each task that noted it."""
    noted = {task_of(record).name: record["majority"] for record in group.records if "majority" in record}
    entries = {}
    for column in columns:
        entries[column.title] = Entry()
        if column.task.name in noted:
            value = noted[column.task.name].get(column.evaluation_set, {}).get(column.task.headline)
            known = Entry(state="constant") if value is None else Entry(100 * value, state="completed")
            entries[column.title] = known
    return Row("Majority class", entries)
