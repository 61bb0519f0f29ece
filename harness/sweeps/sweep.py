"""A sweep: skip what is done, train the rest in stacks, in this process or in several.

Several processes, also of several hosts, may work on one results folder: each run is locked while it trains.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from harness.errors import FULL_DISK, UserError, one_line
from harness.records.predictions import predictions_of
from harness.records.record import (
    FINISHED,
    Record,
    log_path,
    read_record,
    record_path,
    recover_records,
    remove_leftovers,
    write_atomically,
    write_record,
    write_records,
)
from harness.records.weights import is_stored
from harness.sweeps.checkpoints import remove_checkpoint, remove_finished
from harness.sweeps.locks import LostLocksError, RunLocks, StopsAtLoss, file_time
from harness.sweeps.placement import default_devices, stack_limits
from harness.sweeps.progress import Display, Progress
from harness.sweeps.resolve import Run
from harness.sweeps.sizes import Sizes
from harness.sweeps.stack import run_stack
from harness.sweeps.stacks import make_stacks
from harness.sweeps.starts import forget_start, note_start
from harness.sweeps.workers import work_in_processes
from harness.training.device import is_out_of_memory, keep_freed_memory, memory_remedy, release_memory

_POLL_SECONDS = 0.5

# Trains one stack and returns its records: `run_stack`, or another with its signature.
TrainStack = Callable[[Sequence[Run], torch.device, Display], list[Record]]


class Sweep:
    """The runs of one command over one results folder.

    `max_stack` bounds the replicas of a stack (None: `stack_limits` of the device); `devices` are torch device names,
    one for each process that trains (None: every visible GPU for `device=auto`, else the device of that name).
    `train_stack` trains a stack and `wait` pauses for so many seconds while other processes hold runs.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        *,
        results_dir: str | Path,
        max_stack: int | None = None,
        devices: Sequence[str] | None = None,
        train_stack: TrainStack = run_stack,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.runs, self.results_dir = list(runs), Path(results_dir)
        self.train_stack, self.wait = train_stack, wait
        self._started = file_time(self.results_dir)
        self.devices = list(devices) if devices else default_devices(runs[0].config.device)
        self.limit, tokens = stack_limits(max_stack, self.devices[0])
        # Grouped before anything is dropped: a resumed sweep trains the same stacks as an undisturbed one.
        self.stacks = make_stacks(self.runs, self.limit, tokens)
        self.sizes = Sizes(self.results_dir)  # `jobs.run_all` puts one here that knows what memory runs need
        self._done: set[str] = set()  # ids of runs that were found finished: their files are not read again

    def open(self, runs: Iterable[Run] | None = None) -> list[Run]:
        """Those of the runs (None: all of them) that have no final record yet."""
        return [run for run in (self.runs if runs is None else runs) if not self._is_finished(run)]

    def work(self) -> list[Record]:
        """Train every run that is open; the records of all runs, in their order, also of those that failed.

        Raises KeyboardInterrupt, after marking the records of the runs in training, and `OSError` for a full disk.
        """
        recover_records(self.results_dir)
        remove_finished(self.results_dir)
        remove_leftovers(self.results_dir, self._started)
        if len(self.devices) == 1:
            with self.progress() as progress:
                self.work_on(torch.device(self.devices[0]), progress)
        else:
            work_in_processes(self)
        return self.records_of(self.runs)

    def progress(self) -> Progress:
        """The display of this sweep, with the runs that are open now."""
        planned = [run.record("running") for run in self.open()]
        finished = self.records_of(run for run in self.runs if run.id in self._done)
        return Progress(planned, results_dir=self.results_dir, finished=finished)

    def records_of(self, runs: Iterable[Run]) -> list[Record]:
        """The records of these runs, in their order."""
        return [read_record(self.results_dir, run.id) or run.record("failed", error="lost") for run in runs]

    def work_on(self, device: torch.device, progress: Display) -> None:
        """Train on this device what is open and no other process holds, until nothing is left."""
        if device.type == "cpu":
            keep_freed_memory()
        elif device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # streams and graphs are made on the current one
        waiting = [stack for stack in self.stacks if self.open(stack)]
        with RunLocks(self.results_dir) as self._locks:
            while waiting:
                left = [stack for stack in waiting if not self._take(stack, device, progress)]
                if len(left) == len(waiting):  # other processes hold all that is left
                    if not progress.others_train:
                        self._locks.tell_holders((run.id for stack in left for run in stack), progress.say)
                    self.wait(_POLL_SECONDS)
                waiting = left

    def _take(self, stack: list[Run], device: torch.device, progress: Display) -> bool:
        """Train the open runs of a stack; False if another process holds one of its runs."""
        with self._locks.hold(run.id for run in stack) as held:
            if held:
                recover_records(self.results_dir)  # of a process that was killed since this one began
                opened = self.open(stack)
                progress.skip(self.records_of(run for run in stack if run not in opened))
                try:
                    while opened:  # running out of memory lowers the limit in between
                        count = self.sizes.next(opened[: self.limit], device, progress.say)
                        part, opened = opened[:count], opened[count:]
                        self._train(part, device, progress)
                except LostLocksError as error:
                    progress.say(str(error))
                    self._locks.rejoin()
                    held = False
                except KeyboardInterrupt:
                    running = [record for record in self.records_of(stack) if record["status"] == "running"]
                    with suppress(OSError):  # on a full disk they go on as "running", which is repeated as well
                        for record in running:
                            write_record(self.results_dir, record | {"status": "failed", "error": "interrupted"})
                    raise
        return held

    def _train(self, stack: list[Run], device: torch.device, progress: Display) -> None:
        """Train one stack; if it fails, its halves, until memory suffices and a bad run fails alone."""
        note_start(self.results_dir, stack)
        for run in stack:
            write_record(self.results_dir, run.record("running"))
        first = stack[0]
        epochs = first.config.train.epochs if first.checkpoint else 0
        progress.start(f"{first.task.title} {first.config.method.name}", len(stack), epochs)
        records, error, log = self._attempt(stack, device, StopsAtLoss(progress, self._locks))
        self._locks.check()
        if records is None and len(stack) > 1 and not isinstance(error, UserError):
            half = (len(stack) + 1) // 2
            if is_out_of_memory(error):
                self.limit = min(self.limit, half)
                progress.say(
                    f"{len(stack)} runs do not fit into the memory of {device}: continuing with {half} at once"
                )
            else:
                progress.say(f"a stack of {len(stack)} runs failed ({one_line(error)}): trying {half} at once")
            for part in (stack[:half], stack[half:]):
                self._train(part, device, progress)
            return
        if records is None:
            for run in stack:
                write_atomically(log_path(self.results_dir, run.id), log.encode())
            remedy = f"; {memory_remedy(first.config.train)}" if is_out_of_memory(error) else ""
            records = [run.record("failed", error=one_line(error) + remedy) for run in stack]
        write_records(self.results_dir, records)
        forget_start(self.results_dir, stack)
        if error is None:  # otherwise the next attempt goes on from there
            remove_checkpoint(self.results_dir, stack)
        progress.finish(records)

    def _attempt(
        self, stack: list[Run], device: torch.device, progress: Display
    ) -> tuple[list[Record] | None, Exception | None, str]:
        try:
            return self.train_stack(stack, device, progress), None, ""
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL_DISK:
                raise
            log = traceback.format_exc()
            release_memory(error, device)
            return None, error, log

    def _is_finished(self, run: Run) -> bool:
        if run.id in self._done:
            return True
        record = read_record(self.results_dir, run.id)
        if record is None:
            return False
        if record["status"] in FINISHED:
            if not lacks_files(self.results_dir, run, record):
                self._done.add(run.id)
            return run.id in self._done
        # What failed since this sweep began, in whatever process, would fail again; an interrupted run would not.
        is_recent = record_path(self.results_dir, run.id).stat().st_mtime >= self._started
        return is_recent and record["status"] == "failed" and record["error"] != "interrupted"


def lacks_files(results_dir: str | Path, run: Run, record: Record) -> bool:
    """Whether the config asks for something that the finished run did not keep: scores after every epoch or
    without spans of adapters, weights, test predictions.
    """
    if record["status"] != "completed":
        return False
    if run.config.train.evaluate_spans and "spans" not in record:
        return True
    if run.config.train.evaluate_every_epoch:
        before_last = record["training"]["history"][:-1]
        if any("scores" not in entry for entry in before_last):
            return True
    if run.config.train.save == "all" and not is_stored(results_dir, run.id):
        return True
    if not (run.config.protocol.predict_test and run.has_test_sets):
        return False
    kept = predictions_of(results_dir, record) or {}
    return not any(name.endswith(".idx") for name in kept)
