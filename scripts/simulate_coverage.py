"""How often the report's intervals hold a known difference: adapters against full fine-tuning, on simulated answers.

python scripts/simulate_coverage.py --simulations 500

An answer is right where a sum of normal variables is positive: one per row, one per row and method, one per method and
seed (how good a seed is everywhere), and one for each answer. The true accuracy is therefore known, and so is the
true difference of the mean over tasks. A fresh sample of rows and seeds is drawn every time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.reporting.bootstrap import Spread, difference, mean_of, spread_of
from harness.reporting.judging import HOLDS, TEST_LEVEL, Region
from harness.reporting.resampled import resampled_scores

GLUE_ROWS = (1043, 872, 408, 1500, 1000, 1000, 1000, 1000, 277)  # GLUE's columns, the large ones cut
ROW, ROW_AND_METHOD = 0.5, 0.2  # shares of the variance; the rest is the seed's and the answer's own


@dataclass(frozen=True)
class Coverage:
    """Shares of simulations in which an interval held the truth, and in which "within" the true gap was confirmed."""

    rows_only: float
    with_seeds: float
    wrongly_within: float  # at a true difference of exactly minus the margin: at most 5 %
    width: float  # mean width of the interval over rows and seeds, in points


def coverage(
    simulations: int,
    *,
    rows: Sequence[int] = GLUE_ROWS,
    seeds: int = 3,
    seed_points: float = 1.0,
    gap: float = -0.8,
    accuracy: float = 0.8,
    stream: int = 0,
) -> Coverage:
    """Of the mean over tasks with those numbers of rows. `seed_points`: standard deviation of the seeds, in points.

    `gap`: the true difference in points.
    """
    rng = np.random.default_rng(stream)
    spreads = _simulate(rng, simulations, rows, seeds, seed_points, gap, accuracy)
    plain = np.array([spread.interval() for spread in spreads])
    wide = np.array([spread.interval_with_seeds() for spread in spreads])
    within = Region.within(-gap)
    return Coverage(
        rows_only=float(np.mean((plain[:, 0] < gap) & (gap < plain[:, 1]))),
        with_seeds=float(np.mean((wide[:, 0] < gap) & (gap < wide[:, 1]))),
        wrongly_within=float(np.mean([within.verdict(s.interval_with_seeds(TEST_LEVEL)) == HOLDS for s in spreads])),
        width=float(np.mean(wide[:, 1] - wide[:, 0])),
    )


def _simulate(
    rng: np.random.Generator,
    simulations: int,
    rows: Sequence[int],
    seeds: int,
    seed_points: float,
    gap: float,
    accuracy: float,
) -> list[Spread]:
    """The spread of the mean difference in each simulation."""
    means = stats.norm.ppf([accuracy + gap / 100, accuracy])  # of adapters, of full fine-tuning
    of_seed = (seed_points / 100 / stats.norm.pdf(means[1])) ** 2  # the derivative of accuracy by the mean
    own = 1 - ROW - ROW_AND_METHOD - of_seed

    def normal(variance: float, *shape: int) -> np.ndarray:
        return np.sqrt(variance) * rng.standard_normal((simulations, *shape))

    def differences(task: int, count: int) -> list[Spread]:
        shared = normal(ROW, 1, 1, count) + normal(ROW_AND_METHOD, 2, 1, count)
        is_right = means[:, None, None] + shared + normal(of_seed, 2, seeds, 1) + normal(own, 2, seeds, count) > 0
        runs = is_right.reshape(-1, count).astype(np.int8)
        scores = 100 * resampled_scores("accuracy", runs, np.ones(count, np.int8), task)
        resampled, whole = scores.reshape(simulations, 2, seeds, -1), 100 * is_right.mean(axis=-1)
        sides = [[spread_of(resampled[i, side], whole[i, side], f"{task}") for side in (0, 1)]
                 for i in range(simulations)]  # fmt: skip
        return [difference(*pair) for pair in sides]

    by_task = [differences(task, count) for task, count in enumerate(rows)]
    return [mean_of(spreads) for spreads in zip(*by_task, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=500, help="per line (default: 500)")
    count = parser.parse_args().simulations
    print("| Tasks | Seeds | Spread of seeds | Rows only | Rows and seeds | 'Within' confirmed at its margin | Width |")
    print("| ----- | ----: | --------------: | --------: | -------------: | -------------------------------: | ----: |")
    for rows, name in ((GLUE_ROWS, "nine"), ((1043,), "one of 1,043 rows")):
        for seeds, seed_points in ((3, 0.0), (3, 1.0), (3, 3.0), (5, 1.0)):
            found = coverage(count, rows=rows, seeds=seeds, seed_points=seed_points)
            told = f"{found.rows_only:.1%} | {found.with_seeds:.1%} | {found.wrongly_within:.1%} | {found.width:.2f}"
            print(f"| {name} | {seeds} | {seed_points:g} | {told} |", flush=True)


if __name__ == "__main__":
    main()
