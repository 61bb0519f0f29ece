"""Kinds of statements that compare methods, each judged on the runs of a group; `claim_list` has the paper's.

A statement is judged where its runs are real, complete, not degenerate and of enough seeds (`judging`); otherwise its
finding says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from harness.reporting.bootstrap import Bootstrap, Interval
from harness.reporting.gaps import Gap, Side, mean_gap, paper_adapters
from harness.reporting.groups import Group
from harness.reporting.judging import DENIED, HOLDS, NOT_JUDGED, Region, needed_for_counts
from harness.reporting.scores import Column, Scores, method_row
from harness.reporting.table import number


@dataclass(frozen=True)
class Finding:
    """What the runs of a group say about a statement. `bounds` is the tested interval, None for an exact count."""

    verdict: str
    here: str
    bounds: Interval | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of the paper: its section, the figure that it gives, and the command for runs that judge it."""

    statement: str
    section: str
    paper: str
    command: str

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        """What the runs of a group say; None where they have nothing to say."""
        raise NotImplementedError


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

    def absent(self, group: Group, gap: Gap) -> list[str]:
        """The columns that one method lacks, and the sizes that were not run on some of the others."""
        by_size = paper_adapters(group)
        lines = absent_columns(self.columns, gap)
        for size in self.sizes:
            row = group.row(by_size[size]) if size in by_size else {}
            titles = [c.title for c in gap.columns if not (c.task.name in row and row[c.task.name].chosen)]
            lines += [f"size {size} on {', '.join(titles)}"] if titles else []
        return lines

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
        here = f"{number(gap.points, '+.1f')} ({number(gap.ours)} against {number(gap.theirs)})"
        return finding(self.region, here, [*self.absent(scores.group, gap), *gap.lacks], gap.tested, over=gap.over)


@dataclass(frozen=True, kw_only=True)
class TrainedRatio(Pair):
    """The first method trains at least `least` times as many parameters as the second: exact counts."""

    least: float

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        if (gap := self.gap(scores, bootstrap)) is None:
            return None
        ours, theirs = (side.candidate(gap.columns[0]).trained for side in self.sides(scores.group))
        here = f"{ours / theirs:.1f} times ({ours:,} against {theirs:,})"
        return count_finding(ours / theirs >= self.least, here, gap.lacks, f"at least {self.least:g} times")


@dataclass(frozen=True, kw_only=True)
class TotalAtMost(Pair):
    """The models of all columns together have at most `most` times the encoder's parameters: exact counts."""

    most: float

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        if (gap := self.gap(scores, bootstrap)) is None:
            return None
        ours, _ = self.sides(scores.group)
        multiple = method_row("", dict(ours.cells), gap.columns).multiple(gap.columns)
        lacks = [*self.absent(scores.group, gap), *gap.lacks]
        return count_finding(multiple <= self.most, f"{multiple:.2f}x", lacks, f"at most {self.most:g}x")


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
        pairs = [(a, b, mean_gap(bootstrap, columns, sides[b], sides[a], metric=self.metric))
                 for a, b in combinations(sides, 2)]  # fmt: skip
        gaps = {f"{b} − {a}": gap for a, b, gap in pairs if gap is not None}
        if not gaps:
            return None
        lacks = [f"size {size}" for size in self.sizes if size not in sides]
        lacks += unique(text for gap in gaps.values() for text in absent_columns(self.columns, gap))
        return all_in(self.region, gaps, lacks)


def columns_of(scores: Scores, names: Sequence[str]) -> list[Column]:
    """The columns of the group with one of these titles or task names."""
    return [column for column in scores.columns if column.title in names or column.task.name in names]


def absent_columns(names: Sequence[str], gap: Gap) -> list[str]:
    """Which columns of a statement are not in a gap."""
    present = {name for column in gap.columns for name in (column.title, column.task.name)}
    absent = [name for name in names if name not in present]
    return [f"runs of both methods on {', '.join(absent)}"] if absent else []


def unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def finding(region: Region, here: str, lacks: Sequence[str], bounds: Interval | None, *, over: str) -> Finding:
    """The finding of one tested interval, or what is missing for it."""
    if lacks or bounds is None:
        return Finding(NOT_JUDGED, here, bounds, "missing: " + "; ".join(lacks or ["a second seed"]))
    verdict = region.verdict(bounds)
    return Finding(verdict, here, bounds, region.reason(verdict, over))


def all_in(region: Region, gaps: dict[str, Gap], lacks: Sequence[str]) -> Finding:
    """The finding of differences that must all lie in a region (an intersection-union test, at 5 % as a whole).

    Shown is the interval that decides: one that lies outside, or else the one that reaches farthest out.
    """
    lacks = [*lacks, *unique(text for gap in gaps.values() for text in gap.lacks)]
    here = "; ".join(f"{name}: {number(gap.points, '+.1f')}" for name, gap in gaps.items())
    known = [gap.tested for gap in gaps.values() if gap.tested is not None]
    if len(known) < len(gaps):
        return finding(region, here, lacks, None, over="")
    deciding = max(known, key=lambda one: (region.verdict(one) == DENIED, one[1] - region.high, region.low - one[0]))
    return finding(region, here, lacks, deciding, over="rows and seeds, of the difference farthest out,")


def count_finding(is_true: bool, here: str, lacks: Sequence[str], rule: str) -> Finding:
    """The finding of an exact count, which needs no seeds but real data and runs that learned."""
    if lacks := needed_for_counts(lacks):
        return Finding(NOT_JUDGED, here, None, "missing: " + "; ".join(lacks))
    return Finding(HOLDS if is_true else DENIED, here, None, f"an exact count; the statement asks for {rule}")
