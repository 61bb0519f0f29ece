"""The rows of a run as text, before anything is tokenised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from datasets import Dataset

from harness.data.sources import rows_of, test_sets
from harness.data.splits import split_rows
from harness.sweeps.resolve import Run
from harness.tasks.protocols import scored_sets


@dataclass(frozen=True)
class RunRows:
    """What runs train on, are scored on and predict; `available` are the rows of each split before any limit."""

    train: Dataset
    scored: dict[str, Dataset]
    tests: dict[str, Dataset]
    available: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        return {"train": len(self.train)} | {name: len(split) for name, split in self.scored.items()}

    @property
    def test_numbers(self) -> dict[str, np.ndarray]:
        """The benchmark's own numbers of the test rows."""
        return {name: np.asarray(split["idx"], np.int32) for name, split in self.tests.items()}


def rows_of_runs(runs: Sequence[Run]) -> RunRows:
    """The rows that these runs share, cut to the row limits; test sets where one of the runs predicts them."""
    first = runs[0]
    loaded = rows_of(first.data, first.task)
    limits, protocol = first.config.data, asdict(first.config.protocol)
    rows = split_rows(
        loaded, first.task, protocol, max_train_rows=limits.max_train_rows, max_eval_rows=limits.max_eval_rows
    )
    predict_test = any(run.config.protocol.predict_test for run in runs)
    return RunRows(
        train=rows["train"],
        scored={name: rows[name] for name in scored_sets(protocol["name"], first.task)},
        tests=test_sets(first.data, first.task) if predict_test else {},
        available={name: len(loaded[name]) for name in first.task.labelled_splits},
    )
