"""Run records: one JSON file per run, the only source of tables and figures."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import UserError, naming, reason_of, writing
from harness.records.schema import SCHEMA, Record
from harness.tasks.glue import find_task
from harness.tasks.task import Task

_TEMPORARY = ".part"  # how the names of files end that are being written
FINISHED = ("completed", "diverged")  # deterministic outcomes, which another sweep does not repeat
_CANONICAL = json.JSONEncoder(sort_keys=True)
_NO_RECORD = (ValueError, KeyError, TypeError, AttributeError)  # what reading something else raises


def task_of(record: Record) -> Task:
    """The task of a run, built from its record: GLUE's by name, any other from the settings that the record carries."""
    settings = record["config"]["task"]
    # A name alone needs no search by content, which a report over thousands of runs would notice.
    return find_task(settings) if len(settings) == 1 else _task(canonical(settings))


def has_encoder(record: Record) -> bool:
    """Whether the run's method trains on an encoder; a baseline does not."""
    return bool(record["config"]["model"])


@cache
def _task(settings: str) -> Task:
    return find_task(json.loads(settings))


def runs_folder(results_dir: str | Path) -> Path:
    return Path(results_dir) / "runs"


def record_path(results_dir: str | Path, run_id: str) -> Path:
    return runs_folder(results_dir) / f"{run_id}.json"


def log_path(results_dir: str | Path, run_id: str) -> Path:
    """Where the traceback of a failed run lies."""
    return Path(results_dir) / "logs" / f"{run_id}.log"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON; readers see the old file or the new one, never a part, even after a crash."""
    write_atomically(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it, so that it appears as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=_TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)  # mkstemp makes files that only the owner can read
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def remove_leftovers(results_dir: str | Path, now: float) -> None:
    """Remove the temporary files of processes that were killed while they wrote, an hour ago or longer.

    `now` is by the clock of the file system. Weights may have gigabytes.
    """
    for path in Path(results_dir).glob(f"*/.*{_TEMPORARY}"):
        with suppress(FileNotFoundError):  # another sweep has removed it
            if now - path.stat().st_mtime > 3600:
                path.unlink()


def read_json(path: Path) -> Any:
    """The value in a JSON file; `UserError` where the file cannot be read or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())})") from None


def write_record(results_dir: str | Path, record: Record) -> Path:
    """Write one record atomically.

    Raises `UserError` where a record of that id has another config: such a record is never overwritten.
    """
    path = record_path(results_dir, record["run_id"])
    before = read_record(results_dir, record["run_id"])
    if before is not None and before["config"] != json.loads(json.dumps(record["config"])):
        raise UserError(f"{path} holds a run with another config; move that file away, or choose another results_dir")
    write_json(path, in_order(record))
    return path


def in_order(record: Record) -> Record:
    """The same record with its keys in the order of the schema, which is the one to read them in; others come last."""
    return {key: record[key] for key in Record.__annotations__ if key in record} | record


def write_records(results_dir: str | Path, records: list[Record]) -> None:
    """Write the records of one stack: all of them, even if the process dies in between.

    They are written to one journal file first, and `recover_records` completes what an unfinished journal holds. So a
    stack is recorded completely, or trained again completely and in the same composition.
    """
    if len(records) == 1:
        write_record(results_dir, records[0])
        return
    name = _short_hash([record["run_id"] for record in records])
    journal = Path(results_dir) / "pending" / f"{name}.json"
    write_json(journal, records)
    for record in records:
        write_record(results_dir, record)
    journal.unlink(missing_ok=True)


def recover_records(results_dir: str | Path) -> None:
    """Write the records in journals that killed processes left behind; safe at any time.

    Raises `UserError` for a damaged journal: what it holds is neither dropped nor guessed.
    """
    for journal in sorted((Path(results_dir) / "pending").glob("*.json")):
        try:
            records = [_checked(record) for record in json.loads(journal.read_text(encoding="utf-8"))]
        except FileNotFoundError:  # its process was only slow, and has finished it
            continue
        except _NO_RECORD:
            raise UserError(
                f"{journal} is damaged or holds no records; remove it, and the next sweep trains its runs again"
            ) from None
        for record in records:
            write_record(results_dir, record)
        journal.unlink(missing_ok=True)


def read_record(results_dir: str | Path, run_id: str) -> Record | None:
    """The record of a run, or None where there is none; `UserError` where the file is not a record."""
    path = record_path(results_dir, run_id)
    return _read(path) if path.exists() else None


def load_records(results_dir: str | Path) -> list[Record]:
    """Every record in a results folder, ordered by run id; `UserError` where there is none."""
    with writing(f"{results_dir}/runs"):
        recover_records(results_dir)
    folder = runs_folder(results_dir)
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise UserError(f"no run records in {folder}; give the results_dir of a finished `python -m harness.run`")
    with _no_collection():
        return [_read(path) for path in paths]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python searches no garbage: there is none in records, and of ten thousand it would take 0.6 of 1.6 seconds."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def prepare_results_dir(results_dir: str | Path) -> None:
    """Make the folder and check that it can be written to; called before any work starts."""
    folder = runs_folder(results_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe"):
            pass
    except OSError as error:
        reason = reason_of(error, results_dir)
        raise UserError(f"results_dir={str(results_dir)!r} cannot be written ({reason}); choose another one") from None


def write_plan(results_dir: str | Path, run_ids: Iterable[str]) -> None:
    """Store which runs a sweep plans, so that the report can count missing ones."""
    ids = sorted(set(run_ids))
    name = f"{len(ids)}-{_short_hash(ids)}.json"
    write_json(Path(results_dir) / "plans" / name, {"run_ids": ids})


def load_planned(results_dir: str | Path) -> set[str]:
    """The ids of all runs that sweeps into this folder planned; `UserError` for a file that is no plan."""
    planned: set[str] = set()
    for path in sorted((Path(results_dir) / "plans").glob("*.json")):
        plan = read_json(path)
        ids = plan.get("run_ids") if isinstance(plan, dict) else None
        if not isinstance(ids, list) or not all(isinstance(run_id, str) for run_id in ids):
            raise UserError(f"{path} is not the plan of a sweep; remove it, and repeat the sweep to have it counted")
        planned |= set(ids)
    return planned


def _short_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def _read(path: Path) -> Record:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema"] != SCHEMA:
            raise UserError(
                f"{path} has record schema {record['schema']}, and this version reads {SCHEMA}; migrate it with "
                f"`python scripts/migrate_records.py {path.parent.parent}`, or move it away"
            )
        run_id = _checked(record)["run_id"]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except _NO_RECORD:
        raise UserError(f"{path} is not a run record; move it to another folder") from None
    if run_id != path.stem:  # of a copy, two files would be two runs of one table
        raise UserError(f"{path} holds the record of {run_id}; move it to another folder")
    return record


def _checked(record: Any) -> Record:
    """The same value; one of `_NO_RECORD` is raised where it has not what every record has."""
    record["schema"], record["run_id"], record["status"], record["config"]["protocol"]["name"], task_of(record)
    return record


def flatten(mapping: dict[str, Any], prefix: str = "", flat: dict[str, Any] | None = None) -> dict[str, Any]:
    """Nested mappings as one flat mapping with dotted names; added to `flat`, if it is given."""
    flat = {} if flat is None else flat
    for key, value in mapping.items():
        if isinstance(value, dict):
            flatten(value, f"{prefix}{key}.", flat)
        else:
            flat[prefix + key] = value
    return flat


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values, whatever the order of keys."""
    return _CANONICAL.encode(value)
