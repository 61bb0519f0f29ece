"""How a statement about a difference is judged, and what the runs must be for it.

A statement says that a difference lies in a region: above minus a margin ("within 0.4 points of full fine-tuning"),
between two margins ("the size hardly matters"), or below one ("far behind"). Each bound is tested one-sidedly at 5 %,
which is to say that the 90 % interval lies inside the region.

**Why "within" is non-inferiority and not equivalence.** The paper says what adapters lose, and a method that scores
higher loses nothing. Two one-sided tests at both margins would deny "within 0.4 points" to adapters that are a point
better. So only the lower bound is tested. "Hardly matters" has no direction, and is tested at both margins (TOST,
Schuirmann 1987).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.records.record import Record, task_of
from harness.reporting.bootstrap import Interval
from harness.reporting.candidates import Candidate
from harness.reporting.facts import cut_of, is_glue
from harness.reporting.scores import Column
from harness.reporting.table import number
from harness.tasks.glue import OFFICIAL_ROWS
from harness.tasks.protocols import HOLDOUT

HOLDS, DENIED, INCONCLUSIVE = "holds", "does not hold", "inconclusive"
NOT_JUDGED, NOT_RUN = "not judged", "not run"
VERDICTS = (HOLDS, DENIED, INCONCLUSIVE, NOT_JUDGED, NOT_RUN)
TEST_LEVEL = 0.90  # its two bounds are one-sided tests at 5 %
MIN_SEEDS = 3  # per cell: with fewer, the spread over seeds is hardly known
_SEEDS = f"{MIN_SEEDS} seeds"
_LABELS = "predictions and gold labels (`--data` restores those)"

Lacks = dict[str, list[str]]  # what runs lack for a judgement, and the columns on which they do


@dataclass(frozen=True)
class Region:
    """Where a difference lies if a statement holds, in points; `test` names what tests it."""

    low: float
    high: float
    test: str

    @classmethod
    def within(cls, margin: float) -> Region:
        """At most `margin` below."""
        return cls(-margin, math.inf, "non-inferiority at 5 %")

    @classmethod
    def same(cls, margin: float) -> Region:
        """At most `margin` away."""
        return cls(-margin, margin, "two one-sided tests at 5 %")

    @classmethod
    def behind(cls, margin: float) -> Region:
        """More than `margin` below."""
        return cls(-math.inf, -margin, "one-sided test at 5 %")

    def verdict(self, bounds: Interval) -> str:
        """`HOLDS` if the 90 % interval lies inside, `DENIED` if it lies outside, else `INCONCLUSIVE`."""
        low, high = bounds
        if self.low < low and high < self.high:
            return HOLDS
        return DENIED if high < self.low or low > self.high else INCONCLUSIVE

    @property
    def text(self) -> str:
        """`above −0.4`, `between −1 and +1`, `below −3`."""
        low, high = (number(bound, "g") for bound in (self.low, self.high))
        if math.isinf(self.high):
            return f"above {low}"
        return f"below {high}" if math.isinf(self.low) else f"between {low} and {high}"

    @property
    def outside(self) -> str:
        """The same for its complement."""
        if math.isinf(self.high):
            return f"below {number(self.low, 'g')}"
        return f"above {number(self.high, 'g')}" if math.isinf(self.low) else f"not {self.text}"

    def reason(self, verdict: str, over: str) -> str:
        """Why that is the verdict; `over` is what the interval covers."""
        where = {HOLDS: self.text, DENIED: self.outside, INCONCLUSIVE: f"only partly {self.text}"}[verdict]
        return f"{self.test}: the {TEST_LEVEL:.0%} interval over {over} lies {where}"


@dataclass(frozen=True)
class Place:
    """The candidates that are compared in one column; None where a side has no completed run."""

    column: Column
    candidates: tuple[Candidate | None, ...]


def missing(places: Sequence[Place], *, may_collapse: bool = False) -> Lacks:
    """What these runs lack for a judgement: real and complete data, no degenerate run, enough seeds.

    Cells without a completed run are the caller's to name. `may_collapse`: degenerate runs are what is looked for.
    """
    found = [(place.column, one) for place in places for one in place.candidates if one is not None]
    runs = [(column, candidate.completed[0]) for column, candidate in found]
    return merged(
        _lacking("real data instead of synthetic", (column for column, run in runs if not _is_real(run))),
        _lacking("complete data", (column for column, run in runs if _is_real(run) and _is_cut(run))),
        _lacking("runs without constant predictions", (c for c, one in found if one.degenerate and not may_collapse)),
        _lacking(_SEEDS, (column for column, one in found if len(one.completed) < MIN_SEEDS)),
    )


def without_interval(columns: Iterable[Column]) -> Lacks:
    """What is missing for an interval where the bootstrap has none."""
    return _lacking(_LABELS, columns)


def needed_for_counts(lacks: Lacks) -> Lacks:
    """Those that a count of parameters needs too: not the seeds, not an interval."""
    return {what: titles for what, titles in lacks.items() if what not in (_SEEDS, _LABELS)}


def merged(*several: Lacks) -> Lacks:
    """All of them, each column once; without those that nothing lacks."""
    found: dict[str, dict[str, None]] = {}
    for lacks in several:
        for what, titles in lacks.items():
            found.setdefault(what, {}).update(dict.fromkeys(titles))
    return {what: list(titles) for what, titles in found.items() if titles}


def lacks_text(lacks: Lacks, columns: Sequence[Column]) -> str:
    """`missing: complete data on QQP, QNLI; 3 seeds on all 9 columns`; `columns` are those that are compared."""
    compared, parts = {column.title for column in columns}, []
    for what, titles in lacks.items():
        is_all = len(titles) > 2 and compared == set(titles)
        parts.append(f"{what} on {f'all {len(titles)} columns' if is_all else ', '.join(titles)}")
    return "missing: " + "; ".join(parts)


def _lacking(what: str, columns: Iterable[Column]) -> Lacks:
    titles = list(dict.fromkeys(column.title for column in columns))
    return {what: titles} if titles else {}


def _is_real(record: Record) -> bool:
    """Whether rows under the name of a GLUE task are GLUE's, and others are no synthetic ones."""
    return is_glue(record) if task_of(record).name in OFFICIAL_ROWS else record["data"]["source"] != "synthetic"


def _is_cut(record: Record) -> bool:
    """Whether files lack official rows, or row limits left some out."""
    rows, available = record["data"]["rows"], record["data"].get("available", {})
    used = {"train": rows.get("train", 0) + rows.get(HOLDOUT, 0)} | {
        name: rows.get(name, 0) for name in task_of(record).evaluation_sets
    }
    return bool(cut_of(record)) or any(count < available.get(name, count) for name, count in used.items())
