"""Predictions of finished runs beside their records, compact enough to be kept for every run of a sweep.

`<results_dir>/predictions/<run_id>.npz` holds one array an evaluation set, `[N]` in the rows' order: int8 class ids, or
float32 scores of a regression task. Where test sets were predicted, `<test set>` and `<test set>.idx`, the numbers
that the benchmark gave the rows. `<results_dir>/gold/<key>.npz` holds the labels of the same evaluation sets,
once for all runs that share them; the record's `predictions.gold` is the key.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from harness.records.record import write_atomically
from harness.tasks.task import Task

Arrays = dict[str, np.ndarray]


def predictions_path(results_dir: str | Path, run_id: str) -> Path:
    return Path(results_dir) / "predictions" / f"{run_id}.npz"


def write_predictions(results_dir: str | Path, run_id: str, arrays: Arrays) -> None:
    _write(predictions_path(results_dir, run_id), arrays)


def store_predictions(results_dir: str | Path, run_id: str, task: Task, predictions: Arrays, labels: Arrays) -> str:
    """Write the predictions of a run and, once for all runs that share them, the labels; the key of those.

    `predictions` by evaluation or test set, with `<test set>.idx`; `labels` by evaluation set.
    """
    numbers = {name: values for name, values in predictions.items() if name.endswith(".idx")}
    values = {name: task.kind.compact(values) for name, values in predictions.items() if name not in numbers}
    write_predictions(results_dir, run_id, values | numbers)
    return write_gold(results_dir, task, {name: task.kind.compact(values) for name, values in labels.items()})


def read_predictions(results_dir: str | Path, run_id: str) -> Arrays | None:
    """The arrays of a run, or None where there are none that can be read."""
    return _read(predictions_path(results_dir, run_id))


def write_gold(results_dir: str | Path, task: Task, arrays: Arrays) -> str:
    """Write the labels of a task's evaluation sets, unless they are there, and return their key."""
    key = gold_key(task, arrays)
    path = _gold_path(results_dir, key)
    if not path.exists():
        _write(path, arrays)
    return key


def read_gold(results_dir: str | Path, key: str) -> Arrays | None:
    """The labels of that key, or None where there are none that can be read."""
    return _read(_gold_path(results_dir, key))


def gold_key(task: Task, arrays: Arrays) -> str:
    """The key of these labels: the task and a hash of names, lengths and values."""
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {len(values)} ".encode() + values.tobytes())
    return f"{task.name}-{digest.hexdigest()[:12]}"


def _gold_path(results_dir: str | Path, key: str) -> Path:
    return Path(results_dir) / "gold" / f"{key}.npz"


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
