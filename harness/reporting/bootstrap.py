"""How far a score would move on other evaluation rows: bootstrap intervals from the predictions of a results folder."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from harness.records.predictions import Arrays, read_gold, read_predictions
from harness.reporting.candidates import Candidate
from harness.tasks.metrics import METRICS

RESAMPLES = 2000
LEVEL = 0.95
_BATCH_VALUES = 20_000_000  # predictions that are resampled at once, about 0.5 GB of them and their indices

Interval = tuple[float, float]


class Bootstrap:
    """Bootstrap distributions of scores over their evaluation rows (percentile method of `scipy.stats.bootstrap`).

    All runs on the same rows are scored on the same resamples, so that differences of two distributions are paired.
    Neither the choice of the config nor the seeds are resampled: a score is the mean over its seeds.
    """

    def __init__(self, results_dir: str | Path) -> None:
        self.results_dir = Path(results_dir)
        self._gold: dict[str, Arrays | None] = {}
        self._distributions: dict[tuple[tuple[str, ...], str], np.ndarray | None] = {}

    def distribution(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        """Headline score in points, mean over the completed seeds, on each of `RESAMPLES` resamples: `[RESAMPLES]`.

        None where predictions or gold labels are missing or the score is not defined on every resample.
        """
        # By run ids: runs of one config on other data or from another encoder have predictions of their own.
        key = tuple(record["run_id"] for record in candidate.completed), evaluation_set
        if key not in self._distributions:
            self._distributions[key] = self._bootstrap(candidate, evaluation_set)
        return self._distributions[key]

    def interval(self, candidate: Candidate, evaluation_set: str) -> Interval | None:
        """The interval of one score, in points; None where it has no distribution."""
        return interval(self.distribution(candidate, evaluation_set))

    def _gold_labels(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        """The gold labels `[N]` of the rows that the candidate was scored on."""
        keys = {(record.get("predictions") or {}).get("gold") for record in candidate.completed}
        if len(keys) != 1 or None in keys:
            return None
        (key,) = keys
        if key not in self._gold:
            self._gold[key] = read_gold(self.results_dir, key)
        return (self._gold[key] or {}).get(evaluation_set)

    def _bootstrap(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        gold = self._gold_labels(candidate, evaluation_set)
        found = [read_predictions(self.results_dir, record["run_id"]) or {} for record in candidate.completed]
        predictions = [arrays.get(evaluation_set) for arrays in found]
        metric = METRICS.get(candidate.task.headline)
        if metric is None or gold is None or any(one is None or len(one) != len(gold) for one in predictions):
            return None

        def mean_over_seeds(rows: np.ndarray, axis: int = -1) -> np.ndarray:
            return 100 * np.mean([metric.vectorised(one[rows], gold[rows]) for one in predictions], axis=0)

        # The stream depends on the rows alone: the same for every run that was scored on them.
        seed = zlib.crc32(f"{candidate.task.name} {evaluation_set} {len(gold)}".encode())
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            result = stats.bootstrap(
                (np.arange(len(gold)),),
                mean_over_seeds,
                vectorized=True,
                n_resamples=RESAMPLES,
                batch=max(1, min(RESAMPLES, _BATCH_VALUES // len(gold))),
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
