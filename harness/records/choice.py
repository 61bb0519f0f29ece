"""Selection protocols: which rows choose among the runs of a sweep, and which are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import UserError
from harness.records.record import Record, task_of
from harness.reporting.method_names import canonical
from harness.tasks.glue import Task

if TYPE_CHECKING:  # the reporting side never loads it
    from datasets import Dataset, DatasetDict

HOLDOUT = "holdout"  # the split that the protocol of that name takes from the training rows


def choosing_set(protocol: str, task: Task) -> str:
    """The evaluation set whose headline score chooses: the holdout, or the first official validation set."""
    return HOLDOUT if protocol == "holdout" else task.evaluation_sets[0]


def scored_sets(protocol: str, task: Task) -> tuple[str, ...]:
    """The evaluation sets on which a run is scored."""
    return (HOLDOUT, *task.evaluation_sets) if protocol == "holdout" else task.evaluation_sets


def chosen_on(record: Record) -> str:
    """The evaluation set that chooses among runs like this one."""
    return choosing_set(record["config"]["protocol"]["name"], task_of(record))


def choice_score(record: Record) -> float | None:
    """Headline score on the rows that choose (never on others); None where it is undefined or not reached."""
    headline = task_of(record).headline
    return record.get("scores", {}).get(chosen_on(record), {}).get(headline)


def choosing_rows(record: Record) -> str:
    """Equal for runs of a task whose choice scores are of the same rows, and so can be compared."""
    data, protocol = record["config"]["data"], record["config"]["protocol"]
    if chosen_on(record) == HOLDOUT:
        drawn = {"protocol": protocol, "max_train_rows": data["max_train_rows"]}
    else:
        drawn = {"max_eval_rows": data["max_eval_rows"]}
    return canonical([record["data"]["fingerprint"], chosen_on(record), drawn])


def by_choice(record: Record) -> tuple[bool, float, int, str]:
    """Sort key of runs, best first: undefined scores last, ties to fewer trained parameters, then to the run id."""
    score = choice_score(record)
    return score is None, -(score or 0.0), record["parameters"]["trained"], record["run_id"]


def best_run(runs: Sequence[Record], *, where: Path, remedy: str) -> Record:
    """The first of these runs of one task `by_choice`; `UserError` where their choice scores cannot be compared."""
    if len({choosing_rows(run) for run in runs}) > 1:
        protocols = ", ".join(sorted({run["config"]["protocol"]["name"] for run in runs}))
        raise UserError(
            f"the runs of {task_of(runs[0]).title} in {where} were chosen on different rows (protocols {protocols}, or "
            f"other row limits or data); {remedy}"
        )
    return min(runs, key=by_choice)


def split_rows(
    loaded: DatasetDict,
    task: Task,
    protocol: Mapping[str, Any],
    *,
    max_train_rows: int | None,
    max_eval_rows: int | None,
) -> dict[str, Dataset]:
    """The rows of a run: `train` and its scored sets, after the row limits and what the protocol holds out.

    `protocol` is its config as a mapping: `name`, and of the holdout `fraction` and `seed`.
    """
    rows = {"train": limit_rows(loaded["train"], max_train_rows)}
    if protocol["name"] == "holdout":
        options = {"fraction": protocol["fraction"], "seed": protocol["seed"]}
        rows["train"], rows[HOLDOUT] = hold_out(rows["train"], **options)
    return rows | {name: limit_rows(loaded[name], max_eval_rows) for name in task.evaluation_sets}


def limit_rows(split: Dataset, limit: int | None) -> Dataset:
    """At most `limit` rows, a random sample of seed 0 in the split's own order (official files may be sorted)."""
    if limit is None or limit >= len(split):
        return split
    return split.select(np.sort(np.random.default_rng(0).permutation(len(split))[:limit]))


def hold_out(rows: Dataset, *, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split training rows in two: those that train, and a stratified random `fraction` (at least one row) that chooses.

    A systematic sample: rows are ordered by label, equals at random by `seed`, and taken at even distances. So the
    shares of classes are kept to a row, and for a regression task the whole distribution of scores.
    """
    labels = np.asarray(rows["label"])
    order = np.lexsort((np.random.default_rng(seed).permutation(len(rows)), labels))
    count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    chosen = order[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]
    is_held_out = np.zeros(len(rows), bool)
    is_held_out[chosen] = True
    return rows.select(np.flatnonzero(~is_held_out)), rows.select(np.flatnonzero(is_held_out))
