"""A sweep in a process of its own, which is killed or kills itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import RunConfig
from harness.sweeps import jobs
from harness.sweeps.starts import read_start

MAX_STACK = 4
POLL_SECONDS, PATIENCE = 0.01, 1800.0
_SERVER = multiprocessing.get_context("forkserver")


class Sweep:
    """A sweep in a process of its own, forked from a server that has imported torch: what `python -m harness.run` does
    once Hydra has composed its configs, which would take most of a killed process's life.
    """

    def __init__(self, configs: Sequence[RunConfig], death: Death | None = None) -> None:
        self._printed = tempfile.NamedTemporaryFile("r", prefix="torture-")  # noqa: SIM115 (as long as this object)
        _SERVER.set_forkserver_preload(["scripts.torture_process"])  # here, since others in this process have a server
        self._process = _SERVER.Process(target=_run, args=(configs, self._printed.name, death))
        self._process.start()

    @property
    def status(self) -> int | None:
        """Its exit status, or minus the signal that killed it; None while it lives."""
        return self._process.exitcode

    def printed(self) -> str:
        """What it has printed so far, errors included."""
        return Path(self._printed.name).read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def kill_unless(self, condition: Callable[[], bool]) -> bool:
        """Stop it and, unless the condition holds, kill it; False where it goes on, or has ended already."""
        if self.status is not None:
            return False
        os.kill(self._process.pid, signal.SIGSTOP)
        if condition():
            os.kill(self._process.pid, signal.SIGCONT)
            return False
        self.kill()
        return True

    def end(self) -> str:
        """Wait for it; what it has printed."""
        self._process.join(PATIENCE)
        if self.status is None:
            self.kill()
        return self.printed()


class Death(NamedTuple):
    """When a process kills itself: at its `number`-th write into one of these folders, of which it has then written a
    `share`; the rest of the file, and its final name, are never written.
    """

    folders: tuple[str, ...]
    number: int
    share: float


def _run(configs: Sequence[RunConfig], printed: str, death: Death | None) -> None:
    with Path(printed).open("wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    if death is not None:
        die_at(death, configs[0].results_dir)
    records = jobs.run_all(configs, max_stack=MAX_STACK, processes=1)  # which kills itself
    sys.exit(any(record["status"] != "completed" for record in records))


def die_at(death: Death, results: str) -> None:
    """Put a killer in the place of `os.fsync`, which every atomic write calls before it renames its file.

    Where the kill would halve a stack, the next write is the last.
    """
    fsync, left = os.fsync, death.number

    def write_or_die(handle: int) -> None:
        nonlocal left
        path = Path(f"/proc/self/fd/{handle}").readlink()
        is_counted = path.parent.name in death.folders
        left -= is_counted
        if is_counted and left <= 0 and not would_halve(results):
            os.truncate(path, int(death.share * path.stat().st_size))
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)

    os.fsync = write_or_die


def would_halve(results: str | Path) -> bool:
    """Whether a kill at this moment would be the second in a row at which a stack in training had come no further.

    It would train in halves, as it should, and end in other last digits than the undisturbed sweep.
    """
    starts = [read_start(Path(results), path.stem) for path in Path(results).glob("starts/*.json")]
    return any(start is not None and start.was_killed_too_often for start in starts)
