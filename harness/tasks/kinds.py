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
from harness.tasks.span import Span


class Kind(Protocol):
    """What the rest of the code needs to know of a kind. Answers and gold labels are arrays `[N]`."""

    name: ClassVar[str]
    labels: tuple[str, ...]
    default_metrics: ClassVar[tuple[str, ...]]
    default_text: ClassVar[tuple[str, ...]]
    tolerance: float

    @property
    def outputs(self) -> int:
        """Width of the task head."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Answers `[N]` from logits `[N, outputs]`."""

    def describe(self) -> dict[str, Any]:
        """The settings of the kind itself, besides its labels."""

    def compared(self, answers: np.ndarray, gold: np.ndarray) -> tuple[Any, Any]:
        """Predictions and references as the metrics take them."""

    def is_constant(self, answers: np.ndarray) -> bool:
        """Whether all answers are one."""

    def compact(self, answers: np.ndarray, gold: np.ndarray | None) -> np.ndarray:
        """Answers as they are stored: in the smallest type that holds them, and that the bootstrap can score."""

    def compact_gold(self, gold: np.ndarray) -> np.ndarray:
        """Gold labels as they are stored."""

    def differing(self, answers: np.ndarray, stored: np.ndarray) -> int:
        """How many answers are not those that were stored, by more than rounding."""

    def official(self, answers: np.ndarray, gold: np.ndarray) -> dict[str, str]:
        """Answers in the format of the data set's own evaluation, by question; empty where it has none."""

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


class _Values:
    """What kinds share whose answers and gold labels are numbers of one type."""

    default_text: ClassVar[tuple[str, ...]] = ("sentence",)
    tolerance: float

    def describe(self) -> dict[str, Any]:
        return {}

    def compared(self, answers: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return answers, gold

    def is_constant(self, answers: np.ndarray) -> bool:
        return bool(np.ptp(answers) == 0)

    def compact_gold(self, gold: np.ndarray) -> np.ndarray:
        return self.compact(gold)

    def differing(self, answers: np.ndarray, stored: np.ndarray) -> int:
        return int((np.abs(self.compact(answers) - stored) > self.tolerance).sum())

    def official(self, answers: np.ndarray, gold: np.ndarray) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Classification(_Values):
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

    def compact(self, answers: np.ndarray, gold: np.ndarray | None = None) -> np.ndarray:
        """int8 for up to 128 labels, else the next wider type."""
        return answers.astype(np.min_scalar_type(-max(1, len(self.labels))))

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
class Regression(_Values):
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

    def compact(self, answers: np.ndarray, gold: np.ndarray | None = None) -> np.ndarray:
        return answers.astype(np.float32)

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


KINDS = ("classification", "regression", "span")
SPAN_OPTIONS = ("stride", "max_answer_tokens")


def make_kind(name: str, labels: tuple[str, ...], *, may_lack_labels: bool = False, **options: Any) -> Kind:
    """The kind of that name with these labels and `options` of its own; `UserError` where they do not fit.

    `may_lack_labels`: no labels at all are allowed, since they are found in the rows later.
    """
    if options and name != Span.name:
        raise UserError(f"task.{next(iter(options))} is for tasks of kind span, and this one is a {name}; leave it out")
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
    if name == Span.name:
        if labels:
            raise UserError(f"task.labels={list(labels)}: a span task has no labels; leave them out")
        return Span(**options)
    raise UserError(f"task.kind={name} is unknown; choose one of {', '.join(KINDS)}")
