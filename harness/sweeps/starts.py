"""Which stacks were started, and how often in a row a process that trained one was killed: `<results_dir>/starts/`.

A process that runs out of memory is killed without a message, by the kernel or by a daemon that watches memory. What it
leaves are the records of the stack's runs, which still say `running`, and the file that this module writes when a stack
starts. A kill counts, whoever sent the signal, unless

- a checkpoint was written since the start: the next process goes on further, and the count begins again, or
- the stack has an older checkpoint, which another composition would give up, and the kernel, still the same, has killed
  no process for lack of memory since the start.

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
from harness.sweeps.checkpoints import checkpoint_path, checkpointed_runs
from harness.sweeps.resolve import Run

KILLS = 2  # after so many in a row a stack is halved


@dataclass(frozen=True)
class Start:
    """The ids of the runs that started together, the kills in a row before that, and whether kills have `halved` their
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
    before = read_start(results_dir, ids[0], root)
    kills = before.kills if before is not None and before.runs == ids else 0
    halved = before is not None and (before.halved or before.was_killed_too_often)
    with suppress(OSError):
        write_json(_path(results_dir, ids[0]), asdict(Start(ids, kills, halved, _kernel(root))))


def start_of(results_dir: Path, runs: Sequence[Run], root: Path = Path("/")) -> Start | None:
    """How the first of these runs was started with those after it, and not ended."""
    start = read_start(results_dir, runs[0].id, root)
    is_theirs = start is not None and start.runs == [run.id for run in runs[: len(start.runs)]]
    return start if is_theirs else None


def read_start(results_dir: Path, run_id: str, root: Path = Path("/")) -> Start | None:
    """How the stack with that first run was started, and not ended; its kills include the latest."""
    path, checkpoint = _path(results_dir, run_id), checkpoint_path(results_dir, run_id)
    try:
        start = Start(**json.loads(path.read_text(encoding="utf-8")))
        if not start.runs:
            return None
        may_be_memory = True
        if checkpointed_runs(results_dir, run_id) == start.runs:
            if checkpoint.stat().st_mtime_ns >= path.stat().st_mtime_ns:
                return replace(start, kills=0)
            may_be_memory = not start.kernel or start.kernel != _kernel(root)
    except (OSError, ValueError, TypeError):  # none, or damaged: it only saves repetition
        return None
    record = read_record(results_dir, run_id)
    was_killed = record is not None and record["status"] == "running"
    return replace(start, kills=start.kills + (was_killed and may_be_memory))


def forget_start(results_dir: Path, runs: Sequence[Run]) -> None:
    """Remove the note of a stack that has ended."""
    with suppress(OSError):
        _path(results_dir, runs[0].id).unlink(missing_ok=True)


def _kernel(root: Path) -> list[str]:
    """The kernel's start and how many processes it has killed since for lack of memory; empty where it does not say."""
    with suppress(OSError):
        started = (root / "proc/sys/kernel/random/boot_id").read_text().strip()
        if kills := re.search(r"^oom_kill (\d+)$", (root / "proc/vmstat").read_text(), re.MULTILINE):
            return [started, kills[1]]
    return []


def _path(results_dir: Path, run_id: str) -> Path:
    return Path(results_dir) / "starts" / f"{run_id}.json"
