"""Kinds of tasks: the outputs of a model, how they become answers, and how answers are stored.

This is the numpy side. By the kind's name, `harness.model.heads` has the torch side (head, loss) and
`harness.data.columns` the type of gold labels in a data set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from harness.errors import UserError


class Kind(Protocol):
    """What the rest of the code needs to know of a kind. Answers and gold labels are arrays `[N]`."""

    name: ClassVar[str]
    labels: tuple[str, ...]
    default_metrics: ClassVar[tuple[str, ...]]
    tolerance: float

    @property
    def outputs(self) -> int:
        """Width of the task head."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Answers `[N]` from logits `[N, outputs]`."""

    def compact(self, values: np.ndarray) -> np.ndarray:
        """Answers or gold labels as they are stored: in the smallest type that holds them."""

    def constant(self, train_gold: np.ndarray, count: int) -> np.ndarray:
        """`count` times the best constant answer, judged by the training gold labels."""

    def parse(self, text: str) -> int | float:
        """The gold label that a text stands for; `ValueError` says what is allowed."""

    def shown(self, value: Any) -> str | float:
        """An answer as shown to users."""

    def probabilities(self, logits: np.ndarray) -> dict[str, float]:
        """Probability by label from the logits `[outputs]` of one row; empty for kinds without labels."""

    @property
    def unlabelled(self) -> int | float:
        """The value of unknown gold labels, as in test sets."""


@dataclass(frozen=True)
class Classification:
    """The answer is one of `labels`, which are words in the order of their ids."""

    labels: tuple[str, ...]
    name: ClassVar[str] = "classification"
    default_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    tolerance: ClassVar[float] = 0.0  # answers are equal or not
    unlabelled: ClassVar[int] = -1

    @property
    def outputs(self) -> int:
        return len(self.labels)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        return logits.argmax(-1)

    def compact(self, values: np.ndarray) -> np.ndarray:
        """int8 for up to 128 labels, else the next wider type."""
        return values.astype(np.min_scalar_type(-max(1, len(self.labels))))

    def constant(self, train_gold: np.ndarray, count: int) -> np.ndarray:
        """The most frequent training label; ties go to the lowest id."""
        return np.full(count, int(np.argmax(np.bincount(train_gold))))

    def parse(self, text: str) -> int:
        """The id of a label that is given as a word or as an id."""
        if text in self.labels:
            return self.labels.index(text)
        if text.isascii() and text.isdigit() and int(text) < len(self.labels):
            return int(text)
        raise ValueError(", ".join([*self.labels, *map(str, range(len(self.labels)))]))

    def shown(self, value: Any) -> str:
        return self.labels[int(value)]

    def probabilities(self, logits: np.ndarray) -> dict[str, float]:
        shares = np.exp(logits.astype(np.float64) - logits.max())
        shares /= shares.sum()
        return dict(zip(self.labels, map(float, shares), strict=True))


@dataclass(frozen=True)
class Regression:
    """The answer is a number from `low` to `high`."""

    low: float = -math.inf
    high: float = math.inf
    name: ClassVar[str] = "regression"
    labels: ClassVar[tuple[str, ...]] = ()
    default_metrics: ClassVar[tuple[str, ...]] = ("spearman", "pearson")
    unlabelled: ClassVar[float] = -1.0
    outputs: ClassVar[int] = 1

    @property
    def tolerance(self) -> float:
        """1 % of the range, or 0.05 without one: bf16 sums in another order differ in the last digits."""
        return 0.01 * (self.high - self.low) if math.isfinite(self.high - self.low) else 0.05

    def decide(self, logits: np.ndarray) -> np.ndarray:
        return logits[:, 0].astype(np.float64)

    def compact(self, values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)

    def constant(self, train_gold: np.ndarray, count: int) -> np.ndarray:
        """The mean of the training scores."""
        return np.full(count, float(np.mean(train_gold)))

    def parse(self, text: str) -> float:
        bounded = math.isfinite(self.high - self.low)
        allowed = ValueError(f"numbers from {self.low:g} to {self.high:g}" if bounded else "finite numbers")
        try:
            value = float(text)
        except ValueError:
            raise allowed from None
        if not (self.low <= value <= self.high and math.isfinite(value)):
            raise allowed
        return value

    def shown(self, value: Any) -> float:
        return float(value)

    def probabilities(self, logits: np.ndarray) -> dict[str, float]:
        return {}


KINDS = ("classification", "regression")


def make_kind(name: str, labels: tuple[str, ...], *, may_lack_labels: bool = False) -> Kind:
    """The kind of that name with these labels; `UserError` where the two do not fit.

    `may_lack_labels`: no labels at all are allowed, since they are found in the rows later.
    """
    if name == Classification.name:
        if not labels and not may_lack_labels:
            raise UserError("task.labels is empty; give the labels, or a table to find them in (task.file)")
        if labels and (len(labels) < 2 or len(set(labels)) < len(labels)):
            raise UserError(f"task.labels={list(labels)}: a classification task needs at least two different labels")
        return Classification(labels)
    if name == Regression.name:
        if labels:
            raise UserError(f"task.labels={list(labels)}: a regression task has no labels; leave them out")
        return Regression()
    raise UserError(f"task.kind={name} is unknown; choose one of {', '.join(KINDS)}")
