"""Which stacks were started, and how often a process that trained one was killed: `<results_dir>/starts/`.

A process that runs out of memory is killed by the kernel and leaves no message. What it leaves are the records of the
stack's runs, which still say `running`, and the file that this module writes when a stack starts. A kill counts unless

- a checkpoint was written since the start: the next process goes on further, or
- the kernel, still the same, has killed no process for lack of memory since: somebody else sent the signal.

Whoever holds the locks of a stack's runs owns the file, which has the id of the first run as its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.records.record import read_record, write_json
from harness.sweeps.checkpoints import checkpoint_path
from harness.sweeps.resolve import Run

KILLS = 2  # after so many a stack is halved


@dataclass(frozen=True)
class Start:
    """The ids of the runs that started together, the kills that count before that, whether kills have `halved` their
    stack before, and what `_kernel` said then.
    """

    runs: list[str]
    kills: int
    halved: bool
    kernel: list[str]

    @property
    def was_killed_too_often(self) -> bool:
        return self.kills >= KILLS


def note_start(results_dir: Path, runs: Sequence[Run], root: Path = Path("/")) -> None:
    """Note that these runs start together; before their records say so, which report a full disk."""
    ids = [run.id for run in runs]
    before = _read(results_dir, runs[0], root)
    kills = before.kills if before is not None and before.runs == ids else 0
    halved = before is not None and (before.halved or before.was_killed_too_often)
    with suppress(OSError):
        write_json(_path(results_dir, runs[0]), asdict(Start(ids, kills, halved, _kernel(root))))


def start_of(results_dir: Path, runs: Sequence[Run], root: Path = Path("/")) -> Start | None:
    """How the first of these runs was started with those after it, and not ended; its kills include the latest."""
    start = _read(results_dir, runs[0], root)
    is_theirs = start is not None and start.runs == [run.id for run in runs[: len(start.runs)]]
    return start if is_theirs else None


def forget_start(results_dir: Path, runs: Sequence[Run]) -> None:
    """Remove the note of a stack that has ended."""
    with suppress(OSError):
        _path(results_dir, runs[0]).unlink(missing_ok=True)


def _read(results_dir: Path, first: Run, root: Path) -> Start | None:
    path = _path(results_dir, first)
    try:
        start = Start(**json.loads(path.read_text(encoding="utf-8")))
        return replace(start, kills=start.kills + _was_killed(results_dir, path, start, root)) if start.runs else None
    except (OSError, ValueError, TypeError):  # none, or damaged: it only saves repetition
        return None


def _was_killed(results_dir: Path, path: Path, start: Start, root: Path) -> bool:
    record = read_record(results_dir, start.runs[0])
    if record is None or record["status"] != "running":
        return False
    checkpoint = checkpoint_path(results_dir, start.runs[0])
    if checkpoint.exists() and checkpoint.stat().st_mtime_ns > path.stat().st_mtime_ns:
        return False
    return not start.kernel or start.kernel != _kernel(root)


def _kernel(root: Path) -> list[str]:
    """The kernel's start and how many processes it has killed since for lack of memory; empty where it does not say."""
    with suppress(OSError):
        started = (root / "proc/sys/kernel/random/boot_id").read_text().strip()
        if kills := re.search(r"^oom_kill (\d+)$", (root / "proc/vmstat").read_text(), re.MULTILINE):
            return [started, kills[1]]
    return []


def _path(results_dir: Path, run: Run) -> Path:
    return Path(results_dir) / "starts" / f"{run.id}.json"
