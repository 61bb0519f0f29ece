"""Scores with their bootstrap intervals, and adapters against full fine-tuning as paired differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.layout import NOTHING, Table
from harness.reference import CLAIMS
from harness.tables import Column, Row, Scores
from harness.uncertainty import LEVEL, RESAMPLES, Interval, Uncertainty, difference, interval, mean_of


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
            labels = uncertainty.rows(candidate, column.evaluation_set)
            count = NOTHING if labels is None else f"{len(labels):,}"
            bounds = interval(uncertainty.distribution(candidate, column.evaluation_set))
            lines.append([column.title, row.label, entry.text, str(entry.seeds), _bounds(bounds), count])
    return Table(f"Intervals: {scores.group.title}", header, lines, [_interval_note(), *notes], left=2)


def interval_columns(scores: Scores, row: Row, uncertainty: Uncertainty) -> dict[str, float | None]:
    """`<column> low` and `<column> high` of one row, in points."""
    values: dict[str, float | None] = {}
    for column in scores.columns:
        bounds = interval(_distribution(row, column, uncertainty)) or (None, None)
        values |= {f"{column.title} low": bounds[0], f"{column.title} high": bounds[1]}
    return values


def verdict(bounds: Interval | None, margin: float) -> str:
    """Whether a difference with that interval is above `-margin` points."""
    if bounds is None:
        return "cannot be judged: no interval"
    low, high = bounds
    if low > -margin:
        return "confirmed: the whole interval lies above"
    return "denied: the whole interval lies below" if high < -margin else "left open: the interval holds both"


def _comparison(scores: Scores, adapters: Row, full: Row, uncertainty: Uncertainty, notes: list[str]) -> Table:
    lines, counted = [], []
    for column in scores.columns:
        ours, theirs = adapters.entries[column.title], full.entries[column.title]
        if ours.points is None or theirs.points is None:
            continue
        distributions = [_distribution(row, column, uncertainty) for row in (full, adapters)]
        texts = [_with_bounds(entry.text, one) for entry, one in zip((theirs, ours), distributions, strict=True)]
        gap = difference(distributions[1], distributions[0])
        labels = uncertainty.rows(adapters.candidates[column.title], column.evaluation_set)
        count = NOTHING if labels is None else f"{len(labels):,}"
        lines.append([column.title, count, *texts, _with_bounds(f"{ours.points - theirs.points:+.1f}", gap)])
        if column in scores.counted:
            counted.append((ours.points, theirs.points, *distributions[::-1]))
    bounds = None
    if counted:
        means = [float(np.mean([entry[side] for entry in counted])) for side in (0, 1)]
        spreads = [mean_of([entry[side] for entry in counted]) for side in (2, 3)]
        gap = difference(*spreads)
        bounds = interval(gap)
        texts = [_with_bounds(f"{means[side]:.1f}", spreads[side]) for side in (1, 0)]
        lines.append([f"Mean ({len(counted)})", "", *texts, _with_bounds(f"{means[0] - means[1]:+.1f}", gap)])
    header = ["Task", "Rows", full.label, adapters.label, "Difference"]
    title = f"{adapters.label} against {full.label[0].lower()}{full.label[1:]}: {scores.group.title}"
    claims = [
        f"'Within {claim.margin:g} points of full fine-tuning' on the mean ({claim.who} in the paper) is "
        f"{verdict(bounds, claim.margin)} −{claim.margin:g}."
        for claim in CLAIMS
    ]
    return Table(title, header, lines, [_interval_note(), *(claims if counted else []), *notes])


def _distribution(row: Row, column: Column, uncertainty: Uncertainty) -> np.ndarray | None:
    candidate = row.candidates.get(column.title)
    if candidate is None or row.entries[column.title].points is None:
        return None
    return uncertainty.distribution(candidate, column.evaluation_set)


def _with_bounds(text: str, distribution: np.ndarray | None) -> str:
    bounds = interval(distribution)
    return text if bounds is None else f"{text} {_bounds(bounds)}"


def _bounds(bounds: Sequence[float] | None) -> str:
    return NOTHING if bounds is None else "[{:.1f}, {:.1f}]".format(*bounds).replace("-", "−")


def _interval_note() -> str:
    return (
        f"In brackets: {LEVEL:.0%} bootstrap interval over the evaluation rows ({RESAMPLES:,} resamples, percentiles; "
        "the score is the mean over seeds). Differences are paired: both sides meet the same resamples. The intervals "
        "leave out what the choice of config and the seeds add; ± is the deviation over seeds. No interval: the folder "
        "lacks predictions or labels (`--data` makes labels anew)."
    )
