"""How far a score would move on other evaluation rows, with other seeds and with another choice of config.

Evaluation rows and seeds are crossed, not nested: every seed of every method is scored on the same rows. Rows are
therefore resampled once for all runs that share them, and seeds once per task for all methods that have the same
ones, which pairs every comparison. Three corrections to resampling both at once, which is too wide where seeds err on
different rows, and too narrow where they are few:

- Seeds get normal weights instead of being drawn (the multiplier bootstrap): the variance of their mean is then
  unbiased, whereas drawing S of S seeds loses a third of it at S = 3, and there are more than a handful of draws.
- Seeds also differ because they err on different rows, which the resampled rows hold already. That part of the seeds'
  variance is estimated from the resampled rows (the interaction of a two-way layout) and taken out.
- The variance of a few seeds is itself uncertain: quantiles are Student's, with Satterthwaite's degrees of freedom.

`scripts/simulate_coverage.py` measures how often such intervals hold the true difference.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.records.predictions import Arrays, gold_path, predictions_of, predictions_path, read_gold
from harness.records.record import Record
from harness.reporting.candidates import Candidate
from harness.reporting.resampled import RESAMPLES as RESAMPLES
from harness.reporting.resampled import resampled_scores
from harness.tasks.metrics import METRICS

LEVEL = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Spread:
    """The bootstrap distribution of a score, or of a difference or mean of scores, in points; all arrays `[B]`.

    `rows`: on each resample of the evaluation rows. `seeds`: what each weighting of the seeds adds, None with one seed.
    `doubled`: the variance in `seeds` that `rows` has as well. `freedom`: degrees of freedom behind `seeds`.
    """

    rows: np.ndarray
    seeds: np.ndarray | None = None
    doubled: float = 0.0
    freedom: float = np.inf

    @classmethod
    def around(cls, points: float, draws: np.ndarray) -> Spread:
        """A distribution over rows and seeds together, moved so that its mean is `points`."""
        return cls(draws - draws.mean() + points, np.zeros(len(draws)))

    @cached_property
    def _scaled_seeds(self) -> np.ndarray | None:
        """`seeds` without what is in `rows` already."""
        if self.seeds is None:
            return None
        variance = float(np.var(self.seeds))
        return self.seeds * np.sqrt(max(0.0, 1 - self.doubled / variance) if variance else 0.0)

    @cached_property
    def draws(self) -> np.ndarray | None:
        """The distribution over rows and seeds; None with a single seed."""
        return None if self._scaled_seeds is None else self.rows + self._scaled_seeds

    def interval(self, level: float = LEVEL) -> Interval:
        """The percentiles over the evaluation rows that hold `level` between them."""
        return percentiles(self.rows, level)

    def interval_with_seeds(self, level: float = LEVEL) -> Interval | None:
        """The same over rows and seeds, widened for few seeds; None with a single seed."""
        if self.draws is None:
            return None
        return percentiles(self.draws, level, self._freedom_of_draws)

    @property
    def _freedom_of_draws(self) -> float:
        """Satterthwaite's: the rows' variance is taken as known."""
        of_seeds = float(np.var(self._scaled_seeds))
        return self.freedom * (float(np.var(self.draws)) / of_seeds) ** 2 if of_seeds else np.inf


class Bootstrap:
    """Bootstrap distributions of the scores of a results folder's runs, from their predictions.

    All runs on the same rows are scored on the same resamples, so that differences of two distributions are paired.
    Every distribution is computed once.
    """

    def __init__(self, results_dir: str | Path) -> None:
        self.results_dir = Path(results_dir)
        self.damaged: set[Path] = set()  # files of predictions and gold labels that are not what the records name
        self._gold: dict[str, Arrays] = {}
        self._scores: dict[tuple[str, str, str], np.ndarray | None] = {}  # [B] by run, evaluation set and metric
        self._spreads: dict[tuple[tuple[str, ...], str, str], Spread | None] = {}

    def spread(self, candidate: Candidate, evaluation_set: str, metric: str | None = None) -> Spread | None:
        """Of the score in points, mean over the completed seeds; the headline score unless `metric` names another.

        None where predictions or gold labels are missing or the score is not defined on every resample.
        """
        metric = metric or candidate.task.headline
        # By run ids: runs of one config on other data or from another encoder have predictions of their own.
        key = tuple(record["run_id"] for record in candidate.completed), evaluation_set, metric
        if key not in self._spreads:
            self._spreads[key] = self._spread(candidate, evaluation_set, metric)
        return self._spreads[key]

    def _spread(self, candidate: Candidate, evaluation_set: str, metric: str) -> Spread | None:
        runs = self.scores(candidate.completed, evaluation_set, metric)
        whole = [record["scores"].get(evaluation_set, {}).get(metric) for record in candidate.completed]
        if runs is None or not np.isfinite(runs).all() or None in whole:
            return None
        seeds = [record["config"].get("train", {}).get("seed") for record in candidate.completed]
        return spread_of(runs, 100 * np.array(whole), f"{candidate.task.name} {seeds}")

    def interval(self, candidate: Candidate, evaluation_set: str) -> Interval | None:
        """The interval of one score over its evaluation rows, in points; None where it has no distribution."""
        spread = self.spread(candidate, evaluation_set)
        return spread.interval() if spread else None

    def selected(self, spread: Spread, rivals: Sequence[Candidate], evaluation_set: str) -> Spread | None:
        """`spread`, the chosen candidate's, with the choice made again on each resample of the selection split.

        `rivals` are all candidates that could be chosen. Where the selection split is reported, both are one resample;
        the mean stays where it was, since the optimism of such a choice is a bias and no spread. None where
        predictions on the selection split are missing.
        """
        if len(rivals) < 2:
            return spread
        chosen_on = [self._means(one, one.chosen_on) for one in rivals]
        reported = [self._means(one, evaluation_set) for one in rivals]
        if any(one is None for one in (*chosen_on, *reported)):
            return None
        ranks = np.nan_to_num(np.stack(chosen_on), nan=-np.inf)
        picked = np.take_along_axis(np.stack(reported), ranks.argmax(axis=0)[None], axis=0)[0]
        if not np.isfinite(picked).all():
            return None
        return replace(spread, rows=picked - picked.mean() + spread.rows.mean())

    def scores(self, records: Sequence[Record], evaluation_set: str, metric: str) -> np.ndarray | None:
        """Scores in points of runs with the same gold labels on each resample, `[runs, B]`; None where one lacks."""
        keys = [(record["run_id"], evaluation_set, metric) for record in records]
        new = [record for record, key in zip(records, keys, strict=True) if key not in self._scores]
        if new:
            found = self._resample(new, evaluation_set, metric)
            for i, record in enumerate(new):
                self._scores[record["run_id"], evaluation_set, metric] = None if found is None else found[i]
        scores = [self._scores[key] for key in keys]
        return None if not scores or any(one is None for one in scores) else np.stack(scores)

    def _means(self, candidate: Candidate, evaluation_set: str) -> np.ndarray | None:
        """Means over seeds of the headline score on each resample."""
        runs = self.scores(candidate.completed, evaluation_set, candidate.task.headline)
        return None if runs is None else runs.mean(axis=0)

    def _resample(self, records: Sequence[Record], evaluation_set: str, metric: str) -> np.ndarray | None:
        gold = self._gold_labels(records, evaluation_set)
        if metric not in METRICS or gold is None:
            return None
        found = [self._predictions(record) for record in records]
        predictions = [arrays.get(evaluation_set) for arrays in found]
        if any(one is None or len(one) != len(gold) for one in predictions):
            return None
        # The stream depends on the rows alone: the same for every run that was scored on them.
        name = records[0]["config"]["task"]["name"]
        seed = zlib.crc32(f"{name} {evaluation_set} {len(gold)}".encode())
        return 100 * resampled_scores(metric, np.stack(predictions), gold, seed)

    def _gold_labels(self, records: Sequence[Record], evaluation_set: str) -> np.ndarray | None:
        """The gold labels `[N]` of the rows that these runs were scored on."""
        keys = {(record.get("predictions") or {}).get("gold") for record in records}
        if len(keys) != 1 or None in keys:
            return None
        (key,) = keys
        if key not in self._gold:
            self._gold[key] = self._whole(read_gold(self.results_dir, key), gold_path(self.results_dir, key))
        return self._gold[key].get(evaluation_set)

    def _predictions(self, record: Record) -> Arrays:
        return self._whole(
            predictions_of(self.results_dir, record), predictions_path(self.results_dir, record["run_id"])
        )

    def _whole(self, arrays: Arrays | None, path: Path) -> Arrays:
        """What was read from a file, or nothing; a file that is there and of no use is noted."""
        if arrays is None and path.exists():
            self.damaged.add(path)
        return arrays or {}


def spread_of(runs: np.ndarray, whole: np.ndarray, stream: str) -> Spread:
    """The spread of the mean of S runs: `runs` `[S, B]` on each resample of their rows, `whole` `[S]` on all rows.

    Means with the same `stream`, which names task and seeds, meet the same weights of seeds.
    """
    count, resamples = runs.shape
    rows = runs.mean(axis=0)
    if count < 2:
        return Spread(rows)
    weights = np.random.default_rng(zlib.crc32(stream.encode())).standard_normal((resamples, count))
    pairs = count * (count - 1)  # the variance of a mean is the sum of squared deviations over this
    doubled = float(np.var(runs - rows, axis=1).sum()) / pairs
    return Spread(rows, weights @ (whole - whole.mean()) / np.sqrt(pairs), doubled, count - 1)


def percentiles(draws: np.ndarray, level: float = LEVEL, freedom: float = np.inf) -> Interval:
    """The percentiles of a distribution that hold `level` between them, as far from its mean as Student's say."""
    from scipy import stats

    middle, tails = float(np.mean(draws)), [(1 - level) / 2, (1 + level) / 2]
    wider = float(stats.t.ppf(tails[1], freedom) / stats.norm.ppf(tails[1])) if np.isfinite(freedom) else 1.0
    low, high = (middle + wider * (float(one) - middle) for one in np.quantile(draws, tails))
    return low, high


def interval(spread: Spread | None) -> Interval | None:
    """The interval over the evaluation rows, where there is a distribution."""
    return spread.interval() if spread else None


def mean_of(spreads: Sequence[Spread | None]) -> Spread | None:
    """The distribution of a mean over tasks, whose rows are independent; None unless every task has one.

    Without `seeds` where one task has a single seed.
    """
    if not spreads or any(one is None for one in spreads):
        return None
    rows = np.mean([one.rows for one in spreads], axis=0)
    if any(one.seeds is None for one in spreads):
        return Spread(rows)
    variances = np.array([np.var(one.seeds) for one in spreads])
    each = float(np.sum(variances**2 / [one.freedom for one in spreads]))
    freedom = float(variances.sum() ** 2 / each) if each else np.inf
    doubled = sum(one.doubled for one in spreads) / len(spreads) ** 2
    return Spread(rows, np.mean([one.seeds for one in spreads], axis=0), doubled, freedom)


def difference(ours: Spread | None, theirs: Spread | None) -> Spread | None:
    """The paired difference of two distributions over the same resamples."""
    if ours is None or theirs is None:
        return None
    rows = ours.rows - theirs.rows
    if ours.seeds is None or theirs.seeds is None:
        return Spread(rows)
    return Spread(rows, ours.seeds - theirs.seeds, ours.doubled + theirs.doubled, min(ours.freedom, theirs.freedom))
