"""Scores with their bootstrap intervals, and adapters against full fine-tuning as paired differences."""

from __future__ import annotations

from dataclasses import dataclass

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
