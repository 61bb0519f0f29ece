"""Locks on runs: several processes, also of several hosts, may work on one results folder, and each run is trained by
one of them at a time.

`flock` reaches the processes of one machine, but those of other machines only on some network file systems. So every
process shows in two ways that it lives: it holds an `flock` on a file of its own, and renews the time of that file
every `BEAT` seconds. Whoever finds a run claimed by another process looks at that file:

- The `flock` is held: the process lives, even if it has been stopped.
- It is free, and the process used this very mount on this machine: it is dead, and its runs are free at once.
- It is free, or cannot be asked, and the process is elsewhere: it counts as dead once the time of the file has stayed
  the same for `MISSED` looks, each at least a beat after the one before. No clock of another host is read, and a file
  system that hangs costs all of them the same.

A claim on a run is an empty file in the folder of the run, made before the folder is listed: of two processes that
claim it together, at least one sees the other and gives way. Whoever counts a process as dead removes its file, and a
process that lives after all (stopped, or cut off from the file system) learns from that that its runs are lost. All
this needs what NFS and the parallel file systems grant: who lists a folder sees every file that was made before, and
who opens a file sees its present time.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

BEAT = 10.0  # seconds
MISSED = 12  # two minutes: with some mount options NFS shows the time of a file a minute late


class LostLocksError(Exception):
    """Other processes have counted this one as dead: its runs are no longer its own."""


class _Look(NamedTuple):
    """What was seen of a process: the time of its file, when, and how many later looks found the same."""

    file_time: int
    at: float
    missed: int


class RunLocks:
    """The locks of one process in a results folder, a context manager; `is_lost` is set by its heartbeat."""

    def __init__(
        self, results_dir: str | Path, *, beat: float = BEAT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = Path(results_dir) / "locks"
        self._processes = self._folder / "processes"
        self._beat, self._clock = beat, clock
        self._looks: dict[str, _Look] = {}  # by the name of a process
        self._seen: list[str] = []  # the holders at the last look
        self._told: list[str] = []  # those that were last named
        self.is_lost = False

    def __enter__(self) -> RunLocks:
        self._processes.mkdir(parents=True, exist_ok=True)
        self._file, temporary = tempfile.mkstemp(dir=self._processes, prefix=".")
        machine = this_machine(self._processes) if _lock(self._file) else "unlocked"
        host = "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())[:64]
        self._name = f"{machine}-{os.getpid()}-{secrets.token_hex(6)}-{host}"
        os.fchmod(self._file, 0o644)
        Path(temporary).rename(self._processes / self._name)
        self.is_lost, self._ended = False, threading.Event()
        self._heart = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)
        self._heart.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self._ended.set()
        self._heart.join()
        (self._processes / self._name).unlink(missing_ok=True)
        os.close(self._file)

    @contextmanager
    def hold(self, run_ids: Iterable[str]) -> Iterator[bool]:
        """Hold the lock of every run, or none of them: yields whether they are held."""
        with ExitStack() as held:
            if all(self._claim(run_id, held) for run_id in sorted(run_ids)):
                yield True
            else:
                held.close()
                yield False

    def check(self) -> None:
        """Raise `LostLocksError` if the locks that were held are lost."""
        self._renew()
        if self.is_lost:
            raise LostLocksError("this process was stopped for minutes, and others have taken over its runs")

    def rejoin(self) -> None:
        """Begin again after a loss, without any lock."""
        self.__exit__(None, None, None)
        self.__enter__()

    def tell_holders(self, run_ids: Iterable[str], say: Callable[[str], None]) -> None:
        """One line about who holds these runs, when they are seen a second time in a row, unless it was said last.

        At a first look it may be a process of the same sweep, which holds runs a moment before it shows that it trains.
        """
        names = {name for run_id in run_ids for name in self._others(run_id)}
        shown = sorted(f"{host} (process {process})" for _, process, _, host in (name.split("-", 3) for name in names))
        if shown == self._seen and shown != self._told:
            if shown:
                say(f"waiting for runs that others train: {', '.join(shown)}")
            self._told = shown
        self._seen = shown

    def _claim(self, run_id: str, held: ExitStack) -> bool:
        folder = self._folder / run_id
        folder.mkdir(exist_ok=True)
        if not all(self._is_dead(name) for name in self._others(run_id)):
            return False
        claim = folder / self._name
        held.callback(claim.unlink, missing_ok=True)
        claim.touch()
        others = self._others(run_id)
        if not all(self._is_dead(name) for name in others):
            return False
        for name in others:
            (self._processes / name).unlink(missing_ok=True)
            (folder / name).unlink(missing_ok=True)
        return True

    def _others(self, run_id: str) -> list[str]:
        """The other processes that claim a run."""
        return sorted({path.name for path in (self._folder / run_id).glob("*")} - {self._name})

    def _is_dead(self, name: str) -> bool:
        try:
            file = os.open(self._processes / name, os.O_RDONLY)
        except FileNotFoundError:
            return True
        except OSError:  # for once, or another user's: that tells nothing
            return False
        try:
            is_free = _lock(file, shared=True)
            if is_free is False:
                return False
            if is_free and name.startswith(f"{this_machine(self._processes)}-"):
                return True
            return self._has_stopped(name, os.fstat(file).st_mtime_ns)
        finally:
            os.close(file)

    def _has_stopped(self, name: str, file_time: int) -> bool:
        now, look = self._clock(), self._looks.get(name)
        if look is None or look.file_time != file_time:
            look = _Look(file_time, now, 0)
        elif now - look.at >= self._beat:
            look = _Look(file_time, now, look.missed + 1)
        self._looks[name] = look
        return look.missed >= MISSED

    def _keep_beating(self) -> None:
        while not self._ended.wait(self._beat):
            self._renew()

    def _renew(self) -> None:
        """Renew the time of the file, unless it has been removed (NFS: ESTALE); other errors tell nothing."""
        try:
            os.utime(self._file)
            self.is_lost |= os.fstat(self._file).st_nlink == 0
        except OSError as error:
            self.is_lost |= error.errno == errno.ESTALE


class StopsAtLoss:
    """A display through which the training of a stack learns, at its next step, that the locks of its runs are lost."""

    def __init__(self, display: Any, locks: RunLocks) -> None:
        self._display, self._locks = display, locks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._display, name)

    def step(self, *progress: Any) -> None:
        if self._locks.is_lost:
            self._locks.check()
        self._display.step(*progress)


def this_machine(folder: Path) -> str:
    """The same for all processes among which `flock` works in that folder: those of one kernel, through one mount."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    kernel = boot.read_text() if boot.exists() else str(uuid.getnode())
    return hashlib.sha256(f"{kernel} {folder.stat().st_dev}".encode()).hexdigest()[:12]


def file_time(folder: Path) -> float:
    """Now, by the clock that stamps the files of this folder: on a network file system that is another machine's."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".now") as file:
        return Path(file.name).stat().st_mtime


def _lock(file: int, *, shared: bool = False) -> bool | None:
    """Take the `flock` of an open file: whether it was free, or None where the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True
