"""Scores with their bootstrap intervals; paired differences of adapters and full fine-tuning, and of poolings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.reporting.bootstrap import (
    LEVEL,
    Bootstrap,
    Interval,
    Spread,
    difference,
    interval,
    mean_of,
)
from harness.reporting.claim_list import ON_THE_MEAN
from harness.reporting.footnotes import table_notes
from harness.reporting.gaps import paper_adapters
from harness.reporting.judging import TEST_LEVEL
from harness.reporting.method_variant import MethodVariant
from harness.reporting.scores import Column, Row, Scores
from harness.reporting.table import NOTHING, Table, number


def comparison_tables(scores: Scores, bootstrap: Bootstrap) -> list[Table]:
    """For each pair of adapters and full fine-tuning: both with intervals, and their paired difference, by task.

    The notes below the paper's adapters say whether its two statements about the mean hold here.
    """
    papers = set(paper_adapters(scores.group).values())
    tables = []
    for adapters, full in scores.pairs:
        is_judged = papers >= {cell.method for cell in adapters.cells.values()}
        verdicts = mean_verdicts(scores, bootstrap) if is_judged else []
        tables.append(_comparison(scores, adapters, full, bootstrap, verdicts))
    return tables


def pooling_tables(scores: Scores, boards: Sequence[Scores], bootstrap: Bootstrap) -> list[Table]:
    """Each method of a group against itself with the checkpoint's own pooling, by task: both with intervals, and their
    paired difference. Nothing for a group that has this pooling, or where no group of `boards` differs in it alone.
    """
    theirs = next((one for one in boards if one.group.key == replace(scores.group.key, pooling=None)), scores)
    if theirs is scores:
        return []
    own = {method: row for row in theirs.methods if (method := _variant(row))}
    pairs = [(row, own[_variant(row)]) for row in scores.methods if _variant(row) in own]
    shared = replace(theirs, columns=[column for column in theirs.columns if column in scores.columns])
    tables = [_comparison(shared, _pooled(ours, scores), _pooled(row, theirs), bootstrap, []) for ours, row in pairs]
    return [table for table in tables if table.rows]


def _variant(row: Row) -> MethodVariant | None:
    """The method variant of a row; None where it shows the best of several."""
    found = {cell.method for cell in row.cells.values()}
    return found.pop() if len(found) == 1 else None


def _pooled(row: Row, scores: Scores) -> Row:
    poolings = (record["encoder"].get("pooling") for record in scores.group.records if record.get("encoder"))
    return replace(row, label=f"{scores.group.labels[_variant(row)]}, {next(poolings, None) or 'own pooling'}")


def mean_verdicts(scores: Scores, bootstrap: Bootstrap) -> list[str]:
    """A sentence on each of the paper's two statements about the mean, for the adapters that it is about."""
    found = [(claim, claim.judge(scores, bootstrap)) for claim in ON_THE_MEAN]
    return [
        f"'{claim.statement}': {finding.verdict}. Here {finding.here}, {TEST_LEVEL:.0%} interval "
        f"{finding.interval or 'unknown'}; {finding.reason}."
        for claim, finding in found
        if finding is not None
    ]


def intervals_table(scores: Scores, bootstrap: Bootstrap) -> Table:
    """Every score of the main table, one per line, with its deviation over seeds, its seeds and its interval."""
    header = ["Task", "Method", "Score", "Seeds", f"{LEVEL:.0%} interval", "Rows"]
    lines = []
    for column in scores.columns:
        for row in scores.methods:
            candidate, entry = row.candidate(column), row.entries[column.title]
            if candidate is None:
                continue
            bounds = bootstrap.interval(candidate, column.evaluation_set)
            texts = [entry.text, str(entry.seeds), _bounds(bounds) or NOTHING, _rows_text(row, column)]
            lines.append([column.title, row.label, *texts])
    return Table(f"Intervals: {scores.group.title}", header, lines, table_notes(scores.group, lines), left=2)


@dataclass(frozen=True)
class Difference:
    """Adapters against full fine-tuning on one column, or on the mean: points, seeds, bootstrap distributions.

    `seeds` are those of ours and theirs; of the mean, the fewest of any column.
    """

    title: str
    ours: float
    theirs: float
    seeds: tuple[int, int]
    sides: tuple[Spread | None, Spread | None]  # of ours and theirs
    spread: Spread | None  # of the difference
    column: Column | None = None

    @property
    def points(self) -> float:
        return self.ours - self.theirs

    @property
    def bounds(self) -> Interval | None:
        """The interval over the evaluation rows."""
        return interval(self.spread)

    @property
    def bounds_with_seeds(self) -> Interval | None:
        """The interval over rows and seeds; None where a side has a single seed."""
        return self.spread.interval_with_seeds() if self.spread else None


def differences(scores: Scores, adapters: Row, full: Row, bootstrap: Bootstrap | None) -> list[Difference]:
    """One per column that both rows have, and last their mean over the counted ones (where there is any).

    Without a bootstrap they have no distributions.
    """

    def spread(row: Row, column: Column) -> Spread | None:
        return bootstrap and bootstrap.spread(row.candidate(column), column.evaluation_set)

    found = []
    for column in scores.columns:
        ours, theirs = adapters.points(column), full.points(column)
        if ours is not None and theirs is not None:
            seeds = adapters.entries[column.title].seeds, full.entries[column.title].seeds
            sides = spread(adapters, column), spread(full, column)
            found.append(Difference(column.title, ours, theirs, seeds, sides, difference(*sides), column))
    counted = [one for one in found if one.column in scores.counted]
    if not counted:
        return found
    means = [float(np.mean(values)) for values in zip(*((one.ours, one.theirs) for one in counted), strict=True)]
    seeds = tuple(min(counts) for counts in zip(*(one.seeds for one in counted), strict=True))
    sides = [mean_of(spreads) for spreads in zip(*(one.sides for one in counted), strict=True)]
    spread_of_mean = mean_of([one.spread for one in counted])
    return [*found, Difference(f"Mean ({len(counted)})", *means, seeds, tuple(sides), spread_of_mean)]


def _comparison(scores: Scores, adapters: Row, full: Row, bootstrap: Bootstrap, verdicts: list[str]) -> Table:
    found = differences(scores, adapters, full, bootstrap)
    lines = []
    for one in found:
        texts, count = [number(one.theirs), number(one.ours)], ""
        if one.column is not None:
            texts = [row.entries[one.column.title].among(scores.group) for row in (full, adapters)]
            count = _rows_text(adapters, one.column)
        sides = [_with_bounds(text, interval(side)) for text, side in zip(texts, one.sides[::-1], strict=True)]
        gap = _with_bounds(number(one.points, "+.1f"), one.bounds)
        lines.append([one.title, count, *sides, gap, _bounds(one.bounds_with_seeds) or NOTHING])
    header = ["Task", "Rows", full.label, adapters.label, "Difference", "Rows and seeds"]
    title = f"{adapters.label} against {full.label[0].lower()}{full.label[1:]}: {scores.group.title}"
    notes = [*table_notes(scores.group, lines), _BRACKETS_NOTE]
    return Table(title, header, lines, notes, verdicts=verdicts, foot=sum(one.column is None for one in found))


def _rows_text(row: Row, column: Column) -> str:
    """How many evaluation rows stand behind a score."""
    rows = row.candidate(column).completed[0]["data"]["rows"].get(column.evaluation_set)
    return NOTHING if rows is None else f"{rows:,}"


def _with_bounds(text: str, bounds: Interval | None) -> str:
    return f"{text} {_bounds(bounds)}".rstrip()


def _bounds(bounds: Interval | None) -> str:
    return f"[{', '.join(map(number, bounds))}]" if bounds else ""


_BRACKETS_NOTE = (
    f"In brackets: {LEVEL:.0%} bootstrap intervals over the evaluation rows; last column: of the difference, over rows "
    "and seeds."
)
