"""Answers as texts, compared as the official evaluation of SQuAD v1.1 does (Rajpurkar et al. 2016, section 6.1)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)  # deleted: "U.S." becomes "us"; other dashes stay
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, without articles, with single spaces; in this order."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answer: str) -> float:
    """1 where both are equal once normalised, else 0."""
    return float(normalise(prediction) == normalise(answer))


def token_f1(prediction: str, answer: str) -> float:
    """F1 over the multisets of words of the normalised texts, in [0, 1]; 0 where they share no word or have none."""
    ours, theirs = normalise(prediction).split(), normalise(answer).split()
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def best(
    measure: Callable[[str, str], float], predictions: Iterable[str], gold: Iterable[Sequence[str]]
) -> list[float]:
    """`measure` of each prediction and the best fitting of its gold answers."""
    return [max(measure(text, answer) for answer in answers) for text, answers in zip(predictions, gold, strict=True)]
