"""Predictions of finished runs beside their records, compact enough to be kept for every run of a sweep.

`<results_dir>/predictions/<run_id>.npz` holds one array an evaluation set, `[N]` in the rows' order: int8 class ids, or
float32 scores of a regression task. Where test sets were predicted, `<test set>` and `<test set>.idx`, the numbers
that the benchmark gave the rows. `<results_dir>/references/<key>.npz` holds the labels of the same evaluation sets,
once for all runs that share them; the record's `predictions.references` is the key.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from harness.protocols import scored_sets, split_rows
from harness.records import Record, write_atomically
from harness.sources import DataChoice, load
from harness.tasks import Task, get_task

Arrays = dict[str, np.ndarray]


def compact(task: Task, values: np.ndarray) -> np.ndarray:
    """Class ids as int8, scores as float32."""
    return values.astype(np.float32 if task.is_regression else np.int8)


def predictions_path(results_dir: str | Path, run_id: str) -> Path:
    return Path(results_dir) / "predictions" / f"{run_id}.npz"


def write_predictions(results_dir: str | Path, run_id: str, arrays: Arrays) -> None:
    _write(predictions_path(results_dir, run_id), arrays)


def read_predictions(results_dir: str | Path, run_id: str) -> Arrays | None:
    """The arrays of a run, or None where there are none that can be read."""
    return _read(predictions_path(results_dir, run_id))


def write_references(results_dir: str | Path, task: Task, arrays: Arrays) -> str:
    """Write the labels of a task's evaluation sets, unless they are there, and return their key."""
    key = _key(task, arrays)
    path = _references_path(results_dir, key)
    if not path.exists():
        _write(path, arrays)
    return key


def read_references(results_dir: str | Path, key: str) -> Arrays | None:
    """The labels of that key, or None where there are none that can be read."""
    return _read(_references_path(results_dir, key))


def restore_references(results_dir: str | Path, record: Record, data: DataChoice) -> bool:
    """Make the labels of a record's evaluation sets anew from `data`; whether they are those that it was scored on.

    The key is a hash of the labels, so that others are never taken for them. `UserError` where `data` cannot be read.
    """
    config, task = record["config"], get_task(record["config"]["task"]["name"])
    key = record["predictions"]["references"]
    limits = {name: config["data"].get(name) for name in ("max_train_rows", "max_eval_rows")}
    rows = split_rows(load(data, task), task, config["protocol"], **limits)
    names = scored_sets(config["protocol"]["name"], task)
    arrays = {name: compact(task, np.asarray(rows[name]["label"])) for name in names}
    if _key(task, arrays) != key:
        return False
    write_references(results_dir, task, arrays)
    return True


def _key(task: Task, arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {len(values)} ".encode() + values.tobytes())
    return f"{task.name}-{digest.hexdigest()[:12]}"


def _references_path(results_dir: str | Path, key: str) -> Path:
    return Path(results_dir) / "references" / f"{key}.npz"


def _write(path: Path, arrays: Arrays) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def _read(path: Path) -> Arrays | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
