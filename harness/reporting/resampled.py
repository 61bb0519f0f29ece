"""Scores of many runs on the same bootstrap resamples of their evaluation rows.

A resample is how often each row was drawn, so that the sums behind most metrics are one matrix product for all runs.
Metrics without such a form are scored row by row, by their own `vectorised`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from harness.tasks.metrics import METRICS

RESAMPLES = 2000
_BATCH_VALUES = 20_000_000  # rows that are drawn at once, about 0.3 GB with what is computed from them

Values = np.ndarray


def resampled_scores(metric: str, predictions: Values, gold: Values, seed: int) -> np.ndarray:
    """Scores in the metric's own range, `[R, RESAMPLES]`, of predictions `[R, N]` on the resamples of that seed.

    NaN where a score is undefined.
    """
    rows = len(gold)
    weighted = _WEIGHTED.get(metric)
    with np.errstate(invalid="ignore", divide="ignore"):
        if weighted is not None:
            counts = row_counts(rows, seed)
            step = _step(rows)
            parts = [weighted(predictions, gold, counts[i : i + step]) for i in range(0, RESAMPLES, step)]
        else:
            vectorised = METRICS[metric].vectorised
            parts = [np.stack([vectorised(one[drawn], gold[drawn]) for one in predictions])
                     for drawn in _drawn(rows, seed)]  # fmt: skip
    return np.concatenate(parts, axis=1)


@lru_cache(maxsize=2)  # tables ask for all methods of one task in a row; 81 MB for the 40,430 rows of QQP
def row_counts(rows: int, seed: int) -> np.ndarray:
    """How often each row is in each resample: `[RESAMPLES, rows]`, uint8."""
    counts = np.empty((RESAMPLES, rows), np.uint8)
    start = 0
    for drawn in _drawn(rows, seed):
        cells = drawn + rows * np.arange(len(drawn))[:, None]
        counts[start : start + len(drawn)] = np.bincount(cells.ravel(), minlength=cells.size).reshape(drawn.shape)
        start += len(drawn)
    return counts


def _drawn(rows: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers `[batch, rows]`, the same whatever the batch."""
    rng, step = np.random.default_rng(seed), _step(rows)
    for start in range(0, RESAMPLES, step):
        yield rng.integers(0, rows, (min(step, RESAMPLES - start), rows))


def _step(rows: int) -> int:
    return max(1, min(RESAMPLES, _BATCH_VALUES // max(rows, 1)))


# Of `predictions` [R, N], `gold` [N] and `counts` [batch, N]: [R, batch].


def _sums(values: Values, counts: Values) -> np.ndarray:
    """Sums over rows; fp32 is exact for indicators, whose sums are below 2 ** 24."""
    return (values.astype(np.float32) @ counts.astype(np.float32).T).astype(np.float64)


def _accuracies(predictions: Values, gold: Values, counts: Values) -> np.ndarray:
    return _sums(predictions == gold, counts) / len(gold)


def _f1_scores(predictions: Values, gold: Values, counts: Values) -> np.ndarray:
    positive, runs = gold == 1, len(predictions)
    sums = _sums(np.concatenate([(predictions == 1) & positive, predictions == 1, positive[None]]), counts)
    return 2 * sums[:runs] / np.maximum(sums[runs:-1] + sums[-1], 1)


def _spearman_correlations(predictions: Values, gold: Values, counts: Values) -> np.ndarray:
    weights, theirs = counts.astype(np.float64), _ranks(gold, counts)
    return np.stack([_correlations(_ranks(one, counts), theirs, weights) for one in predictions])


def _ranks(values: Values, counts: Values) -> np.ndarray:
    """Average ranks `[batch, N]` of each row's value within each resample."""
    _, place, copies = np.unique(values, return_inverse=True, return_counts=True)
    ordered = counts[:, np.argsort(place, kind="stable")].astype(np.int32)
    drawn = np.add.reduceat(ordered, np.cumsum(copies) - copies, axis=1)
    return (np.cumsum(drawn, axis=1) - (drawn - 1) / 2)[:, place]


def _correlations(ours: Values, theirs: Values, weights: Values) -> np.ndarray:
    ours, theirs = (v - np.sum(weights * v, -1, keepdims=True) / weights.shape[-1] for v in (ours, theirs))
    pairs = ((ours, theirs), (ours, ours), (theirs, theirs))
    together, *squares = (np.sum(weights * a * b, axis=-1) for a, b in pairs)
    return together / np.sqrt(squares[0] * squares[1])


def _mean_of_stored(name: str) -> Callable[[Values, Values, Values], np.ndarray]:
    return lambda predictions, gold, counts: predictions[name].astype(np.float64) @ counts.T / len(gold)


_WEIGHTED: dict[str, Callable[[Values, Values, Values], np.ndarray]] = {
    "accuracy": _accuracies,
    "f1": _f1_scores,
    "spearman": _spearman_correlations,
    "token_f1": _mean_of_stored("token_f1"),
    "exact_match": _mean_of_stored("exact_match"),
}
