"""Labels of evaluation sets made anew from the data: version control keeps predictions, but no rows of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.data import sources
from harness.records.choice import scored_sets, split_rows
from harness.records.predictions import compact, read_references, references_key, write_references
from harness.records.record import Record, task_of


def restore_references(results_dir: Path, records: Sequence[Record], data: sources.DataChoice) -> list[str]:
    """Write the labels that a results folder lacks; the keys of those that `data` does not have.

    A key is a hash of the labels, so that others are never taken for them. `UserError` where `data` cannot be read.
    """
    wanted = {record["predictions"]["references"]: record for record in records if record.get("predictions")}
    lacking = [key for key in sorted(wanted) if read_references(results_dir, key) is None]
    return [key for key in lacking if not _restore(results_dir, key, wanted[key], data)]


def _restore(results_dir: Path, key: str, record: Record, data: sources.DataChoice) -> bool:
    config, task = record["config"], task_of(record)
    limits = {name: config["data"].get(name) for name in ("max_train_rows", "max_eval_rows")}
    rows = split_rows(sources.load(data, task), task, config["protocol"], **limits)
    names = scored_sets(config["protocol"]["name"], task)
    arrays = {name: compact(task, np.asarray(rows[name]["label"])) for name in names}
    if references_key(task, arrays) != key:
        return False
    write_references(results_dir, task, arrays)
    return True
