"""The runs of one config over seeds, and which config is chosen for a cell: mean and spread over its seeds.

A *cell* is one task and one method variant. A *candidate* is one config of a cell, run with one or more seeds. Tables
and figures show the candidate with the best mean over seeds; `harness.records.choice` ranks single runs, for what
needs the weights or predictions of one.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.records.choice import choice_score, chosen_on
from harness.records.record import Record, flatten, has_encoder
from harness.reporting.method_variant import MethodVariant
from harness.tasks.task import Task


@dataclass(frozen=True)
class Score:
    """A score over seeds in the metric's own range: mean, sample standard deviation (from two seeds on), seeds."""

    mean: float | None
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Score:
        """One undefined value leaves the mean undefined: dropping it would hide a seed that collapsed."""
        if not values or any(value is None for value in values):
            return cls(None, None, len(values))
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class Candidate:
    """The runs of one config, one per seed. `key` is the config without its seed as canonical JSON."""

    key: str
    task: Task
    records: tuple[Record, ...]

    @cached_property
    def completed(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record["status"] == "completed")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The config as dotted names, without the seed."""
        return flatten(json.loads(self.key))

    @property
    def learning_rate(self) -> float | None:
        return self.settings.get("train.learning_rate")

    @property
    def epochs(self) -> float | None:
        return self.settings.get("train.epochs")

    @property
    def degenerate(self) -> bool:
        return any(record.get("degenerate") for record in self.completed)

    @property
    def trained(self) -> int:
        """Trained parameters, the task head included."""
        return self.completed[0]["parameters"]["trained"]

    @property
    def trained_fraction(self) -> float | None:
        """`trained` over the parameters of the encoder with its pooler and without a head; None without an encoder."""
        return self.completed[0]["parameters"]["trained_fraction"]

    def count(self, status: str) -> int:
        return sum(record["status"] == status for record in self.records)

    @property
    def chosen_on(self) -> str:
        """The selection split."""
        return chosen_on(self.records[0])

    @cached_property
    def choice_score(self) -> Score:
        """Headline score over the completed seeds on the selection split."""
        return Score.of([choice_score(record) for record in self.completed])

    def score(self, evaluation_set: str | None = None) -> Score:
        """Headline score over the completed seeds, on the task's first evaluation set unless another is named."""
        name = evaluation_set or self.task.evaluation_sets[0]
        return Score.of([record["scores"].get(name, {}).get(self.task.headline) for record in self.completed])


@dataclass(frozen=True)
class Cell:
    """One task and one method variant of a group; `chosen` is None where no run has completed."""

    task: Task
    method: MethodVariant
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None

    @property
    def state(self) -> str:
        """`completed`, or why there is no score: `failed`, `diverged` or `running` (perhaps interrupted)."""
        present = {record["status"] for candidate in self.candidates for record in candidate.records}
        return next(status for status in ("completed", "failed", "diverged", "running") if status in present)

    @property
    def has_encoder(self) -> bool:
        """Whether its method trains on an encoder."""
        return has_encoder(self.candidates[0].records[0])

    @property
    def rates(self) -> list[float]:
        """The learning rates tried, ascending; none for a method without one."""
        return sorted({c.learning_rate for c in self.candidates if c.learning_rate is not None})

    @cached_property
    def by_rate(self) -> dict[float, Candidate]:
        """What would be chosen at each learning rate, ascending: by the selection split, as among all rates."""
        found = {}
        for rate in self.rates:
            best = choose([candidate for candidate in self.candidates if candidate.learning_rate == rate])
            if best is not None:
                found[rate] = best
        return found

    @property
    def grid_edge(self) -> str | None:
        """Where the chosen learning rate lies among those tried: a best rate on the edge may not be the best one."""
        if self.chosen is None or not self.rates:
            return None
        if len(self.rates) == 1:
            return "one rate"
        return {self.rates[0]: "lowest", self.rates[-1]: "highest"}.get(self.chosen.learning_rate, "inside")


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate with the highest mean headline score on the selection split; None where none has completed.

    Only candidates with the most completed seeds are eligible, so that one lucky seed does not beat a mean of five.
    An undefined mean ranks below any number. Ties go to fewer trained parameters, the smaller learning rate, then
    fewer epochs.
    """
    if not (eligible := eligible_candidates(candidates)):
        return None

    def rank(candidate: Candidate) -> tuple[Any, ...]:
        mean = candidate.choice_score.mean
        rounded = round(-(mean or 0.0), 12)  # (0.1 + 0.7) / 2 and 0.4 differ as floats and are a tie
        sizes = candidate.trained, candidate.learning_rate or 0.0, candidate.epochs or 0.0
        return mean is None, rounded, *sizes, candidate.key

    return min(eligible, key=rank)


def eligible_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those with as many completed seeds as the candidate that has most; none where nothing has completed."""
    most = max((len(candidate.completed) for candidate in candidates), default=0)
    return [candidate for candidate in candidates if most and len(candidate.completed) == most]
