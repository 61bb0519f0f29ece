"""The baseline without an encoder: TF-IDF vectors with a linear model, the best of a small grid."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from harness.errors import UserError
from harness.method_config import TfidfConfig
from harness.tasks.task import Task
from harness.training.evaluate_metrics import score

# Character n-grams of more text than this take more than 16 GB; such sets are large enough for words alone.
MOST_CHARACTERS = 60_000_000
_ITERATIONS = 300  # of L-BFGS; the grid's weakest penalty needs most
_ANALYSERS: dict[str, dict[str, Any]] = {
    # Punctuation marks are words: "!" and "?" tell much about a tweet.
    "word": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"},
    "char": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}


@dataclass(frozen=True)
class Texts:
    """N rows: one list of texts per column, and the gold labels `[N]`."""

    columns: list[list[str]]
    gold: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """The model of the best point of the grid; `tried` are all points with their scores on the selection split."""

    features: Features
    model: LogisticRegression | Ridge
    chosen: dict[str, Any]
    tried: list[dict[str, Any]]

    def predict(self, columns: Sequence[Sequence[str]]) -> np.ndarray:
        """Answers `[N]`: class ids or scores."""
        return self.model.predict(self.features.of(columns))

    @property
    def coefficients(self) -> int:
        """Coefficients and intercepts of the model: what is trained."""
        return int(np.size(self.model.coef_) + np.size(self.model.intercept_))


class Features:
    """Sparse vectors of rows: TF-IDF weights of word or character n-grams, or both (`word+char`).

    A pair of texts a, b, with TF-IDF vectors over one vocabulary, becomes [a, b, |a − b|, a ∘ b, cosine(a, b)].
    """

    def __init__(self, vectorisers: Sequence[TfidfVectorizer]) -> None:
        self._vectorisers = vectorisers

    def of(self, columns: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """The vectors `[N, features]` of N rows."""
        return sparse.hstack([_joined([one.transform(c) for c in columns]) for one in self._vectorisers], format="csr")


def fit(
    task: Task,
    method: TfidfConfig,
    train: Texts,
    selection: Texts,
    on_step: Callable[[int, int, float | None], None] = lambda *_: None,
) -> Fitted:
    """Fit every point of the grid on `train`, and keep the one with the best headline score on `selection`.

    Ties go to the earlier features and the stronger regularisation; undefined scores rank last. `on_step` gets the
    number of points that are done, their total, and None for a loss. Raises `UserError` for training rows with one
    label only.
    """
    if len(np.unique(train.gold)) < 2:
        label = task.kind.shown(train.gold[0])
        raise UserError(f"method=tfidf needs two different labels to learn from; all training rows have {label}")
    names = _affordable(method.features, train.columns)
    vectorisers = {
        part: _vectoriser(part, method.max_features).fit([text for column in train.columns for text in column])
        for part in _ANALYSERS
        if any(part in name.split("+") for name in names)
    }
    best: tuple[float, Fitted] | None = None
    tried: list[dict[str, Any]] = []
    steps = len(names) * len(method.inverse_penalty)
    for name in names:
        features = Features([vectorisers[part] for part in name.split("+")])
        vectors, selection_vectors = features.of(train.columns), features.of(selection.columns)
        for inverse in sorted(method.inverse_penalty):
            model = _MODELS[task.kind.name](inverse)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the selection split judges what came of it
                model.fit(vectors, train.gold)
            value = score(task, model.predict(selection_vectors), selection.gold)[0][task.headline]
            point = {"features": name, "inverse_penalty": inverse}
            tried.append(point | {"score": value})
            rank = -np.inf if value is None else value
            if best is None or rank > best[0]:
                best = rank, Fitted(features, model, point, tried)
            on_step(len(tried), steps, None)
    return best[1]


def _affordable(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """The features of the grid that fit into memory: those of characters only for up to `MOST_CHARACTERS`."""
    characters = sum(len(text) for column in columns for text in column)
    kept = [name for name in names if characters <= MOST_CHARACTERS or name == "word"]
    return kept or ["word"]


def _vectoriser(part: str, max_features: int) -> TfidfVectorizer:
    return TfidfVectorizer(**_ANALYSERS[part], sublinear_tf=True, max_features=max_features, dtype=np.float32)


def _joined(texts: Sequence[sparse.csr_matrix]) -> sparse.csr_matrix:
    """The features of one text or of a pair."""
    if len(texts) == 1:
        return texts[0]
    first, second = texts
    product = first.multiply(second)
    cosine = sparse.csr_matrix(product.sum(axis=1))  # the vectors have unit length
    return sparse.hstack([first, second, abs(first - second), product, cosine], format="csr")


# The linear model by kind of task, from the inverse strength of its L2 penalty.
_MODELS: Mapping[str, Callable[[float], Any]] = {
    "classification": lambda inverse: LogisticRegression(C=inverse, max_iter=_ITERATIONS, tol=1e-3),
    "regression": lambda inverse: Ridge(alpha=1 / inverse),
}
