"""A sweep: skip what is done, group the rest into stacks, train them on one device or several.

Several processes may work on one results folder: each run has a lock file, held while it trains. The operating
system lets go of a lock when its holder dies, however it dies, so a stale lock is one that nobody holds.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from harness.errors import UserError
from harness.model.methods import METHODS, can_stack
from harness.records.predictions import read_predictions
from harness.records.record import (
    FINISHED,
    Record,
    read_record,
    record_path,
    recover_records,
    write_record,
    write_records,
)
from harness.records.weights import is_stored
from harness.sweeps.progress import Progress
from harness.sweeps.resolve import Run
from harness.sweeps.stack import run_stack
from harness.training.device import keep_freed_memory, pick_device

# Replicas a stack: past these a step is bound by arithmetic and only its memory grows. On two CPU cores stacks of 4
# and 8 are 1.54 and 1.58 times as fast as runs alone (CoLA), and six runs of RTE's long rows already hold 17 GB.
MAX_STACK = {"cpu": 4, "cuda": 32}
PADDED_SIZE = 64  # bottleneck sizes up to this one are padded to the largest of their stack
_POLL_SECONDS = 0.5


class Sweep:
    """The runs of one command over one results folder.

    `max_stack` bounds the replicas of a stack (None: `MAX_STACK` of the device), `devices` are torch device names,
    one process each (None: every visible GPU if the config says `device=auto`, else the one that it names).
    """

    def __init__(
        self,
        runs: Sequence[Run],
        *,
        results_dir: str | Path,
        max_stack: int | None = None,
        devices: Sequence[str] | None = None,
    ) -> None:
        if max_stack is not None and max_stack < 1:
            raise UserError(f"hydra.launcher.max_stack={max_stack} is out of range: it must be at least 1, or null")
        self.started = time.time()
        self.runs = list(runs)
        self.results_dir = Path(results_dir)
        self.devices = list(devices) if devices else default_devices(runs[0].config.device)
        self.limit = max_stack or MAX_STACK[torch.device(self.devices[0]).type]
        # Grouped before anything is dropped: a resumed sweep trains the same stacks as an undisturbed one.
        self.stacks = make_stacks(self.runs, self.limit)
        self._done: set[str] = set()  # ids of runs once found finished: their files are not read again and again

    def open(self, runs: Iterable[Run] | None = None) -> list[Run]:
        """Those of the runs (all of them if None) that have no final record yet."""
        return [run for run in (self.runs if runs is None else runs) if not self._is_finished(run)]

    def work(self) -> list[Record]:
        """Train every run that is open; the records of all runs, in their order.

        A run that fails is a record; KeyboardInterrupt is passed on after the records were marked.
        """
        recover_records(self.results_dir)
        if len(self.devices) == 1:
            with Progress([run.id for run in self.open()]) as progress:
                self._work_on(torch.device(self.devices[0]), progress)
        else:
            self._work_in_processes()
        return self._records(self.runs)

    def _records(self, runs: Iterable[Run]) -> list[Record]:
        return [read_record(self.results_dir, run.id) or run.record("failed", error="lost") for run in runs]

    def _work_on(self, device: torch.device, progress: Progress) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        elif device.index is not None:
            torch.cuda.set_device(device)  # streams and graphs are made on the current one
        waiting = [stack for stack in self.stacks if self.open(stack)]
        while waiting:
            left = [stack for stack in waiting if not self._take(stack, device, progress)]
            if len(left) == len(waiting):  # everything that is left is in other hands
                time.sleep(_POLL_SECONDS)
            waiting = left

    def _work_in_processes(self) -> None:
        """One process a device, each taking the stacks that no other holds."""
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_worker, args=(self, device)) for device in self.devices]
        with Progress([run.id for run in self.open()]) as progress:
            for worker in workers:
                worker.start()
            try:
                while any(worker.is_alive() for worker in workers):
                    time.sleep(_POLL_SECONDS)
                    left = {run.id for run in self.open()}
                    progress.skip(self._records(run for run in self.runs if run.id not in left))
            finally:
                for worker in workers:
                    worker.join()

    def _take(self, stack: list[Run], device: torch.device, progress: Progress) -> bool:
        """Train what is open of a stack; False where another process holds one of its runs."""
        with _locks(self.results_dir, stack) as held:
            if held:
                opened = self.open(stack)
                progress.skip(self._records(run for run in stack if run not in opened))
                for start in range(0, len(opened), self.limit):
                    self._train(opened[start : start + self.limit], device, progress)
        return held

    def _train(self, stack: list[Run], device: torch.device, progress: Progress) -> None:
        """Train one stack; where it fails, its halves, so that memory suffices and one bad run stands alone."""
        for run in stack:
            write_record(self.results_dir, run.record("running"))
        progress.start(f"{stack[0].task.title} {stack[0].config.method.name}", len(stack))
        records, error, log = self._attempt(stack, device, progress)
        if records is None and len(stack) > 1 and not isinstance(error, UserError):
            half = (len(stack) + 1) // 2
            if is_out_of_memory(error):
                self.limit = min(self.limit, half)
                progress.say(f"{len(stack)} runs do not fit into the memory of {device}: going on with {half} at once")
            else:
                progress.say(f"a stack of {len(stack)} runs failed ({_one_line(error)}): trying {half} at once")
            for part in (stack[:half], stack[half:]):
                self._train(part, device, progress)
            return
        if records is None:
            where = self.results_dir / "logs" / f"{stack[0].id}.log"
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_text(log, encoding="utf-8")
            records = [
                run.record("failed", error=f"{_one_line(error)} (traceback: logs/{where.name})") for run in stack
            ]
        write_records(self.results_dir, records)
        progress.finish(records)

    def _attempt(
        self, stack: list[Run], device: torch.device, progress: Progress
    ) -> tuple[list[Record] | None, Exception | None, str]:
        try:
            return run_stack(stack, device, progress.step), None, ""
        except KeyboardInterrupt:
            for run in stack:
                write_record(self.results_dir, run.record("failed", error="interrupted"))
            raise
        except Exception as error:
            log = traceback.format_exc()
            traceback.clear_frames(error.__traceback__)  # they hold the tensors of the failed stack
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            return None, error, log

    def _is_finished(self, run: Run) -> bool:
        if run.id in self._done:
            return True
        record = read_record(self.results_dir, run.id)
        if record is None:
            return False
        if record["status"] in FINISHED:
            if not self._lacks_files(run, record):
                self._done.add(run.id)
            return run.id in self._done
        # What failed since this sweep began, in whatever process, would fail again; an interrupted run would not.
        is_recent = record_path(self.results_dir, run.id).stat().st_mtime >= self.started
        return is_recent and record["status"] == "failed" and record["error"] != "interrupted"

    def _lacks_files(self, run: Run, record: Record) -> bool:
        """Whether the config now asks for something that the finished run did not keep: scores of every epoch or
        without spans of adapters, weights, test predictions.
        """
        if record["status"] != "completed":
            return False
        if run.config.train.evaluate_spans and "spans" not in record:
            return True
        before_last = record["training"]["history"][:-1]
        if run.config.train.evaluate_every_epoch and any("scores" not in entry for entry in before_last):
            return True
        if run.config.train.save == "all" and not is_stored(self.results_dir, run.id):
            return True
        if not (run.config.protocol.predict_test and run.has_test_sets):
            return False
        kept = read_predictions(self.results_dir, run.id) or {}
        return not any(name.endswith(".idx") for name in kept)


def make_stacks(runs: Iterable[Run], limit: int) -> list[list[Run]]:
    """Runs that can share one pass, at most `limit` together, in order of first appearance.

    A stack shares everything but learning rate, seed and what its method lets differ. Sizes above `PADDED_SIZE` are
    not mixed: padding to 256 costs 12 to 33 % more arithmetic, to 64 at most 8 % (MiniLM: 6 operations a token on
    0.6 M adapter parameters against 4 on 10.6 M frozen ones).
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(stack_key(run), []).append(run)
    return [
        group[start : start + size]
        for group in groups.values()
        for size in [limit if can_stack(group[0].config.method) else 1]
        for start in range(0, len(group), size)
    ]


def stack_key(run: Run) -> str:
    """Equal for runs that can be replicas of one stack."""
    what = run.identity
    what["train"] |= {"learning_rate": None, "seed": None}
    for name in METHODS[run.config.method.name].per_replica or ():
        keeps_apart = name == "bottleneck_size" and what["method"][name] > PADDED_SIZE
        what["method"][name] = what["method"][name] if keeps_apart else None
    looked_at = [run.config.train.evaluate_every_epoch, run.config.train.evaluate_spans]
    return json.dumps([what, looked_at, run.fingerprint, run.checkpoint.fingerprint], sort_keys=True)


def default_devices(name: str) -> list[str]:
    """`auto`: every visible GPU, or the CPU; else the device of that name."""
    if name == "auto" and torch.cuda.device_count() > 1:
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [str(pick_device(name))]


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a device or the host had no memory left."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


@contextmanager
def _locks(results_dir: Path, stack: Sequence[Run]) -> Iterator[bool]:
    """Hold the lock of every run, or none of them: yields whether they are held."""
    folder = results_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            for run in sorted(stack, key=lambda run: run.id):
                held.enter_context(FileLock(folder / f"{run.id}.lock", blocking=False))
        except Timeout:
            held.close()
            yield False
        else:
            yield True


def _worker(sweep: Sweep, device: str) -> None:
    """Body of one process of a sweep over several devices."""
    try:
        with Progress([run.id for run in sweep.open()], quiet=True) as progress:
            sweep._work_on(torch.device(device), progress)
    except KeyboardInterrupt:
        pass  # the records are marked; the parent tells the rest


def _one_line(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
