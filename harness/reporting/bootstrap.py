"""How far a score would move on other evaluation rows: bootstrap intervals from the predictions of a results folder."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from harness.records.predictions import Arrays, read_gold, read_predictions
from harness.reporting.groups import Candidate
from harness.tasks.metrics import METRICS
from harness.tasks.task import Task

RESAMPLES = 2000
LEVEL = 0.95
_BATCH_VALUES = 20_000_000  # predictions that are resampled at once, about 0.5 GB of them and their indices

Interval = tuple[float, float]


class Uncertainty:
    """Bootstrap distributions of scores over their evaluation rows (percentile method of `scipy.stats.bootstrap`).

    All runs on the same rows meet the same resamples, so that differences of two distributions are paired.
    What is not resampled is the choice of the config, and the seeds: a score is the mean over its seeds.
    """

    def __init__(self, results_dir: str | Path) -> None:
        self.results_dir = Path(results_dir)
        self._references: dict[str, Arrays | None] = {}
        self._distributions: dict[tuple[str, str], np.ndarray | None] = {}

    def distribution(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        """Headline score in points, mean over the completed seeds, on each of `RESAMPLES` resamples: `[RESAMPLES]`.

        None where predictions or labels are not in the folder or the score is not defined on every resample.
        """
        where = candidate.key, evaluation_set
        if where not in self._distributions:
            self._distributions[where] = self._bootstrap(candidate, evaluation_set)
        return self._distributions[where]

    def rows(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        """The labels `[N]` of the rows that the candidate was scored on."""
        keys = {(record.get("predictions") or {}).get("gold") for record in candidate.completed}
        if len(keys) != 1 or None in keys:
            return None
        (key,) = keys
        if key not in self._references:
            self._references[key] = read_gold(self.results_dir, key)
        return (self._references[key] or {}).get(evaluation_set)

    def _bootstrap(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        references = self.rows(candidate, evaluation_set)
        found = [read_predictions(self.results_dir, record["run_id"]) or {} for record in candidate.completed]
        predictions = [arrays.get(evaluation_set) for arrays in found]
        if references is None or any(one is None or len(one) != len(references) for one in predictions):
            return None
        metric = METRICS[candidate.task.headline].vectorised

        def mean_over_seeds(rows: np.ndarray, axis: int = -1) -> np.ndarray:
            return 100 * np.mean([metric(one[rows], references[rows]) for one in predictions], axis=0)

        # The stream depends on the rows alone, so that it is the same for every run that was scored on them.
        seed = zlib.crc32(f"{candidate.task.name} {evaluation_set} {len(references)}".encode())
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            result = stats.bootstrap(
                (np.arange(len(references)),),
                mean_over_seeds,
                vectorized=True,
                n_resamples=RESAMPLES,
                batch=max(1, min(RESAMPLES, _BATCH_VALUES // len(references))),
                confidence_level=LEVEL,
                method="percentile",
                rng=np.random.default_rng(seed),
            )
        return result.bootstrap_distribution if np.isfinite(result.bootstrap_distribution).all() else None


def interval(distribution: np.ndarray | None) -> Interval | None:
    """The percentiles that hold `LEVEL` of a bootstrap distribution between them."""
    if distribution is None:
        return None
    low, high = np.quantile(distribution, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_of(distributions: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The distribution of a mean over tasks, whose rows are independent; None unless every task has one."""
    if not distributions or any(one is None for one in distributions):
        return None
    return np.mean(distributions, axis=0)


def difference(ours: np.ndarray | None, theirs: np.ndarray | None) -> np.ndarray | None:
    """The paired difference of two distributions over the same resamples."""
    return None if ours is None or theirs is None else ours - theirs


def headline_scores(task: Task, predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The task's headline metric along the last axis, in the metric's own range: `[..., N]` -> `[...]`."""
    return _METRICS[task.headline](predictions, references)


# The metrics of harness/tasks/metrics.py over many resamples at once; a test holds them against those.


def _accuracy(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    return np.mean(predictions == references, axis=-1)


def _f1(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    true = np.sum((predictions == 1) & (references == 1), axis=-1)
    total = np.sum(predictions == 1, axis=-1) + np.sum(references == 1, axis=-1)
    return 2 * true / np.maximum(total, 1)


def _matthews(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Of two classes: the correlation of two 0/1 variables, 0 where one is constant."""
    rows = references.shape[-1]
    both = np.sum((predictions == 1) & (references == 1), axis=-1) / rows
    ours, theirs = np.mean(predictions == 1, axis=-1), np.mean(references == 1, axis=-1)
    spread = np.sqrt(ours * (1 - ours) * theirs * (1 - theirs))
    return np.where(spread > 0, (both - ours * theirs) / np.where(spread > 0, spread, 1), 0.0)


def _spearman(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """NaN where a side is constant."""
    ranks = [stats.rankdata(values, axis=-1) for values in (predictions, references)]
    ours, theirs = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    return np.sum(ours * theirs, axis=-1) / np.sqrt(np.sum(ours**2, axis=-1) * np.sum(theirs**2, axis=-1))


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews_correlation": _matthews,
    "spearman": _spearman,
}
