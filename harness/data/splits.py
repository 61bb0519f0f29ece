"""The rows of a run: limited, held out, and their gold labels restored where a results folder lacks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict

from harness.data.sources.source import Source
from harness.records.predictions import gold_key, read_gold, write_gold
from harness.records.record import Record, task_of
from harness.tasks.protocols import HOLDOUT, scored_sets
from harness.tasks.task import Task


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


def restore_gold(results_dir: Path, records: Sequence[Record], data: Source) -> list[str]:
    """Write the labels that a results folder lacks; the keys of those that `data` does not have.

    A key is a hash of the labels, so that others are never taken for them. `UserError` where `data` cannot be read.
    """
    wanted = {record["predictions"]["gold"]: record for record in records if record.get("predictions")}
    lacking = [key for key in sorted(wanted) if read_gold(results_dir, key) is None]
    return [key for key in lacking if not _restore(results_dir, key, wanted[key], data)]


def _restore(results_dir: Path, key: str, record: Record, data: Source) -> bool:
    config, task = record["config"], task_of(record)
    limits = {name: config["data"].get(name) for name in ("max_train_rows", "max_eval_rows")}
    rows = split_rows(data.load(task), task, config["protocol"], **limits)
    names = scored_sets(config["protocol"]["name"], task)
    arrays = {name: task.kind.compact(np.asarray(rows[name]["label"])) for name in names}
    if gold_key(task, arrays) != key:
        return False
    write_gold(results_dir, task, arrays)
    return True
