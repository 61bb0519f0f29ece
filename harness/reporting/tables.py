"""The tables of a group with their footnotes: main, by size, methods, what was chosen, all candidates."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from harness.records.record import Record
from harness.reporting.candidates import Candidate, Cell, eligible_candidates
from harness.reporting.facts import own_peak
from harness.reporting.footnotes import edge_note, mark_notes, table_notes
from harness.reporting.groups import Group
from harness.reporting.method_names import differing_names, family_label, named_fields, short_number
from harness.reporting.method_variant import MethodVariant
from harness.reporting.published import MEAN_BY_SIZE_NOTE
from harness.reporting.scores import (
    Column,
    Row,
    Scores,
    candidate_entry,
    counted_columns,
    entry_of,
    method_row,
    method_rows,
    table_columns,
)
from harness.reporting.table import NOTHING, Table, number
from harness.tasks.protocols import SELECT_APART


def main_table(scores: Scores, missing: Sequence[str] = ()) -> Table:
    """Methods × tasks, with the mean and the differences to full fine-tuning.

    `missing` are ids of runs that were planned and have no record.
    """
    group, columns = scores.group, scores.columns
    header = ["Method", f"Total ({len(scores.counted)})", "Trained", *(c.title for c in columns), "Mean"]
    rows = []
    for row in [scores.majority, *scores.methods]:
        texts = [row.entries[column.title].among(group) for column in columns]
        rows.append([row.label, *_sizes(row, scores.counted), *texts, _mean(row, scores.counted)])
    best: set[tuple[int, int]] = set()
    for place, values in enumerate([*([r.points(c) for r in scores.methods] for c in columns), _means(scores)], 3):
        best |= {(line, place) for line in best_of(values, offset=1)}
    for adapters, full in scores.pairs:
        rows.append(_difference(adapters, full, scores))
    notes = table_notes(group, rows, missing)
    return Table(group.title, header, rows, notes, best=frozenset(best), foot=len(scores.pairs))


def best_of(values: Sequence[float | None], *, offset: int = 0) -> list[int]:
    """The places of the highest values as they are printed, counted from `offset`; none where there is one value."""
    shown = [None if value is None else round(value, 1) for value in values]
    known = [value for value in shown if value is not None]
    return [place for place, value in enumerate(shown, offset) if len(known) > 1 and value == max(known)]


def by_size_table(group: Group, family: MethodVariant) -> Table:
    """Tasks × bottleneck sizes of one method family, with the mean over the tasks and the trained fraction."""
    columns = table_columns(group)
    sizes = {size: method_row(str(size), group.row(method), columns) for size, method in group.families[family].items()}
    best = group.best_size(family)
    rows, bold = [], set()
    for column in columns:
        cell = best.get(column.task.name)
        winner = str(cell.method.size) if cell and cell.chosen else NOTHING
        bold |= {(len(rows), place) for place in best_of([row.points(column) for row in sizes.values()], offset=1)}
        rows.append([column.title, *(row.entries[column.title].among(group) for row in sizes.values()), winner])
    counted = counted_columns(columns, list(sizes.values()))
    rows.append(["Mean", *(_mean(row, counted) for row in sizes.values()), ""])
    rows.append(["Trained", *(_sizes(row, counted)[1] for row in sizes.values()), ""])
    title = f"{family_label(family, group.families, 'by size')}: {group.title}"
    header = ["Task", *map(str, sizes), "Best size"]
    bold |= {(len(columns), place) for place in best_of([row.mean(counted) for row in sizes.values()], offset=1)}
    notes = [*table_notes(group, rows), MEAN_BY_SIZE_NOTE]
    return Table(title, header, rows, notes, best=frozenset(bold), foot=2)


def methods_table(group: Group) -> Table:
    """What each method costs and gives: mean score, trained parameters, speed, memory, megabytes stored per task."""
    columns = table_columns(group)
    scored = method_rows(group, columns)
    counted = counted_columns(columns, list(scored.values()))
    rows = []
    for method, row in scored.items():
        records = [record for cell in group.row(method).values() if cell.chosen for record in cell.chosen.completed]
        texts = [NOTHING] * 5
        if records:
            trained = statistics.fmean(record["parameters"]["trained"] for record in records)
            rates = [record["training"]["examples"] / _own_seconds(record) for record in records]
            texts = [f"{trained:,.0f}", _sizes(row, counted)[1], f"{statistics.fmean(rates):.0f}"]
            texts += [_peak_memory(records), f"{4 * trained / 1e6:.2f}"]
        rows.append([row.label, _mean(row, counted), *texts])
    header = ["Method", "Mean", "Trained parameters", "Trained", "Examples/s", "Peak memory (GB)"]
    header.append("Stored per task (MB)")
    best = {(line, 1) for line in best_of([row.mean(counted) for row in scored.values()])}
    memory = "Peak memory: of runs that trained alone; that of a stack is not its method's."
    notes = [*table_notes(group, rows), memory]
    return Table(f"Methods: {group.title}", header, rows, notes, best=frozenset(best))


def chosen_table(group: Group) -> Table:
    """Per cell: what was chosen, from how many, and whether the learning rate sits on the edge of its grid."""
    selection = _selection_header(group)
    header = ["Task", "Method", "Chosen rate", "Epochs", *selection, "Score", "Seeds", "Candidates", "Rates tried"]
    header.append("Edge of grid")
    rows = []
    for cell in group.ordered_cells:
        chosen = cell.chosen
        texts = [NOTHING, NOTHING, *[NOTHING] * len(selection), cell.state, "0"]
        if chosen:
            entry = entry_of(cell, cell.task.evaluation_sets[0])
            texts = [_setting(chosen.learning_rate), _setting(chosen.epochs), *_selection_texts(group, chosen)]
            texts += [entry.text, str(entry.seeds)]
        tried = " ".join(map(short_number, cell.rates))
        texts += [str(len(cell.candidates)), tried, cell.grid_edge or NOTHING]
        rows.append([cell.task.title, group.label_of(cell), *texts])
    return Table(f"Chosen: {group.title}", header, rows, [edge_note(group), *table_notes(group, rows)], left=2)


def candidates_table(group: Group) -> Table:
    """Every candidate of every cell with its score, its seeds and its run ids."""
    header = ["Task", "Method", "Rate", "Epochs", "Other settings", *_selection_header(group), "Score", "Seeds"]
    header += ["Not completed", "Choice", "Runs"]

    def order(candidate: Candidate) -> tuple[Any, ...]:
        return candidate.learning_rate or 0.0, candidate.epochs or 0.0, candidate.key

    rows = []
    for cell in group.ordered_cells:
        differing = differing_names([candidate.settings for candidate in cell.candidates])
        for candidate in sorted(cell.candidates, key=order):
            counts = {status: candidate.count(status) for status in ("failed", "diverged", "running")}
            rows.append(
                [
                    cell.task.title,
                    group.label_of(cell),
                    _setting(candidate.learning_rate),
                    _setting(candidate.epochs),
                    _other_settings(candidate, differing),
                    *_selection_texts(group, candidate),
                    candidate_entry(candidate, cell.task.evaluation_sets[0]).text,
                    str(len(candidate.completed)),
                    ", ".join(f"{count} {status}" for status, count in counts.items() if count),
                    _choice(candidate, cell),
                    " ".join(f"`{record['run_id']}`" for record in candidate.records),
                ]
            )
    notes = mark_notes(rows)
    return Table(f"All candidates: {group.title}", header, rows, notes, left=2, long_last=True)


def _other_settings(candidate: Candidate, differing: Sequence[str]) -> str:
    """What tells the candidates of a cell apart besides learning rate and epochs."""
    shown = ("train.learning_rate", "train.epochs")
    return ", ".join(named_fields(candidate.settings, [name for name in differing if name not in shown]).values())


def _means(scores: Scores) -> list[float | None]:
    return [row.mean(scores.counted) for row in scores.methods]


def _mean(row: Row, counted: Sequence[Column]) -> str:
    mean = row.mean(counted)
    return NOTHING if mean is None else number(mean)


def _sizes(row: Row, counted: Sequence[Column]) -> list[str]:
    """The total multiple and the mean trained fraction as texts."""
    fractions, multiple = row.fractions(counted), row.multiple(counted)
    if multiple is None:
        return [NOTHING, NOTHING]
    percent = 100 * sum(fractions) / len(fractions)
    return [f"{multiple:.2f}x{_of(len(fractions), counted)}", f"{percent:.3g} %"]


def _difference(adapters: Row, full: Row, scores: Scores) -> list[str]:
    def both(column: Column) -> bool:
        return None not in (adapters.points(column), full.points(column))

    texts = [
        number(adapters.points(column) - full.points(column), "+.1f") if both(column) else NOTHING
        for column in scores.columns
    ]
    shared = [column for column in scores.counted if both(column)]
    mean = NOTHING
    if shared:
        mean = number(adapters.mean(shared) - full.mean(shared), "+.1f") + _of(len(shared), scores.counted)
    label = f"{adapters.label} − {full.label[0].lower()}{full.label[1:]}"
    return [label, "", "", *texts, mean]


def _of(count: int, counted: Sequence[Column]) -> str:
    """` (7)` where a number covers 7 of more columns."""
    return "" if count == len(counted) else f" ({count})"


def _own_seconds(record: Record) -> float:
    """Training time of one run: its share of its stack's."""
    return record["time"]["train_seconds"] / len(record["training"]["stack"])


def _peak_memory(records: Sequence[Record]) -> str:
    """The largest peak in gigabytes, of the runs that have one of their own."""
    peaks = [peak for record in records if (peak := own_peak(record)) is not None]
    return f"{max(peaks) / 1e9:.2f}" if peaks else NOTHING


def _choice(candidate: Candidate, cell: Cell) -> str:
    if candidate is cell.chosen:
        return "chosen"
    return "" if candidate in eligible_candidates(cell.candidates) else "fewer seeds"


def _selection_header(group: Group) -> list[str]:
    """A column for the score on the selection split, where that is not the reported split."""
    return ["Selection score"] if group.protocol["name"] in SELECT_APART else []


def _selection_texts(group: Group, candidate: Candidate) -> list[str]:
    """The text of that column."""
    return [candidate_entry(candidate, candidate.chosen_on).text for _ in _selection_header(group)]


def _setting(value: float | None) -> str:
    return NOTHING if value is None else short_number(value)
