"""The kind of tasks whose answer is a span of a text: extractive question answering."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.tasks.answer_text import best, exact_match, token_f1

MEASURES = {"exact_match": exact_match, "token_f1": token_f1}  # by the names of their metrics
# What is stored of an answer: its characters in the context (-1: none), and what it scored.
STORED = np.dtype([("start", "i4"), ("end", "i4"), *((name, "f4") for name in MEASURES)])


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is `context[start:end]`; `score` is the sum of the start and the end logit."""

    text: str
    start: int = -1
    end: int = -1
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Gold:
    """The gold answers of one question, by its id in the data set."""

    id: str
    answers: tuple[str, ...]


def objects(items: Iterable[Any]) -> np.ndarray:
    """The items as an array `[N]`."""
    items = list(items)
    return np.fromiter(items, object, len(items))


@dataclass(frozen=True)
class Span:
    """The answer is a part of the second text of at most `max_answer_tokens` tokens.

    Longer texts are cut into windows that share `stride` tokens. Answers are arrays `[N]` of `Answer`, gold labels
    of `Gold`.
    """

    stride: int = 128
    max_answer_tokens: int = 30
    name: ClassVar[str] = "span"
    labels: ClassVar[tuple[str, ...]] = ()
    default_text: ClassVar[tuple[str, ...]] = ("question", "context")
    default_metrics: ClassVar[tuple[str, ...]] = ("token_f1", "exact_match")
    tolerance: ClassVar[float] = 0.0  # answers are equal or not
    unlabelled: ClassVar[None] = None
    outputs: ClassVar[int] = 2  # a start and an end logit per token

    def describe(self) -> dict[str, Any]:
        return {"stride": self.stride, "max_answer_tokens": self.max_answer_tokens}

    def decide(self, logits: np.ndarray) -> np.ndarray:
        raise TypeError("logits of windows become answers in harness.data.windows, which knows their texts")

    def constant(self, train_gold: np.ndarray, count: int) -> np.ndarray:
        """The most frequent gold answer of the training questions; ties go to the first."""
        counts = Counter(gold.answers[0] for gold in train_gold)
        return objects([Answer(counts.most_common(1)[0][0])] * count)

    def is_constant(self, answers: np.ndarray) -> bool:
        return len({answer.text for answer in answers}) == 1

    def compared(self, answers: np.ndarray, gold: np.ndarray) -> tuple[list[str], list[list[str]]]:
        return [answer.text for answer in answers], [list(one.answers) for one in gold]

    def compact(self, answers: np.ndarray, gold: np.ndarray) -> np.ndarray:
        texts, references = self.compared(answers, gold)
        stored = np.empty(len(answers), STORED)
        stored["start"], stored["end"] = ([getattr(one, name) for one in answers] for name in ("start", "end"))
        for name, measure in MEASURES.items():
            stored[name] = best(measure, texts, references)
        return stored

    def compact_gold(self, gold: np.ndarray) -> np.ndarray:
        """A hash of each question's id and answers, uint64: enough to tell whether two runs had the same ones."""
        digests = (hashlib.sha256(json.dumps([one.id, one.answers]).encode()).digest() for one in gold)
        return np.asarray([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)

    def differing(self, answers: np.ndarray, stored: np.ndarray) -> int:
        return sum(
            (one.start, one.end) != place for one, place in zip(answers, stored[["start", "end"]].tolist(), strict=True)
        )

    def official(self, answers: np.ndarray, gold: np.ndarray) -> dict[str, str]:
        return {one.id: answer.text for one, answer in zip(gold, answers, strict=True)}

    def parse(self, text: str) -> str:
        return text

    def shown(self, value: Any) -> str:
        return value.text if isinstance(value, Answer) else value["text"][0]

    def probabilities(self, logits: np.ndarray) -> dict[str, float]:
        return {}
