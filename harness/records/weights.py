"""The weights that runs have trained, as files.

`<results_dir>/weights/<run_id>.safetensors` holds the trained tensors and the task head of one run in fp32, named as in
a classifier of one replica; a replica of a stack is taken out of it without its padding. Next to it, `<run_id>.json`
is the run's record with `weights`: {file, bytes, sha256, parameters}.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from harness.errors import UserError
from harness.records.choice import by_choice
from harness.records.record import Record, canonical, in_order, task_of, write_atomically, write_json

StoredRun = Record  # a record with `weights`


def write_weights(
    folder: Path, name: str, tensors: dict[str, Tensor], record: Record, *, file: str | None = None
) -> StoredRun:
    """Write `<name>.safetensors` (or `file`), then `<name>.json`, each atomically; returns what the latter holds."""
    data = save({key: tensor.contiguous() for key, tensor in tensors.items()})
    count = sum(tensor.numel() for tensor in tensors.values())
    file = file or f"{name}.safetensors"
    entry = {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "parameters": count}
    write_atomically(folder / file, data)
    stored = record | {"weights": entry}
    write_json(folder / f"{name}.json", in_order(stored))
    return stored


def read_stored(path: Path) -> StoredRun:
    """The record stored with a file of weights; `UserError` where the file is not such a record.

    Raises FileNotFoundError where there is none.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        stored["run_id"], stored["config"]["method"]["name"], task_of(stored)
        stored["encoder"]["fingerprint"], stored["data"]["fingerprint"]
        for key in ("file", "bytes", "sha256", "parameters"):
            stored["weights"][key]
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} does not describe trained weights; add that task again") from None
    return stored


def read_tensors(folder: Path, stored: StoredRun) -> dict[str, Tensor]:
    """The tensors of a stored run in `folder`; `UserError` for a missing, truncated or altered file."""
    path = folder / stored["weights"]["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); add that task again") from None
    if len(data) != stored["weights"]["bytes"]:
        raise UserError(f"{path} has {len(data):,} bytes, expected {stored['weights']['bytes']:,}: it is truncated")
    if hashlib.sha256(data).hexdigest() != stored["weights"]["sha256"]:
        raise UserError(f"{path} is not the file that was stored (its sha256 differs); add that task again")
    try:
        return load(data)
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file ({error})") from None


def store(results_dir: Path, tensors: dict[str, Tensor], record: Record, *, best_only: bool) -> None:
    """Store a run's weights; with `best_only`, only if no better run of its cell is stored, and in place of worse ones.

    `harness.records.choice.by_choice` says what is better. Runs of one cell differ only in their training settings.
    """
    folder = results_dir / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        rivals = _rivals(folder, record) if best_only else {}
        own = folder / f"{record['run_id']}.json"
        if any(by_choice(rival) < by_choice(record) for rival in rivals.values()):
            _remove(own)  # what a process that was killed before its records has left
            return
        write_weights(folder, record["run_id"], tensors, record)
        for path in rivals:
            _remove(path)


def _rivals(folder: Path, record: Record) -> dict[Path, StoredRun]:
    """The stored runs of the record's cell by file, without itself: what an earlier attempt has stored is replaced."""
    rivals = {}
    for path in folder.glob("*.json"):
        # A damaged file, which `bank add` names, is no reason to lose what was trained; a process of another host, whom
        # this lock may not reach, may replace a file meanwhile.
        with suppress(UserError, FileNotFoundError):
            rival = read_stored(path)
            if rival["run_id"] != record["run_id"] and _cell(rival) == _cell(record):
                rivals[path] = rival
    return rivals


def _remove(path: Path) -> None:
    """Remove a stored run; its record last, by which it is found if the process dies in between."""
    path.with_suffix(".safetensors").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def is_stored(results_dir: str | Path, run_id: str) -> bool:
    """Whether a run's weights are there, as far as the size of their file tells it."""
    folder = Path(results_dir) / "weights"
    try:
        stored = read_stored(folder / f"{run_id}.json")
        return (folder / stored["weights"]["file"]).stat().st_size == stored["weights"]["bytes"]
    except (UserError, OSError):
        return False


def _cell(record: Record) -> str:
    fingerprints = record["encoder"]["fingerprint"], record["data"]["fingerprint"]
    return canonical([record["config"] | {"train": None}, *fingerprints])
