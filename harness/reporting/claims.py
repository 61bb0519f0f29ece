"""Kinds of statements that compare methods, each judged on the runs of a group; `claim_list` has the paper's.

A statement is judged where its runs are real, complete, not degenerate and of enough seeds (`judging`); otherwise its
finding says what is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from harness.reporting.bootstrap import Bootstrap, Interval, Spread
from harness.reporting.gaps import Gap, Side, both_have, mean_gap, paper_adapters
from harness.reporting.groups import Group
from harness.reporting.judging import (
    DENIED,
    HOLDS,
    NOT_JUDGED,
    TEST_LEVEL,
    Lacks,
    Region,
    lacks_text,
    merged,
    needed_for_counts,
)
from harness.reporting.scores import Column, Scores, method_row
from harness.reporting.table import number


@dataclass(frozen=True)
class Finding:
    """What the runs of a group say about a statement; `reason` says how that was tested, or what is missing.

    `bounds` is the tested interval, with the evaluation rows only (`rows_only`) where a method has a single seed, and
    None for an exact count or without predictions.
    """

    verdict: str
    here: str
    bounds: Interval | None
    reason: str
    rows_only: bool = False

    @property
    def interval(self) -> str:
        """`[−0.3, 1.1]`, with `(rows only)` after it where that is so; empty without one."""
        if self.bounds is None:
            return ""
        return f"[{', '.join(map(number, self.bounds))}]{' (rows only)' * self.rows_only}"


@dataclass(frozen=True, kw_only=True)
class Claim(ABC):
    """A statement of the paper: its section, the figure that it gives, and the command for runs that judge it."""

    statement: str
    section: str
    paper: str
    command: str

    @abstractmethod
    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        """What the runs of a group say; None where they have nothing to say."""


@dataclass(frozen=True, kw_only=True)
class Pair(Claim):
    """A method against another over `columns`, which are titles or names of tasks.

    `method` (a method's settings) stands in the place of adapters, `against` in that of full fine-tuning; empty
    settings are adapters of `sizes` (several: the best per task). `metric` replaces the headline score.
    """

    columns: tuple[str, ...]
    sizes: tuple[int, ...] = ()
    method: dict[str, Any] = field(default_factory=dict)
    against: dict[str, Any] = field(default_factory=lambda: {"name": "full"})
    metric: str | None = None

    def sides(self, group: Group) -> tuple[Side, Side] | None:
        """Both methods, where the group has both."""
        ours, theirs = (self._side(group, settings) for settings in (self.method, self.against))
        return (ours, theirs) if ours and theirs else None

    def gap(self, scores: Scores, bootstrap: Bootstrap) -> Gap | None:
        """Their mean difference over the columns that both have."""
        sides = self.sides(scores.group)
        return sides and mean_gap(bootstrap, columns_of(scores, self.columns), *sides, metric=self.metric)

    def lacks(self, group: Group, gap: Gap) -> Lacks:
        """What is missing: columns that one method lacks, sizes on some of the others, and what the runs lack."""
        absent = {"runs of both methods": absent_columns(self.columns, gap.columns)}
        return merged(absent, absent_sizes(group, self.sizes, gap.columns), gap.lacks)

    def _side(self, group: Group, settings: dict[str, Any]) -> Side | None:
        by_size = paper_adapters(group)
        if settings:
            variants = [v for v in group.labels if all(v.config.get(name) == value for name, value in settings.items())]
        else:
            variants = [by_size[size] for size in by_size if len(self.sizes) > 1 or size in self.sizes]
        return Side.of(group, variants) if variants else None


@dataclass(frozen=True, kw_only=True)
class Compared(Pair):
    """The mean difference lies in a region."""

    region: Region

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        if (gap := self.gap(scores, bootstrap)) is None:
            return None
        here = gap.here + columns_text(gap.columns, self.columns)
        return finding(self.region, here, self.lacks(scores.group, gap), gap.columns, gap.widest, over=gap.over)


@dataclass(frozen=True, kw_only=True)
class TrainedRatio(Pair):
    """The first method trains at least `least` times as many parameters as the second: exact counts."""

    least: float

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        if (gap := self.gap(scores, bootstrap)) is None:
            return None
        ours, theirs = (side.candidate(gap.columns[0]).trained for side in self.sides(scores.group))
        here = f"{ours / theirs:.1f} times ({ours:,} against {theirs:,})"
        return _of_counts(ours / theirs >= self.least, here, gap.lacks, gap, f"at least {self.least:g} times")


@dataclass(frozen=True, kw_only=True)
class TotalAtMost(Pair):
    """The models of all columns together have at most `most` times the encoder's parameters: exact counts."""

    most: float

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        if (gap := self.gap(scores, bootstrap)) is None:
            return None
        ours, _ = self.sides(scores.group)
        multiple = method_row("", dict(ours.cells), gap.columns).multiple(gap.columns)
        here = f"{multiple:.2f}x" + columns_text(gap.columns, self.columns)
        return _of_counts(multiple <= self.most, here, self.lacks(scores.group, gap), gap, f"at most {self.most:g}x")


@dataclass(frozen=True, kw_only=True)
class SameAcrossSizes(Claim):
    """The mean over `columns` is the same for adapters of all `sizes`: each pair's difference lies in the region."""

    region: Region
    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    metric: str | None = None

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        by_size = paper_adapters(scores.group)
        sides = {size: Side.of(scores.group, [by_size[size]]) for size in self.sizes if size in by_size}
        columns = columns_of(scores, self.columns)
        for a, b in combinations(sides.values(), 2):
            columns = both_have(columns, a, b, self.metric)
        if len(sides) < 2 or not columns:
            return None
        gaps = [mean_gap(bootstrap, columns, sides[b], sides[a], metric=self.metric) for a, b in combinations(sides, 2)]
        means = {a: gap.theirs for (a, _), gap in zip(combinations(sides, 2), gaps, strict=True)}
        means[max(sides)] = gaps[-1].ours
        here = ", ".join(f"{number(mean)} (size {size})" for size, mean in means.items())
        absent = {"runs of all sizes": absent_columns(self.columns, columns)}
        lacks = merged(absent, absent_sizes(scores.group, self.sizes, columns))
        return all_in(self.region, here + columns_text(columns, self.columns), gaps, lacks)


def columns_of(scores: Scores, names: Sequence[str]) -> list[Column]:
    """The columns of the group with one of these titles or task names."""
    return [column for column in scores.columns if column.title in names or column.task.name in names]


def columns_text(columns: Sequence[Column], names: Sequence[str]) -> str:
    """` on 3 of 9 columns` where some of a statement's are missing."""
    absent = len(absent_columns(names, columns))
    return f" on {len(names) - absent} of {len(names)} columns" if absent else ""


def absent_columns(names: Sequence[str], columns: Sequence[Column]) -> list[str]:
    """Which columns of a statement are not among these."""
    present = {name for column in columns for name in (column.title, column.task.name)}
    return [name for name in names if name not in present]


def absent_sizes(group: Group, sizes: Sequence[int], columns: Sequence[Column]) -> Lacks:
    """The adapter sizes that have no completed run on some of these columns."""
    by_size = paper_adapters(group)
    found: Lacks = {}
    for size in sizes:
        row = group.row(by_size[size]) if size in by_size else {}
        found[f"size {size}"] = [c.title for c in columns if not (c.task.name in row and row[c.task.name].chosen)]
    return found


def finding(
    region: Region, here: str, lacks: Lacks, columns: Sequence[Column], spread: Spread | None, *, over: str
) -> Finding:
    """The finding of one difference, or what is missing for it. `over`: what its interval covers."""
    bounds = spread.interval_with_seeds(TEST_LEVEL) if spread else None
    if bounds is None or lacks:
        rows = spread.interval(TEST_LEVEL) if spread and bounds is None else None
        return Finding(NOT_JUDGED, here, bounds or rows, lacks_text(lacks, columns), rows_only=rows is not None)
    verdict = region.verdict(bounds)
    return Finding(verdict, here, bounds, region.reason(verdict, over))


def all_in(region: Region, here: str, gaps: Sequence[Gap], lacks: Lacks) -> Finding:
    """The finding of differences that must all lie in a region (an intersection-union test, at 5 % as a whole).

    Shown is the interval that decides: one that lies outside, or else the one that reaches farthest out.
    """

    def out(gap: Gap) -> tuple[bool, float]:
        low, high = gap.tested
        return region.verdict(gap.tested) == DENIED, max(high - region.high, region.low - low)

    is_known = all(gap.tested is not None for gap in gaps)
    deciding = max(gaps, key=out) if is_known else next(gap for gap in gaps if gap.tested is None)
    lacks = merged(lacks, *(gap.lacks for gap in gaps))
    over = f"{deciding.over} of the difference farthest out ({number(deciding.points, '+.1f')})"
    return finding(region, here, lacks, deciding.columns, deciding.widest, over=over)


def _of_counts(is_true: bool, here: str, lacks: Lacks, gap: Gap, rule: str) -> Finding:
    """The finding of an exact count, which needs real data and runs that learned, but no interval."""
    if lacks := needed_for_counts(lacks):
        return Finding(NOT_JUDGED, here, None, lacks_text(lacks, gap.columns))
    return Finding(HOLDS if is_true else DENIED, here, None, f"an exact count; the statement asks for {rule}")
