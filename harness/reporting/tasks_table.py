"""Tasks as rows, methods as columns, each at its best size: the layout of the paper's table 2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from harness.reporting import published_tasks
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.candidates import Cell
from harness.reporting.figure_style import encoder_title
from harness.reporting.footnotes import table_notes
from harness.reporting.groups import Group
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import MethodVariant
from harness.reporting.published_tasks import TASK_SCORES, TOTALS, PublishedScore
from harness.reporting.runs_table import to_frame
from harness.reporting.scores import Column, Row, Scores, method_row
from harness.reporting.table import NOTHING, Table, number
from harness.reporting.tables import best_of
from harness.tasks.glue import OFFICIAL_ROWS
from harness.tasks.squad import NAME as SQUAD

_BEST = {"adapter": "best size", "top_layers": "best n"}


@dataclass(frozen=True)
class _Method:
    """One column: a method, at its best size or number of layers for each task."""

    name: str
    row: Row

    def scale_of(self, column: Column) -> float | None:
        """The size or number of layers behind a score; None for a method that has none."""
        cell: Cell | None = self.row.cells.get(column.task.name)
        return cell.method.scale or None if cell and cell.chosen else None


def is_beyond_glue(group: Group) -> bool:
    """Whether a group has a task that is neither one of GLUE's nor SQuAD, which has a column beside theirs."""
    return any(task.name not in (*OFFICIAL_ROWS, SQUAD) for task in group.tasks)


def tasks_table(scores: Scores, missing: Sequence[str] = (), *, with_paper: bool = False) -> Table:
    """Majority and every method by task, the average over the tasks that all have, and what the methods train.

    The paper's figures stand next to them if the encoder is BERT-base, or `with_paper`, where it has any of these
    tasks. `missing` are ids of runs that were planned and have no record.
    """
    methods, group = _methods(scores), scores.group
    rows = [scores.majority, *(method.row for method in methods)]
    shared = [column for column in scores.counted if all(row.mean([column]) is not None for row in rows)]
    paper = _paper_methods(scores, with_paper=with_paper)
    lines = [[column.title, *(row.entries[column.title].among(group) for row in rows)] for column in scores.columns]
    means = [row.mean(shared) for row in rows]
    lines.append([f"Average ({len(shared)})", *(NOTHING if mean is None else number(mean) for mean in means)])
    lines.append(["Total parameters", *(_multiple(row, scores.counted) for row in rows)])
    lines.append(["Trained per task", *(_share(row, scores.counted) for row in rows)])
    published = [[_paper_text(column, name) for name in paper] for column in scores.columns]
    published.append([_paper_average(shared, name) for name in paper])
    totals = [TOTALS.get(name) for name in paper]
    published.append([f"{total[0]:g}x" if total else NOTHING for total in totals])
    published.append([f"{total[1]:g} %" if total else NOTHING for total in totals])
    header = ["Task", "Majority", *(method.row.label for method in methods)]
    header += [f"Paper: {published_tasks.METHODS[name]}" for name in paper]
    lines = [[*line, *theirs] for line, theirs in zip(lines, published, strict=True)]
    notes = [*table_notes(group, lines, missing), _average_note(scores, shared, paper)]
    values = [[method.row.points(column) for method in methods] for column in scores.columns] + [means[1:]]
    best = {(line, place) for line, found in enumerate(values) for place in best_of(found, offset=2)}
    notes += [published_tasks.NOTE] if paper else []
    return Table(group.title, header, lines, notes, best=frozenset(best), foot=3)


def tasks_frame(boards: Sequence[Scores], bootstrap: Bootstrap) -> pd.DataFrame:
    """The tables as numbers, one line per task and method: points, deviation, seeds, interval, best size, trained
    share, and the paper's score.
    """
    lines = []
    for scores in boards:
        for column in scores.columns:
            for method in [_Method("majority", scores.majority), *_methods(scores)]:
                entry, candidate = method.row.entries[column.title], method.row.candidate(column)
                low, high = (candidate and bootstrap.interval(candidate, column.evaluation_set)) or (None, None)
                lines.append(
                    {
                        "group": scores.group.title,
                        "task": column.task.name,
                        "evaluation_set": column.evaluation_set,
                        "metric": column.task.headline,
                        "method": method.row.label,
                        "score": entry.points,
                        "std": entry.std,
                        "seeds": entry.seeds or None,
                        "low": low,
                        "high": high,
                        "state": entry.state,
                        "best_size": method.scale_of(column),
                        "trained_percent": None if entry.fraction is None else 100 * entry.fraction,
                        "paper": published.points if (published := _published(column, method.name)) else None,
                    }
                )
    return to_frame(lines)


def tasks_rows(scores: Scores) -> list[Row]:
    """The scores in the columns of that table."""
    return [method.row for method in _methods(scores)]


def _methods(scores: Scores) -> list[_Method]:
    """The columns: one per method, its sizes or numbers of layers taken together."""
    group = scores.group
    families: dict[MethodVariant, list[MethodVariant]] = {}
    for variant in group.labels:
        families.setdefault(variant.without(variant.scale_field), []).append(variant)
    methods = []
    for family, members in families.items():
        label = group.labels[members[0]]
        if len(members) > 1:
            label = family_label(family, families, _BEST.get(family.name, "best"))
        methods.append(_Method(family.name, method_row(label, group.best_of(members), scores.columns)))
    return methods


def _paper_methods(scores: Scores, *, with_paper: bool) -> list[str]:
    """The methods whose published scores are shown."""
    is_same_encoder = re.search(published_tasks.ENCODERS, encoder_title(scores.group).lower()) is not None
    is_known = any(column.task.name in TASK_SCORES for column in scores.columns)
    return list(published_tasks.METHODS) if is_known and (with_paper or is_same_encoder) else []


def _published(column: Column, method: str) -> PublishedScore | None:
    return TASK_SCORES.get(column.task.name, {}).get(method)


def _paper_text(column: Column, method: str) -> str:
    published = _published(column, method)
    return published.text if published else NOTHING


def _paper_average(columns: Sequence[Column], method: str) -> str:
    """The paper's average over the same tasks; none where it lacks one of them."""
    found = [_published(column, method) for column in columns]
    return NOTHING if not found or None in found else number(sum(one.points for one in found) / len(found))


def _multiple(row: Row, columns: Sequence[Column]) -> str:
    multiple = row.multiple(columns)
    if multiple is None:
        return NOTHING
    count = len(row.fractions(columns))
    return f"{multiple:.3g}x" + ("" if count == len(columns) else f" ({count})")


def _share(row: Row, columns: Sequence[Column]) -> str:
    fractions = row.fractions(columns)
    return f"{100 * sum(fractions) / len(fractions):.3g} %" if fractions else NOTHING


def _average_note(scores: Scores, shared: Sequence[Column], paper: Sequence[str]) -> str:
    titles = ", ".join(column.title for column in shared) or "no task"
    over = "all tasks" if shared == scores.columns else f"the tasks for which every column has a score: {titles}"
    published = " The paper's is over the same tasks; its parameters are of all seventeen." if paper else ""
    return (
        f"Average ({len(shared)}): plain mean over {over}.{published} Total parameters: of all tasks together, in "
        "encoders; in parentheses the number of tasks where a method lacks some."
    )
