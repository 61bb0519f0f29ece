"""The table of methods side by side: at how many parameters each scores what, and which differences are more than
chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.reporting.bootstrap import LEVEL, Bootstrap, Interval, Spread
from harness.reporting.compared_methods import Compared, compared_methods, without_mean
from harness.reporting.comparison import Difference, differences
from harness.reporting.footnotes import mark_notes
from harness.reporting.gaps import paper_adapters
from harness.reporting.scores import Scores
from harness.reporting.table import NOTHING, Table, number

AHEAD, BEHIND, INCONCLUSIVE = "ahead", "behind", "inconclusive"
BY_ITSELF = ", by itself"
VERDICT = "Verdict"  # the last column that is about all tasks


@dataclass(frozen=True)
class _Against:
    """A method against the one that it is compared with; `found` are its differences by column, the mean last."""

    other: Compared
    found: list[Difference]

    @property
    def mean(self) -> Difference:
        return self.found[-1]


def methods_comparison(scores: Scores, bootstrap: Bootstrap) -> Table | None:
    """Every method with its interval, and its paired difference to the adapters that train about as much.

    Those are the paper's adapters of the nearest size; without any, full fine-tuning. None for fewer than three kinds
    of methods.
    """
    methods = sorted(compared_methods(scores, bootstrap), key=lambda one: one.trained)
    if not methods:
        return None
    others = _others(scores, methods)
    against: dict[int, _Against] = {}
    for place, one in enumerate(methods):
        if others and one not in others:
            other = min(others, key=lambda adapters: abs(math.log(adapters.trained / one.trained)))
            against[place] = _Against(other, differences(scores, one.row, other.row, bootstrap))
    columns = [column.title for column in methods[0].columns]
    header = ["Method", "Trained parameters", "Mean", "Training (s)", "Against", "Parameters", "Difference"]
    header += ["Rows and seeds", VERDICT, *(f"{title} difference" for title in columns)]
    rows = []
    for place, one in enumerate(methods):
        seconds = NOTHING if one.seconds is None else f"{one.seconds:,.0f}"
        texts = [one.row.label, f"{one.trained:,.0f}", _with_bounds(number(one.mean), one.interval), seconds]
        compared = against.get(place)
        if compared is None:
            rows.append([*texts, *[""] * (len(header) - len(texts))])
            continue
        by_column = {found.title: found for found in compared.found}
        rows.append(
            [
                *texts,
                compared.other.row.label,
                f"{one.trained / compared.other.trained:.3g}x",
                _gap(compared.mean),
                _bounds(compared.mean.bounds_with_seeds) or NOTHING,
                _verdict(compared.mean.spread, len(against)),
                *(_gap(by_column[title]) if title in by_column else NOTHING for title in columns),
            ]
        )
    notes = [*_notes(columns, len(against)), *mark_notes(rows)]
    if left_out := without_mean(scores):
        notes.insert(0, f"Left out, without a score in the columns in parentheses: {', '.join(left_out)}.")
    return Table(f"Methods compared: {scores.group.title}", header, rows, notes)


def overall(table: Table) -> Table:
    """The columns about all tasks, without those of single tasks: as much as a page of a paper has room for."""
    count = table.header.index(VERDICT) + 1
    return replace(table, header=table.header[:count], rows=[row[:count] for row in table.rows])


def _others(scores: Scores, methods: Sequence[Compared]) -> list[Compared]:
    """What the methods are compared with."""
    adapters = set(paper_adapters(scores.group).values())
    found = [one for one in methods if one.method in adapters]
    return found or [one for one in methods if one.method.is_full]


def _verdict(spread: Spread | None, comparisons: int) -> str:
    """Whether the interval of a difference leaves 0 out: over rows and seeds, or over rows where there is one seed.

    Bonferroni's level is for all comparisons of the table together; what only the level of one leaves out is said to
    be so by itself.
    """
    if spread is None:
        return NOTHING
    words = INCONCLUSIVE
    for level, suffix in ((LEVEL, BY_ITSELF), (1 - (1 - LEVEL) / comparisons, "")):
        low, high = spread.interval_with_seeds(level) or spread.interval(level)
        if low > 0 or high < 0:
            words = (AHEAD if low > 0 else BEHIND) + suffix
    return words


def _notes(columns: Sequence[str], comparisons: int) -> list[str]:
    return [
        f"Mean: over {', '.join(columns)}, in brackets its {LEVEL:.0%} interval over evaluation rows and seeds (over "
        "rows where there is one seed). Trained parameters: mean over the tasks, the head included.",
        "Difference: points on the mean, paired, to the adapters whose trained parameters are nearest (without "
        f"adapters: to full fine-tuning); Parameters: as a multiple of theirs. In brackets: {LEVEL:.0%} interval over "
        "the rows.",
        f"Verdict: {AHEAD} or {BEHIND} where the interval over rows and seeds (rows, with one seed) leaves 0 out at "
        f"{LEVEL:.0%} for all {comparisons} comparisons together (Bonferroni); '{BY_ITSELF.lstrip(', ')}': only where "
        f"it is the one comparison that is looked at; else {INCONCLUSIVE}. The choice of settings is left out.",
        "Training: seconds of one run per task at the chosen settings, summed; a run in a stack counts its share of "
        f"the stack's time; {NOTHING} where a run was on another device than most.",
    ]


def _gap(found: Difference) -> str:
    return _with_bounds(number(found.points, "+.1f"), found.bounds)


def _with_bounds(text: str, bounds: Interval | None) -> str:
    return f"{text} {_bounds(bounds)}".rstrip()


def _bounds(bounds: Interval | None) -> str:
    return f"[{', '.join(map(number, bounds))}]" if bounds else ""
