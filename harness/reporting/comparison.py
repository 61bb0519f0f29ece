"""Scores with their bootstrap intervals, and adapters against full fine-tuning as paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.reporting.bootstrap import LEVEL, RESAMPLES, Bootstrap, Interval, difference, interval, mean_of
from harness.reporting.footnotes import comparison_notes, interval_notes, mark_notes
from harness.reporting.published import CLAIMS
from harness.reporting.scores import Column, Row, Scores
from harness.reporting.table import NOTHING, Table, number


def comparison_tables(scores: Scores, bootstrap: Bootstrap) -> list[Table]:
    """For each pair of adapters and full fine-tuning: both with intervals, and their paired difference, by task.

    Its notes say whether the paper's claims hold here: confirmed, denied, or inconclusive.
    """
    return [_comparison(scores, adapters, full, bootstrap) for adapters, full in scores.pairs]


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
    notes = [_interval_note(), *interval_notes(scores.group), *mark_notes(lines)]
    return Table(f"Intervals: {scores.group.title}", header, lines, notes, left=2)


def verdict(bounds: Interval | None, margin: float) -> str:
    """Whether a difference with that interval is above minus `margin` points, and why."""
    if bounds is None:
        return "cannot be judged without an interval"
    low, high = bounds
    bound = number(-margin, "g")
    if low > -margin:
        return f"confirmed, the whole interval lies above {bound}"
    if high < -margin:
        return f"denied, the whole interval lies below {bound}"
    return f"inconclusive, {bound} lies inside the interval"


@dataclass(frozen=True)
class Difference:
    """Adapters against full fine-tuning on one column, or on the mean: points, bootstrap distributions, rows."""

    title: str
    ours: float
    theirs: float
    distributions: tuple[np.ndarray | None, np.ndarray | None]  # of ours and theirs
    column: Column | None = None

    @property
    def points(self) -> float:
        return self.ours - self.theirs

    @property
    def bounds(self) -> Interval | None:
        return interval(difference(*self.distributions))


def differences(scores: Scores, adapters: Row, full: Row, bootstrap: Bootstrap) -> list[Difference]:
    """One per column that both rows have, and last their mean over the counted ones (where there is any)."""

    def distribution(row: Row, column: Column) -> np.ndarray | None:
        return bootstrap.distribution(row.candidate(column), column.evaluation_set)

    found = []
    for column in scores.columns:
        ours, theirs = adapters.points(column), full.points(column)
        if ours is not None and theirs is not None:
            distributions = distribution(adapters, column), distribution(full, column)
            found.append(Difference(column.title, ours, theirs, distributions, column))
    counted = [one for one in found if one.column in scores.counted]
    if not counted:
        return found
    means = [float(np.mean(values)) for values in zip(*((one.ours, one.theirs) for one in counted), strict=True)]
    spreads = [mean_of(sides) for sides in zip(*(one.distributions for one in counted), strict=True)]
    return [*found, Difference(f"Mean ({len(counted)})", *means, tuple(spreads))]


def _comparison(scores: Scores, adapters: Row, full: Row, bootstrap: Bootstrap) -> Table:
    found = differences(scores, adapters, full, bootstrap)
    lines = []
    for one in found:
        texts, count = [number(one.theirs), number(one.ours)], ""
        if one.column is not None:
            texts = [row.entries[one.column.title].text for row in (full, adapters)]
            count = _rows_text(adapters, one.column)
        sides = [_with_bounds(text, interval(side)) for text, side in zip(texts, one.distributions[::-1], strict=True)]
        lines.append([one.title, count, *sides, _with_bounds(number(one.points, "+.1f"), one.bounds)])
    header = ["Task", "Rows", full.label, adapters.label, "Difference"]
    title = f"{adapters.label} against {full.label[0].lower()}{full.label[1:]}: {scores.group.title}"
    mean = found[-1] if found and found[-1].column is None else None
    claims = [
        f"'Within {claim.margin:g} points of full fine-tuning' on the mean ({claim.who} in the paper): "
        f"{verdict(mean.bounds, claim.margin)}."
        for claim in CLAIMS
        if mean is not None
    ]
    notes = [_interval_note(), *claims, *comparison_notes(scores.group), *mark_notes(lines)]
    return Table(title, header, lines, notes, verdicts=[f"{adapters.label} {lines[-1][-1]}: {c}" for c in claims])


def _rows_text(row: Row, column: Column) -> str:
    """How many evaluation rows stand behind a score."""
    rows = row.candidate(column).completed[0]["data"]["rows"].get(column.evaluation_set)
    return NOTHING if rows is None else f"{rows:,}"


def _with_bounds(text: str, bounds: Interval | None) -> str:
    return f"{text} {_bounds(bounds)}".rstrip()


def _bounds(bounds: Interval | None) -> str:
    return f"[{', '.join(map(number, bounds))}]" if bounds else ""


def _interval_note() -> str:
    return (
        f"In brackets: {LEVEL:.0%} bootstrap interval over the evaluation rows ({RESAMPLES:,} resamples, percentiles; "
        "the score is the mean over seeds). Differences are paired: both sides are scored on the same resamples. The "
        "intervals do not include the variation from the choice of config and from the seeds; ± is the standard "
        "deviation over seeds. Scores without an interval: their predictions or gold labels are missing (`--data` "
        "restores the labels)."
    )
