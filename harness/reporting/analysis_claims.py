"""Kinds of statements about the analyses of the paper: adapters removed, initialisation, learning rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.records.method_title import short_number
from harness.records.record import Record
from harness.reporting.bootstrap import RESAMPLES, Bootstrap, Spread, difference, mean_of, spread_of
from harness.reporting.candidates import Candidate, Cell, choose
from harness.reporting.claims import Claim, Finding, all_in, columns_of, finding
from harness.reporting.gaps import Gap, Side, mean_gap, paper_adapters, points_of
from harness.reporting.groups import Group
from harness.reporting.judging import Place, Region, merged, missing, without_interval
from harness.reporting.scores import Column, Scores
from harness.reporting.table import number

REFERENCE_STD = 1e-2  # the paper's


@dataclass(frozen=True, kw_only=True)
class Removed(Claim):
    """How accuracy changes when trained adapters are removed from spans of layers lies in a region.

    `change` takes a run's accuracies by (first, last) layer, those of the whole model and the majority class, and the
    number of layers. Runs store no predictions without adapters, so that the interval is over seeds only.
    """

    column: str
    change: Callable[[dict[tuple[int, int], float], float, float, int], float]
    unit: str
    region: Region

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        for column in columns_of(scores, [self.column]):
            for cell in _adapter_cells(scores.group, column):
                if candidate := choose(_with_spans(cell)):
                    changes = [self._change(column.evaluation_set, record) for record in candidate.completed]
                    here = f"{number(float(np.mean(changes)), '+.1f')} {self.unit}"
                    lacks = missing([Place(column, (candidate,))])
                    return finding(self.region, here, lacks, [column], _over_seeds(changes), over="seeds")
        return None

    def _change(self, name: str, record: Record) -> float:
        spans = {(one["first"], one["last"]): one["scores"][name]["accuracy"] for one in record["spans"]}
        majority = record["majority"][name]["accuracy"]
        return 100 * self.change(spans, record["scores"][name]["accuracy"], majority, record["encoder"]["layers"])


def worst_single_layer(spans: dict[tuple[int, int], float], whole: float, majority: float, layers: int) -> float:
    """The largest relative loss without the adapters of one layer."""
    return min(spans[layer, layer] for layer in range(layers)) / whole - 1


def all_against_majority(spans: dict[tuple[int, int], float], whole: float, majority: float, layers: int) -> float:
    """Accuracy without any adapter minus the majority class's."""
    return spans[0, layers - 1] - majority


def lowest_layers(spans: dict[tuple[int, int], float], whole: float, majority: float, layers: int) -> float:
    """The relative change without the adapters of the lowest 5 of 12 layers, or as many of another number."""
    return spans[0, max(1, round(5 / 12 * layers)) - 1] / whole - 1


@dataclass(frozen=True, kw_only=True)
class InitFlat(Claim):
    """Accuracy with each smaller scale of initialisation minus that at the paper's lies in a region."""

    column: str
    region: Region

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        gaps = _by_std(scores, bootstrap, self.column)
        below = {std: gap for std, gap in gaps.items() if std < REFERENCE_STD}
        here = ", ".join(f"{number(gap.points, '+.1f')} at {short_number(std)}" for std, gap in below.items())
        return all_in(self.region, here, list(below.values()), {}) if below else None


@dataclass(frozen=True, kw_only=True)
class InitWorse(Claim):
    """Accuracy at the largest scale of initialisation minus that at the paper's lies in a region.

    With a second column, the difference between the two columns does.
    """

    columns: tuple[str, ...]
    region: Region

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        found = [_by_std(scores, bootstrap, name, may_collapse=True) for name in self.columns]
        shared = {std for std in set.intersection(*map(set, found)) if std > REFERENCE_STD}
        if not shared:
            return None
        largest = max(shared)
        gaps = [by_std[largest] for by_std in found]
        columns = [gap.columns[0] for gap in gaps]
        here = " and ".join(f"{number(gap.points, '+.1f')} on {gap.columns[0].title}" for gap in gaps)
        spread = gaps[0].spread if len(gaps) == 1 else difference(gaps[0].spread, gaps[1].spread)
        lacks = merged(*(gap.lacks for gap in gaps))
        here += f" at {short_number(largest)}"
        return finding(self.region, here, lacks, columns, spread, over="rows and seeds")


@dataclass(frozen=True, kw_only=True)
class StableRates(Claim):
    """Adapters' scores vary less over learning rates than those of full fine-tuning.

    The difference of the two ranges (highest minus lowest mean over the columns that both have at all rates) lies in
    the region; at least three common rates, from lowest to highest by a factor of ten or more.
    """

    sizes: tuple[int, ...]
    region: Region

    def judge(self, scores: Scores, bootstrap: Bootstrap) -> Finding | None:
        by_size = paper_adapters(scores.group)
        full = next((variant for variant in scores.group.labels if variant.is_full), None)
        adapters = next((by_size[size] for size in self.sizes if size in by_size), None)
        if full is None or adapters is None:
            return None
        lines: dict[Column, list[dict[float, Candidate]]] = {}
        for column in scores.counted:
            cells = [scores.group.cells.get((variant, column.task.name)) for variant in (adapters, full)]
            lines[column] = [by_rate(cell) if cell else {} for cell in cells]
        usable = {column: set(a) & set(b) for column, (a, b) in lines.items()}
        usable = {column: rates for column, rates in usable.items() if _is_wide(rates)}
        if not usable:
            return None
        rates = sorted(set.intersection(*usable.values()))
        if not _is_wide(rates):
            return None
        places = [Place(column, tuple(line[rate] for line in lines[column] for rate in rates)) for column in usable]
        ranges = [
            _range(bootstrap, list(usable), [[lines[column][i][rate] for column in usable] for rate in rates])
            for i in range(2)
        ]
        if None in ranges:
            return None
        (ours, our_draws), (theirs, their_draws) = ranges
        is_known = our_draws is not None and their_draws is not None
        # Noise widens both ranges; the distribution is moved to where the ranges of the scores themselves are.
        spread = Spread.around(ours - theirs, our_draws - their_draws) if is_known else None
        lacks = missing(places, may_collapse=True)
        lacks = lacks if is_known or lacks else without_interval(usable)
        titles = ", ".join(column.title for column in usable)
        limits = " to ".join(map(short_number, (rates[0], rates[-1])))
        here = f"range {number(ours)} against {number(theirs)} ({titles}; {limits})"
        return finding(self.region, here, lacks, list(usable), spread, over="rows and seeds")


def by_rate(cell: Cell) -> dict[float, Candidate]:
    """What would be chosen at each learning rate, ascending."""
    found = {}
    for rate in cell.rates:
        if best := choose([candidate for candidate in cell.candidates if candidate.learning_rate == rate]):
            found[rate] = best
    return found


def _range(
    bootstrap: Bootstrap, columns: Sequence[Column], by_rate: Sequence[Sequence[Candidate]]
) -> tuple[float, np.ndarray | None] | None:
    """Highest minus lowest mean over the columns, of the scores and on each draw; None where a score is undefined."""
    means, draws = [], []
    for candidates in by_rate:
        pairs = list(zip(columns, candidates, strict=True))
        points = [points_of(candidate, column.evaluation_set) for column, candidate in pairs]
        if None in points:
            return None
        spread = mean_of([bootstrap.spread(candidate, column.evaluation_set) for column, candidate in pairs])
        means.append(float(np.mean(points)))
        draws.append(spread.draws if spread else None)
    return float(np.ptp(means)), None if any(one is None for one in draws) else np.ptp(draws, axis=0)


def _is_wide(rates: Any) -> bool:
    return len(rates) >= 3 and max(rates) >= 10 * min(rates) * (1 - 1e-9)


def _adapter_cells(group: Group, column: Column) -> list[Cell]:
    """The cells of the paper's adapters on a task: size 64, as in its analyses, or else the others."""
    by_size = paper_adapters(group)
    variants = [by_size[size] for size in sorted(by_size, key=lambda size: (size != 64, size))]
    return [cell for variant in variants if (cell := group.cells.get((variant, column.task.name)))]


def _with_spans(cell: Cell) -> list[Candidate]:
    """The candidates of a cell with those of their runs that were scored without spans of adapters."""
    return [
        replace(candidate, records=tuple(record for record in candidate.records if record.get("spans")))
        for candidate in cell.candidates
    ]


def _by_std(scores: Scores, bootstrap: Bootstrap, column: str, *, may_collapse: bool = False) -> dict[float, Gap]:
    """Accuracy minus that at the reference, by scale of initialisation, where the reference was run."""
    group = scores.group
    for reference in paper_adapters(group).values():
        if reference.config.get("init_std") != REFERENCE_STD:
            continue
        alike = [v for v in group.labels if v.without("init_std") == reference.without("init_std") and v != reference]
        base, columns = Side.of(group, [reference]), columns_of(scores, [column])
        gaps = {
            variant.config["init_std"]: mean_gap(
                bootstrap, columns, Side.of(group, [variant]), base, metric="accuracy", may_collapse=may_collapse
            )
            for variant in alike
        }
        if gaps := {std: gap for std, gap in sorted(gaps.items()) if gap is not None}:
            return gaps
    return {}


def _over_seeds(values: Sequence[float]) -> Spread | None:
    """The spread of a mean over seeds; None with one."""
    if len(values) < 2:
        return None
    same = np.full((len(values), RESAMPLES), float(np.mean(values)))
    return spread_of(same, np.array(values), "seeds of one run")
