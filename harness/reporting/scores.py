"""The scores of a group as rows in points: the data that tables, figures and CSV files are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from harness.records.record import task_of
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.candidates import Candidate, Cell
from harness.reporting.facts import cut_phrase
from harness.reporting.groups import Group
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import MethodVariant
from harness.reporting.runs_table import to_frame
from harness.reporting.table import DAGGER, NOTHING, ONE_SEED, number
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
    fraction: float | None = None  # trained parameters over the encoder's, for this task; none without an encoder

    @property
    def text(self) -> str:
        if self.points is None:
            words = {"missing": NOTHING, "constant": NOTHING, "undefined": UNDEFINED}
            return words.get(self.state, self.state) + DAGGER * self.degenerate
        spread = "" if self.std is None else f" ±{self.std:.1f}"
        return f"{number(self.points)}{spread}{DAGGER * self.degenerate}"

    def among(self, group: Group) -> str:
        """The same with a mark for a single seed, where other scores of the group have several."""
        is_single = self.seeds == 1 and self.points is not None and self.fraction is not None
        return self.text + ONE_SEED * (is_single and group.has_several_seeds)


@dataclass(frozen=True)
class Row:
    """One line of scores by column title. `keeps_copy`: the tasks share one pre-trained model, which counts once."""

    label: str
    entries: dict[str, Entry]
    keeps_copy: bool = True
    cells: dict[str, Cell] = field(default_factory=dict)  # that the scores are of, by task name

    def candidate(self, column: Column) -> Candidate | None:
        """The candidate whose score the row shows; None where it shows none."""
        cell = self.cells.get(column.task.name)
        return cell.chosen if cell and self.points(column) is not None else None

    def points(self, column: Column) -> float | None:
        return self.entries[column.title].points

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
    """The scores of one cell per task, in points."""
    entries = {column.title: entry_of(cells.get(column.task.name), column.evaluation_set) for column in columns}
    return Row(label, entries, not any(cell.method.is_full for cell in cells.values()), cells)


def method_rows(group: Group, columns: Sequence[Column]) -> dict[MethodVariant, Row]:
    """The scores of each method variant, in row order."""
    return {method: method_row(label, group.row(method), columns) for method, label in group.labels.items()}


def group_scores(group: Group) -> Scores:
    """Rows of the main table: majority, full fine-tuning, adapters (best size, then each size), the other methods.

    Where one size is the best on every task, its row is also that of the best size.
    """
    columns = table_columns(group)
    rows = method_rows(group, columns)
    full = next((row for method, row in rows.items() if method.is_full), None)
    adapters: list[Row] = []
    in_front: dict[MethodVariant, Row] = {}  # the row of the best size, by the smallest size
    for family, sizes in group.families.items():
        smallest, *others = sizes.values()
        if not others:
            adapters.append(rows[smallest])
            continue
        best = best_size_row(group, family, columns)
        known = any(cell.chosen for cell in best.cells.values())  # else no size is the best yet
        same = next((method for method in sizes.values() if known and rows[method].cells == best.cells), None)
        if same is None:
            in_front[smallest] = best
        else:
            best = rows[same] = replace(best, label=family_label(family, group.families, str(same.size), "best size"))
        adapters.append(best)
    methods = [one for method, row in rows.items() for one in (in_front.get(method), row) if one]
    counted = counted_columns(columns, methods)
    pairs = [(row, full) for row in adapters if full]
    return Scores(group, columns, counted, _majority_row(group, columns), methods, pairs)


def counted_columns(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns of a mean: not WNLI, and some row has a completed run there."""
    completed = {title for row in rows for title, entry in row.entries.items() if entry.seeds}
    return [column for column in columns if column.task.in_mean and column.title in completed]


def best_size_row(group: Group, family: MethodVariant, columns: Sequence[Column]) -> Row:
    return method_row(family_label(family, group.families, "best size"), group.best_size(family), columns)


def scores_frame(boards: Sequence[Scores], bootstrap: Bootstrap | None = None) -> pd.DataFrame:
    """The main tables as numbers: one line per row, with its group, then points, deviation and seeds of each column.

    With a bootstrap, `<column> low` and `<column> high` bound each score's interval, in points.
    """
    lines = []
    for scores in boards:
        key = scores.group.key
        about = {
            "group": scores.group.title,
            "encoder": key.encoder,
            "source": key.source,
            "is_glue": key.is_glue,
            "cut_files": cut_phrase(scores.group.records) or None,
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
            lines.append(line | (_bounds(scores, row, bootstrap) if bootstrap else {}))
    return to_frame(lines)


def entry_of(cell: Cell | None, evaluation_set: str) -> Entry:
    if cell is None:
        return Entry()
    return candidate_entry(cell.chosen, evaluation_set) if cell.chosen else Entry(state=cell.state)


def candidate_entry(candidate: Candidate, evaluation_set: str) -> Entry:
    if not candidate.completed:
        return Entry()
    score = candidate.score(evaluation_set)
    known = {"seeds": score.seeds, "degenerate": candidate.degenerate, "fraction": candidate.trained_fraction}
    if score.mean is None:
        return Entry(state="undefined", **known)
    return Entry(100 * score.mean, None if score.std is None else 100 * score.std, state="completed", **known)


def _bounds(scores: Scores, row: Row, bootstrap: Bootstrap) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for column in scores.columns:
        candidate = row.candidate(column)
        low, high = (candidate and bootstrap.interval(candidate, column.evaluation_set)) or (None, None)
        values |= {f"{column.title} low": low, f"{column.title} high": high}
    return values


def _majority_row(group: Group, columns: Sequence[Column]) -> Row:
    """The constant prediction of the training majority, from the first run of each task that recorded it."""
    recorded: dict[str, dict[str, dict[str, float | None]]] = {}
    for record in group.records:
        if "majority" in record:
            recorded.setdefault(task_of(record).name, record["majority"])
    entries = {column.title: Entry() for column in columns}
    for column in columns:
        if column.task.name in recorded:
            value = recorded[column.task.name].get(column.evaluation_set, {}).get(column.task.headline)
            known = Entry(state="constant") if value is None else Entry(100 * value, state="completed")
            entries[column.title] = known
    return Row("Majority class", entries)
