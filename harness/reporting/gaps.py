"""The mean difference of two methods over columns: points, distribution over rows, seeds and choice, what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.reporting.bootstrap import Bootstrap, Interval, Spread, difference, mean_of
from harness.reporting.candidates import Candidate, Cell, eligible_candidates
from harness.reporting.groups import Group
from harness.reporting.judging import TEST_LEVEL, Lacks, Place, merged, missing, without_interval
from harness.reporting.method_variant import MethodVariant
from harness.reporting.scores import Column
from harness.reporting.table import number


@dataclass(frozen=True)
class Side:
    """One of two methods: its cell per task name, and all candidates that could have been chosen for it."""

    cells: Mapping[str, Cell]
    rivals: Mapping[str, tuple[Candidate, ...]]

    @classmethod
    def of(cls, group: Group, variants: Iterable[MethodVariant]) -> Side:
        """The best of some method variants per task, on the selection split."""
        variants = list(variants)
        rows, best = [group.row(variant) for variant in variants], group.best_of(variants)
        rivals = {
            name: tuple(eligible_candidates([c for row in rows if name in row for c in row[name].candidates]))
            for name in best
        }
        return cls(best, rivals)

    def candidate(self, column: Column) -> Candidate | None:
        cell = self.cells.get(column.task.name)
        return cell.chosen if cell else None


@dataclass(frozen=True)
class Gap:
    """`ours` minus `theirs` on the mean over `columns`, in points."""

    columns: list[Column]
    ours: float
    theirs: float
    spread: Spread | None
    selected: Spread | None  # `spread` with the choice made again on each resample of the selection split
    lacks: Lacks

    @property
    def points(self) -> float:
        return self.ours - self.theirs

    @property
    def widest(self) -> Spread | None:
        return self.selected or self.spread

    @property
    def over(self) -> str:
        """What `tested` covers."""
        return "rows and seeds" if self.selected is None else "rows, seeds and the choice of config"

    @property
    def here(self) -> str:
        """`+0.4 (70.6 against 70.2)`."""
        return f"{number(self.points, '+.1f')} ({number(self.ours)} against {number(self.theirs)})"

    @property
    def tested(self) -> Interval | None:
        """The interval of two one-sided tests at 5 %: over rows, seeds and, where it is known, the choice."""
        return self.widest.interval_with_seeds(TEST_LEVEL) if self.widest else None


def points_of(candidate: Candidate, evaluation_set: str, metric: str | None = None) -> float | None:
    """Mean over the completed seeds in points; the headline score unless `metric` names another."""
    metric = metric or candidate.task.headline
    values = [record["scores"].get(evaluation_set, {}).get(metric) for record in candidate.completed]
    return None if not values or None in values else 100 * float(np.mean(values))


def both_have(columns: Sequence[Column], ours: Side, theirs: Side, metric: str | None = None) -> list[Column]:
    """The columns in which both sides have a score."""

    def has(side: Side, column: Column) -> bool:
        candidate = side.candidate(column)
        return candidate is not None and points_of(candidate, column.evaluation_set, metric) is not None

    return [column for column in columns if has(ours, column) and has(theirs, column)]


def mean_gap(
    bootstrap: Bootstrap,
    columns: Sequence[Column],
    ours: Side,
    theirs: Side,
    *,
    metric: str | None = None,
    may_collapse: bool = False,
) -> Gap | None:
    """The gap over those of `columns` that both sides have; None where there is none."""
    shared = both_have(columns, ours, theirs, metric)
    if not shared:
        return None
    sides = (ours, theirs)
    points = [
        float(np.mean([points_of(side.candidate(column), column.evaluation_set, metric) for column in shared]))
        for side in sides
    ]
    spreads = [[bootstrap.spread(s.candidate(c), c.evaluation_set, metric) for s in sides] for c in shared]
    places = [Place(column, tuple(side.candidate(column) for side in sides)) for column in shared]
    unknown = [column for column, pair in zip(shared, spreads, strict=True) if None in pair]
    lacks = merged(missing(places, may_collapse=may_collapse), without_interval(unknown))
    selected = None
    if metric is None and not lacks:  # the choice is made by the headline score
        selected = mean_of(
            [
                difference(*(_selected(bootstrap, one, side, column) for one, side in zip(pair, sides, strict=True)))
                for pair, column in zip(spreads, shared, strict=True)
            ]
        )
    return Gap(shared, *points, mean_of([difference(*pair) for pair in spreads]), selected, lacks)


def _selected(bootstrap: Bootstrap, spread: Spread, side: Side, column: Column) -> Spread | None:
    return bootstrap.selected(spread, side.rivals[column.task.name], column.evaluation_set)


def paper_adapters(group: Group) -> dict[int, MethodVariant]:
    """The paper's adapters by bottleneck size, ascending; of several families, the one nearest to its defaults."""

    def distance(family: MethodVariant) -> tuple[bool, bool, str]:
        config = family.config
        return config.get("activation", "gelu") != "gelu", config.get("init_std", 1e-2) != 1e-2, family.key

    families = [family for family in group.families if is_the_papers(family)]
    return group.families[min(families, key=distance)] if families else {}


def is_the_papers(family: MethodVariant) -> bool:
    """Whether it is adapters after both sub-layers, with LayerNorms and head trained and the pooler frozen."""
    wanted = {"placement": "houlsby", "train_layernorms": True, "train_head": True, "train_pooler": False}
    config = family.config
    return family.name == "adapter" and all(config.get(name, value) == value for name, value in wanted.items())
