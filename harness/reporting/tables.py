"""The tables: scores of a group as rows in points, laid out as text, and written as markdown, LaTeX and CSV."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from harness.records.record import Record
from harness.reporting.groups import (
    Candidate,
    Cell,
    Group,
    eligible_candidates,
)
from harness.reporting.method_names import differing_fields, short_number
from harness.reporting.scores import (
    Column,
    Row,
    Scores,
    best_size_row,
    candidate_entry,
    counted_columns,
    entry_of,
    method_row,
    table_columns,
)
from harness.reporting.table import NOTHING, Table
from harness.tasks.task import Task


def main_table(scores: Scores, notes: list[str], details: list[str]) -> Table:
    header = ["Method", f"Total ({len(scores.counted)})", "Trained", *(c.title for c in scores.columns), "Mean"]
    rows = []
    for row in [scores.majority, *scores.methods]:
        mean = row.mean(scores.counted)
        texts = [row.entries[column.title].text for column in scores.columns]
        rows.append([row.label, *_sizes(row, scores.counted), *texts, NOTHING if mean is None else f"{mean:.1f}"])
    for adapters, full in scores.pairs:
        rows.append(_difference(adapters, full, scores))
    return Table(scores.group.title, header, rows, notes, details=details)


def by_size_table(group: Group, family: str, notes: list[str]) -> Table:
    """Tasks × bottleneck sizes of one method family, with the mean over the tasks and the trained fraction."""
    columns = table_columns(group)
    sizes = {size: method_row(str(size), group.row(key), columns) for size, key in group.sizes()[family].items()}
    best = group.best_size(family)
    rows = []
    for column in columns:
        cell = best.get(column.task.name)
        winner = str(cell.method["bottleneck_size"]) if cell and cell.chosen else NOTHING
        rows.append([column.title, *(row.entries[column.title].text for row in sizes.values()), winner])
    counted = counted_columns(columns, list(sizes.values()))
    means = [row.mean(counted) for row in sizes.values()]
    rows.append(["Mean", *(NOTHING if mean is None else f"{mean:.1f}" for mean in means), ""])
    rows.append(["Trained", *(_sizes(row, counted)[1] for row in sizes.values()), ""])
    label = best_size_row(group, family, columns).label.replace("best size", "by size")
    return Table(f"{label}: {group.title}", ["Task", *map(str, sizes), "Best size"], rows, notes)


def methods_table(group: Group, notes: list[str]) -> Table:
    """What each method costs and gives: mean score, trained parameters, time, memory, megabytes kept for a task."""
    columns = table_columns(group)
    rows_by_key = {key: method_row(label, group.row(key), columns) for key, label in group.labels.items()}
    counted = counted_columns(columns, list(rows_by_key.values()))
    header = ["Method", "Mean", "Trained parameters", "Trained", "Examples/s", "Peak memory, GB", "Kept a task, MB"]
    rows = []
    for key, row in rows_by_key.items():
        records = [record for cell in group.row(key).values() if cell.chosen for record in cell.chosen.completed]
        mean = row.mean(counted)
        texts = [NOTHING] * 5
        if records:
            trained = statistics.fmean(record["parameters"]["trained"] for record in records)
            rates = [record["training"]["examples"] / _own_seconds(record) for record in records]
            peak = max(record["memory"]["peak_bytes"] for record in records)
            texts = [
                f"{trained:,.0f}",
                _sizes(row, counted)[1],
                f"{statistics.fmean(rates):.0f}",
                f"{peak / 1e9:.2f}",
                f"{4 * trained / 1e6:.2f}",
            ]
        rows.append([row.label, NOTHING if mean is None else f"{mean:.1f}", *texts])
    return Table(f"Methods: {group.title}", header, rows, notes)


def _own_seconds(record: Record) -> float:
    """Training time of one run: its share of its stack's."""
    return record["time"]["train_seconds"] / len(record["training"]["stack"])


def _difference(adapters: Row, full: Row, scores: Scores) -> list[str]:
    texts = []
    for column in scores.columns:
        ours, theirs = adapters.entries[column.title].points, full.entries[column.title].points
        texts.append(NOTHING if ours is None or theirs is None else _signed(ours - theirs))
    shared = [
        column
        for column in scores.counted
        if None not in (adapters.entries[column.title].points, full.entries[column.title].points)
    ]
    mean = NOTHING
    if shared:
        mean = _signed(adapters.mean(shared) - full.mean(shared)) + _of(len(shared), scores.counted)
    label = f"{adapters.label} − {full.label[0].lower()}{full.label[1:]}"
    return [label, "", "", *texts, mean]


def _sizes(row: Row, counted: Sequence[Column]) -> list[str]:
    """The total multiple and the mean trained fraction as texts."""
    fractions, multiple = row.fractions(counted), row.multiple(counted)
    if multiple is None:
        return [NOTHING, NOTHING]
    percent = 100 * sum(fractions) / len(fractions)
    return [f"{multiple:.2f}x{_of(len(fractions), counted)}", f"{percent:.3g} %"]


def _of(count: int, counted: Sequence[Column]) -> str:
    """` (7)` where a number covers 7 of more columns."""
    return "" if count == len(counted) else f" ({count})"


def _signed(points: float) -> str:
    return f"{round(points, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0


def chosen_table(group: Group, notes: list[str]) -> Table:
    """Per cell: what was chosen, from how many, and whether the learning rate sits on the edge of its grid."""
    choice = _choice_header(group)
    header = ["Task", "Method", "Chosen rate", "Epochs", *choice, "Score", "Seeds", "Candidates", "Rates tried"]
    header.append("Edge of grid")
    rows = []
    for cell in ordered_cells(group):
        rates = sorted({candidate.learning_rate or 0.0 for candidate in cell.candidates})
        chosen = cell.chosen
        texts = [NOTHING, NOTHING, *[NOTHING] * len(choice), cell.state, "0"]
        if chosen:
            entry = entry_of(cell, _first_column(cell.task))
            texts = [_number(chosen.learning_rate), _number(chosen.epochs), *_choice_texts(group, chosen)]
            texts += [entry.text, str(entry.seeds)]
        tried = " ".join(short_number(rate) for rate in rates)
        rows.append([cell.task.title, group.label_of(cell), *texts, str(len(cell.candidates)), tried, grid_edge(cell)])
    return Table(f"Chosen: {group.title}", header, rows, notes, left=2)


def candidates_table(group: Group, notes: list[str]) -> Table:
    """Every candidate of every cell with its score, its seeds and its run ids."""
    header = ["Task", "Method", "Rate", "Epochs", "Other settings", *_choice_header(group), "Score", "Seeds"]
    header += ["Not completed", "Choice", "Runs"]
    rows = []
    for cell in ordered_cells(group):
        eligible = eligible_candidates(cell.candidates)
        order = sorted(cell.candidates, key=lambda c: (c.learning_rate or 0.0, c.epochs or 0.0, c.key))
        for candidate in order:
            choice = "chosen" if candidate is cell.chosen else "" if candidate in eligible else "fewer seeds"
            counts = {status: candidate.count(status) for status in ("failed", "diverged", "running")}
            rows.append(
                [
                    cell.task.title,
                    group.label_of(cell),
                    _number(candidate.learning_rate),
                    _number(candidate.epochs),
                    other_settings(candidate, cell),
                    *_choice_texts(group, candidate),
                    candidate_entry(candidate, _first_column(cell.task)).text,
                    str(len(candidate.completed)),
                    ", ".join(f"{count} {status}" for status, count in counts.items() if count),
                    choice,
                    " ".join(f"`{record['run_id']}`" for record in candidate.records),
                ]
            )
    return Table(f"All candidates: {group.title}", header, rows, notes, left=2, long_last=True)


def grid_edge(cell: Cell) -> str:
    """Where the chosen learning rate lies among those tried: a best rate on the edge may not be the best one."""
    rates = sorted({candidate.learning_rate or 0.0 for candidate in cell.candidates})
    if cell.chosen is None:
        return NOTHING
    if len(rates) == 1:
        return "one rate"
    return {rates[0]: "lowest", rates[-1]: "highest"}.get(cell.chosen.learning_rate or 0.0, "inside")


def other_settings(candidate: Candidate, cell: Cell) -> str:
    """What else tells the candidates of a cell apart, beside learning rate and epochs."""
    shown = ("train.learning_rate", "train.epochs")
    differing = differing_fields(candidate.settings, [other.settings for other in cell.candidates])
    return ", ".join(text for name, text in differing.items() if name not in shown)


def ordered_cells(group: Group) -> list[Cell]:
    """Cells by task in the paper's order, then by method in row order."""
    keys = [(method, task.name) for task in group.tasks for method in group.labels]
    return [group.cells[key] for key in keys if key in group.cells]


def _choice_header(group: Group) -> list[str]:
    """A column for the score that chose, where it is not the one that is reported."""
    return ["Score that chose"] if group.protocol["name"] == "holdout" else []


def _choice_texts(group: Group, candidate: Candidate) -> list[str]:
    """The text of that column."""
    column = Column("", candidate.task, candidate.chosen_on)
    return [candidate_entry(candidate, column).text for _ in _choice_header(group)]


def _first_column(task: Task) -> Column:
    return Column(task.title, task, task.evaluation_sets[0])


def _number(value: float | None) -> str:
    return NOTHING if value is None else short_number(value)
