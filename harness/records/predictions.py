"""Predictions and gold labels of finished runs, compact enough to be kept for every run of a sweep.

`<results_dir>/predictions/<run_id>.npz` holds one array `[N]` per scored set, in the order of the rows: class ids in
the smallest integer type that holds them, or float32 scores. For each test set that was predicted there are also
`<test set>` and `<test set>.idx`, the benchmark's numbers of its rows. `<results_dir>/gold/<key>.npz` holds the gold
labels of the scored sets, once for all runs that share them; the record's `predictions.gold` is the key.

Of a span task, the arrays hold where each answer lies and what it scored (`harness.tasks.span.STORED`), and the gold
arrays a hash per question; `<run_id>.json` next to the former holds the answers to the reported questions by their ids,
for the data set's official script.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from harness.records.record import Record, write_atomically, write_json
from harness.tasks.task import Task

Arrays = dict[str, np.ndarray]


def predictions_path(results_dir: str | Path, run_id: str) -> Path:
    return Path(results_dir) / "predictions" / f"{run_id}.npz"


def write_predictions(results_dir: str | Path, run_id: str, arrays: Arrays) -> None:
    _write(predictions_path(results_dir, run_id), arrays)


def store_predictions(
    results_dir: str | Path, run_id: str, task: Task, predictions: Arrays, gold: Arrays
) -> dict[str, str]:
    """Write a run's predictions and, once for all runs that share them, the gold labels; returns what the record says
    about them: the `sha256` of the former, by which `predictions_of` knows them, and the key of the latter, `gold`.

    `predictions` are by scored or test set, with `<test set>.idx`; `gold` is by scored set.
    """
    numbers = {name: values for name, values in predictions.items() if name.endswith(".idx")}
    kind = task.kind
    values = {name: kind.compact(values, gold.get(name)) for name, values in predictions.items() if name not in numbers}
    stored = values | numbers
    write_predictions(results_dir, run_id, stored)
    official: dict[str, str] = {}
    for name in task.evaluation_sets:
        official |= kind.official(predictions[name], gold[name])
    if official:
        write_json(predictions_path(results_dir, run_id).with_suffix(".json"), official)
    key = write_gold(results_dir, task, {name: kind.compact_gold(values) for name, values in gold.items()})
    return {"gold": key, "sha256": _digest(stored)}


def read_predictions(results_dir: str | Path, run_id: str) -> Arrays | None:
    """The arrays of a run, or None where there is no readable file."""
    return _read(predictions_path(results_dir, run_id))


def predictions_of(results_dir: str | Path, record: Record) -> Arrays | None:
    """The arrays with which a run was scored, or None where its file is missing, damaged or another run's.

    Records from before there was a `sha256` take any readable file.
    """
    found = read_predictions(results_dir, record["run_id"])
    expected = (record.get("predictions") or {}).get("sha256")
    return found if found is None or expected in (None, _digest(found)) else None


def write_gold(results_dir: str | Path, task: Task, arrays: Arrays) -> str:
    """Write the gold labels of a task's scored sets, unless they are stored already; returns their key."""
    key = gold_key(task, arrays)
    if read_gold(results_dir, key) is None:
        _write(gold_path(results_dir, key), arrays)
    return key


def read_gold(results_dir: str | Path, key: str) -> Arrays | None:
    """The gold labels stored under a key, or None where the file is missing, damaged or another one."""
    found = _read(gold_path(results_dir, key))
    return found if found is not None and key.endswith(f"-{_gold_hash(found)}") else None


def gold_key(task: Task, arrays: Arrays) -> str:
    """The key of gold labels: the task's name and a hash of names, lengths and values."""
    return f"{task.name}-{_gold_hash(arrays)}"


def gold_path(results_dir: str | Path, key: str) -> Path:
    return Path(results_dir) / "gold" / f"{key}.npz"


def _gold_hash(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {len(values)} ".encode() + values.tobytes())
    return digest.hexdigest()[:12]


def _digest(arrays: Arrays) -> str:
    """Of the values, since the bytes of the file depend on the version of zlib."""
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode() + values.tobytes())
    return digest.hexdigest()


def _write(path: Path, arrays: Arrays) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def _read(path: Path) -> Arrays | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception:  # a damaged file makes numpy and zipfile raise errors of many kinds
        return None
