"""The rows of a run: row limits, the held-out split, and gold labels restored where a results folder lacks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict

from harness.data.columns import gold_of
from harness.data.sources import of_task
from harness.data.sources.source import Source
from harness.errors import UserError
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
    """The rows of a run: `train` and its scored sets, after the row limits and the protocol's holdout.

    `protocol` is its config as a mapping: `name` and, for the holdout, `fraction` and `seed`.
    """
    rows = {"train": limit_rows(loaded["train"], max_train_rows)}
    if protocol["name"] == "holdout":
        options = {"fraction": protocol["fraction"], "seed": protocol["seed"]}
        divide = hold_out_articles if "article" in rows["train"].column_names else hold_out
        rows["train"], rows[HOLDOUT] = divide(rows["train"], **options)
    return rows | {name: limit_rows(loaded[name], max_eval_rows) for name in task.labelled_splits if name != "train"}


def limit_rows(split: Dataset, limit: int | None) -> Dataset:
    """At most `limit` rows, a random sample of seed 0 in the split's own order (official files may be sorted)."""
    if limit is None or limit >= len(split):
        return split
    return split.select(np.sort(np.random.default_rng(0).permutation(len(split))[:limit]))


def hold_out(rows: Dataset, *, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split training rows into those that train and the selection split, a stratified random `fraction` of them.

    Either side has at least one row. The sample is systematic: rows are sorted by gold label, ties in random order by
    `seed`, and taken at even distances. This keeps the share of each class to within a row and, for a regression task,
    the whole distribution of scores.
    """
    gold = np.asarray(rows["label"])
    order = np.lexsort((np.random.default_rng(seed).permutation(len(rows)), gold))
    count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    chosen = order[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]
    is_held_out = np.zeros(len(rows), bool)
    is_held_out[chosen] = True
    return rows.select(np.flatnonzero(~is_held_out)), rows.select(np.flatnonzero(is_held_out))


def hold_out_articles(rows: Dataset, *, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """The same by whole articles: questions about one article are either all trained on or all held out.

    Articles are taken in random order by `seed`, as long as the held-out rows come nearer to their `fraction`.
    """
    names, articles, counts = np.unique(rows["article"], return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise UserError(
            "protocol=holdout holds out whole articles and the training rows have one only; use protocol=paper"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    held = np.cumsum(counts[order])
    count = min(1 + int(np.argmin(np.abs(held - fraction * len(rows)))), len(names) - 1)
    is_held_out = np.isin(articles, order[:count])
    return rows.select(np.flatnonzero(~is_held_out)), rows.select(np.flatnonzero(is_held_out))


def restore_gold(results_dir: Path, records: Sequence[Record], data: Source) -> list[str]:
    """Write the gold labels that a results folder lacks; returns the keys of those that `data` does not hold.

    A key is a hash of the gold labels, so others are never mistaken for them. `UserError` where `data` cannot be read.
    """
    wanted = {record["predictions"]["gold"]: record for record in records if record.get("predictions")}
    lacking = [key for key in sorted(wanted) if read_gold(results_dir, key) is None]
    return [key for key in lacking if not _restore(results_dir, key, wanted[key], data)]


def _restore(results_dir: Path, key: str, record: Record, data: Source) -> bool:
    config, task = record["config"], task_of(record)
    limits = {name: config["data"].get(name) for name in ("max_train_rows", "max_eval_rows")}
    rows = split_rows(of_task(data, task).load(task), task, config["protocol"], **limits)
    names = scored_sets(config["protocol"]["name"], task)
    arrays = {name: task.kind.compact_gold(gold_of(rows[name], task)) for name in names}
    if gold_key(task, arrays) != key:
        return False
    write_gold(results_dir, task, arrays)
    return True
