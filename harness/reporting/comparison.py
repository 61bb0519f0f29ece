"""Scores with their bootstrap intervals, and adapters against full fine-tuning as paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.reporting.bootstrap import LEVEL, RESAMPLES, Interval, Uncertainty, difference, interval, mean_of
from harness.reporting.published import CLAIMS
from harness.reporting.scores import Column, Row, Scores
from harness.reporting.table import NOTHING, Table


def comparison_tables(scores: Scores, uncertainty: Uncertainty, notes: list[str]) -> list[Table]:
    """For each pair of adapters and full fine-tuning: both with intervals, and their paired difference, by task.

    Its last notes say whether the paper's claims hold here: confirmed, denied, or left open by the interval.
    """
    return [_comparison(scores, adapters, full, uncertainty, notes) for adapters, full in scores.pairs]


def intervals_table(scores: Scores, uncertainty: Uncertainty, notes: list[str]) -> Table:
    """Every score of the main table with its deviation over seeds, its seeds and its interval: a line each."""
    header = ["Task", "Method", "Score", "Seeds", f"{LEVEL:.0%} interval", "Rows"]
    lines = []
    for column in scores.columns:
        for row in scores.methods:
            candidate, entry = row.candidates.get(column.title), row.entries[column.title]
            if candidate is None or entry.points is None:
                continue
            bounds = interval(uncertainty.distribution(candidate, column.evaluation_set))
            texts = [entry.text, str(entry.seeds), _bounds(bounds), _rows_text(row, column, uncertainty)]
            lines.append([column.title, row.label, *texts])
    return Table(f"Intervals: {scores.group.title}", header, lines, [_interval_note(), *notes], left=2)


def interval_columns(scores: Scores, row: Row, uncertainty: Uncertainty) -> dict[str, float | None]:
    """`<column> low` and `<column> high` of one row, in points."""
    values: dict[str, float | None] = {}
    for column in scores.columns:
        bounds = interval(_distribution(row, column, uncertainty)) or (None, None)
        values |= {f"{column.title} low": bounds[0], f"{column.title} high": bounds[1]}
    return values


def verdict(bounds: Interval | None, margin: float) -> str:
    """Whether a difference with that interval is above `-margin` points, and why."""
    if bounds is None:
        return "cannot be judged: there is no interval"
    low, high = bounds
    if low > -margin:
        return f"confirmed: the whole interval lies above -{margin:g}"
    if high < -margin:
        return f"denied: the whole interval lies below -{margin:g}"
    return f"left open: -{margin:g} lies inside the interval"


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


def differences(scores: Scores, adapters: Row, full: Row, uncertainty: Uncertainty) -> list[Difference]:
    """One a column that both rows have, and last their mean over the counted ones (where there is any)."""
    found = []
    for column in scores.columns:
        ours, theirs = adapters.entries[column.title].points, full.entries[column.title].points
        if ours is not None and theirs is not None:
            distributions = _distribution(adapters, column, uncertainty), _distribution(full, column, uncertainty)
            found.append(Difference(column.title, ours, theirs, distributions, column))
    counted = [one for one in found if one.column in scores.counted]
    if not counted:
        return found
    means = [float(np.mean(values)) for values in zip(*((one.ours, one.theirs) for one in counted), strict=True)]
    spreads = [mean_of(sides) for sides in zip(*(one.distributions for one in counted), strict=True)]
    return [*found, Difference(f"Mean ({len(counted)})", *means, tuple(spreads))]


def _comparison(scores: Scores, adapters: Row, full: Row, uncertainty: Uncertainty, notes: list[str]) -> Table:
    found = differences(scores, adapters, full, uncertainty)
    lines = []
    for one in found:
        texts = [f"{one.theirs:.1f}", f"{one.ours:.1f}"]
        count = ""
        if one.column is not None:
            texts = [row.entries[one.column.title].text for row in (full, adapters)]
            count = _rows_text(adapters, one.column, uncertainty)
        sides = [_with_bounds(text, interval(side)) for text, side in zip(texts, one.distributions[::-1], strict=True)]
        lines.append([one.title, count, *sides, _with_bounds(f"{one.points:+.1f}", one.bounds)])
    header = ["Task", "Rows", full.label, adapters.label, "Difference"]
    title = f"{adapters.label} against {full.label[0].lower()}{full.label[1:]}: {scores.group.title}"
    claims = [
        f"'Within {claim.margin:g} points of full fine-tuning' on the mean ({claim.who} in the paper) is "
        f"{verdict(found[-1].bounds, claim.margin)}."
        for claim in CLAIMS
        if found and found[-1].column is None
    ]
    return Table(title, header, lines, [_interval_note(), *claims, *notes])


def _distribution(row: Row, column: Column, uncertainty: Uncertainty) -> np.ndarray | None:
    candidate = row.candidates.get(column.title)
    if candidate is None or row.entries[column.title].points is None:
        return None
    return uncertainty.distribution(candidate, column.evaluation_set)


def _rows_text(row: Row, column: Column, uncertainty: Uncertainty) -> str:
    """How many evaluation rows stand behind a score."""
    labels = uncertainty.rows(row.candidates[column.title], column.evaluation_set)
    return NOTHING if labels is None else f"{len(labels):,}"


def _with_bounds(text: str, bounds: Interval | None) -> str:
    return text if bounds is None else f"{text} {_bounds(bounds)}"


def _bounds(bounds: Sequence[float] | None) -> str:
    return NOTHING if bounds is None else "[{:.1f}, {:.1f}]".format(*bounds)


def _interval_note() -> str:
    return (
        f"In brackets: {LEVEL:.0%} bootstrap interval over the evaluation rows ({RESAMPLES:,} resamples, percentiles; "
        "the score is the mean over seeds). Differences are paired: both sides meet the same resamples. The intervals "
        "leave out what the choice of config and the seeds add; ± is the deviation over seeds. No interval: the folder "
        "lacks predictions or labels (`--data` makes labels anew)."
    )
