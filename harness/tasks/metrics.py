"""The registry of metrics: each computed by a library for one set of predictions, and vectorised for the bootstrap.

Both are plain functions of `predictions` and `gold`, which are class ids or scores; of span tasks, the first takes
texts and the second what is stored. A test keeps them equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.tasks.answer_text import best
from harness.tasks.span import MEASURES

Values = np.ndarray


@dataclass(frozen=True)
class Metric:
    """One metric, for tasks of one `kind`; `labels` is the number of labels that it needs (None: any).

    `compute` takes two arrays `[N]` and returns a number in the metric's own range, None where it is undefined;
    `vectorised` takes arrays `[..., N]` and returns `[...]`, NaN where it is undefined.
    """

    name: str
    title: str
    description: str
    kind: str
    compute: Callable[[Values, Values], float | None]
    vectorised: Callable[[Values, Values], Values]
    labels: int | None = None


# scikit-learn and scipy are imported only where they are needed: tables of finished scores do without them.


def _accuracy(predictions: Values, gold: Values) -> float:
    return float(np.mean(np.asarray(predictions) == np.asarray(gold)))


def _f1(predictions: Values, gold: Values) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(gold, predictions, zero_division=0))


def _macro_f1(predictions: Values, gold: Values) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(gold, predictions, average="macro", zero_division=0))


def _matthews(predictions: Values, gold: Values) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(gold, predictions))


def _pearson(predictions: Values, gold: Values) -> float | None:
    from scipy.stats import pearsonr

    return None if why_undefined(predictions, gold) else float(pearsonr(predictions, gold).statistic)


def _spearman(predictions: Values, gold: Values) -> float | None:
    from scipy.stats import spearmanr

    return None if why_undefined(predictions, gold) else float(spearmanr(predictions, gold).statistic)


def why_undefined(predictions: Values, gold: Values) -> str | None:
    """Why the correlation of the two is undefined: one side is constant. None where it is defined."""
    for what, values in (("predictions", predictions), ("gold labels", gold)):
        if len(values) < 2 or np.ptp(values) == 0:
            return f"the {what} are constant"
    return None


def _accuracies(predictions: Values, gold: Values) -> Values:
    return np.mean(predictions == gold, axis=-1)


def _f1_scores(predictions: Values, gold: Values) -> Values:
    true = np.sum((predictions == 1) & (gold == 1), axis=-1)
    total = np.sum(predictions == 1, axis=-1) + np.sum(gold == 1, axis=-1)
    return 2 * true / np.maximum(total, 1)


def _label_counts(predictions: Values, gold: Values) -> tuple[Values, Values, Values]:
    """By label id, `[..., labels]`: correct answers, answers, gold labels. As fast for 2,000 labels as for 2."""
    predictions, gold = np.broadcast_arrays(predictions, gold)
    labels = int(max(predictions.max(), gold.max())) + 1
    samples = gold.reshape(-1, gold.shape[-1]).shape[0]
    first = labels * np.arange(samples)[:, None]

    def counts(values: Values, where: Values | None = None) -> Values:
        cells = (first + values.reshape(samples, -1)).ravel()
        found = np.bincount(cells if where is None else cells[where.ravel()], minlength=samples * labels)
        return found.reshape(*gold.shape[:-1], labels)

    return counts(gold, predictions == gold), counts(predictions), counts(gold)


def _macro_f1_scores(predictions: Values, gold: Values) -> Values:
    """The mean over the classes that occur among predictions or gold labels, as scikit-learn computes it."""
    right, ours, theirs = _label_counts(predictions, gold)
    total = ours + theirs
    return np.sum(2 * right / np.maximum(total, 1), axis=-1) / np.sum(total > 0, axis=-1)


def _matthews_correlations(predictions: Values, gold: Values) -> Values:
    """The correlation of indicator vectors of any number of classes (Gorodkin 2004); 0 where one side is constant."""
    right, ours, theirs = (counts / gold.shape[-1] for counts in _label_counts(predictions, gold))
    covariance = right.sum(axis=-1) - np.sum(ours * theirs, axis=-1)
    spread = np.sqrt(np.clip(1 - np.sum(ours**2, -1), 0, None) * np.clip(1 - np.sum(theirs**2, -1), 0, None))
    is_spread = spread > 1e-9  # a constant side leaves only rounding errors
    return np.where(is_spread, covariance / np.where(is_spread, spread, 1), 0.0)


def _pearson_correlations(predictions: Values, gold: Values) -> Values:
    ours, theirs = (values - values.mean(axis=-1, keepdims=True) for values in (predictions, gold))
    return np.sum(ours * theirs, axis=-1) / np.sqrt(np.sum(ours**2, axis=-1) * np.sum(theirs**2, axis=-1))


def _spearman_correlations(predictions: Values, gold: Values) -> Values:
    from scipy.stats import rankdata

    return _pearson_correlations(*(rankdata(values, axis=-1) for values in (predictions, gold)))


def _mean_of_best(name: str) -> Callable[[Values, Values], float]:
    return lambda predictions, gold: float(np.mean(best(MEASURES[name], predictions, gold)))


def _mean_of_stored(name: str) -> Callable[[Values, Values], Values]:
    """The mean of what each answer scored, which is stored with it; texts are not compared again."""
    return lambda predictions, gold: predictions[name].mean(axis=-1, dtype=np.float64)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "accuracy", "accuracy", "Share of correct answers, in [0, 1].", "classification",
            _accuracy, _accuracies,
        ),
        Metric(
            "f1", "F1", "F1 of label 1, in [0, 1]; 0 where label 1 is neither predicted nor present.",
            "classification", _f1, _f1_scores, labels=2,
        ),
        Metric(
            "macro_f1", "macro-F1", "Mean F1 over the labels that occur, in [0, 1].", "classification",
            _macro_f1, _macro_f1_scores,
        ),
        Metric(
            "matthews_correlation", "Matthews correlation",
            "Matthews correlation, in [-1, 1]; 0 by convention where the predictions are constant.",
            "classification", _matthews, _matthews_correlations,
        ),
        Metric(
            "pearson", "Pearson", "Pearson correlation, in [-1, 1]; undefined where a side is constant.", "regression",
            _pearson, _pearson_correlations,
        ),
        Metric(
            "spearman", "Spearman", "Spearman rank correlation, in [-1, 1]; undefined where a side is constant.",
            "regression", _spearman, _spearman_correlations,
        ),
        Metric(
            "token_f1", "F1", "Mean F1 over the words of each answer and its best fitting gold answer, in [0, 1], as "
            "SQuAD v1.1 is scored officially.", "span", _mean_of_best("token_f1"), _mean_of_stored("token_f1"),
        ),
        Metric(
            "exact_match", "exact match", "Share of answers that equal one of their gold answers once normalised, in "
            "[0, 1], as SQuAD v1.1 is scored officially.", "span",
            _mean_of_best("exact_match"), _mean_of_stored("exact_match"),
        ),
    )
}  # fmt: skip


def metric_title(name: str) -> str:
    """The metric's name in tables; a metric of a later version goes by its key."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ")
