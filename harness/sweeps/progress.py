"""What a person sees while runs go on: bars on a terminal, lines elsewhere, and how it all ended."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from harness.console import stderr_console
from harness.records.choice import choice_score
from harness.records.record import Record
from harness.sweeps.run_lines import FAILURE, RunLines, best_lines, comparable, failure_lines

# Seconds between two lines about training, where there are no bars: at least, and at most while an epoch lasts.
_SHORTEST, _LONGEST = 5.0, 300.0


class Progress:
    """How far a sweep has come: runs done, running and failed, and the time left.

    `planned` are the records of the runs to do, of whatever status; `finished` those of runs that were done before,
    which count for the best score so far. Bars (all runs, and the stack in training) are drawn on standard error if
    that is a terminal. Finished runs are reported on standard output, and so is every epoch where there are no bars.
    """

    def __init__(
        self,
        planned: Iterable[Record],
        *,
        results_dir: str | Path,
        finished: Iterable[Record] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        planned = list(planned)
        self._left = {record["run_id"] for record in planned}
        self.total, self.done, self.running, self.failed = len(self._left), 0, 0, 0
        self._share = 0.0  # of the runs in training, in runs
        self._resumed, self._given = 0.0, 0.0  # of the stack, of all runs: the share that an earlier process trained
        self._lines, self._results_dir = RunLines(planned), results_dir
        self._best: dict[str, float] = {}
        for record in finished:
            self._note_score(record)
        self._clock = clock
        self._started = self._stack_started = self._said = clock()
        self._title, self._epochs, self._epoch = "", 1, 0
        self.console = Console(highlight=False, soft_wrap=True)
        errors = stderr_console()
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=errors,
            disable=not errors.is_terminal or not planned,
            transient=True,
            redirect_stdout=False,
        )
        self._overall = self._bars.add_task("", total=self.total, left=_NO_TIME)
        self._current = self._bars.add_task("", total=1, visible=False, left=_NO_TIME)

    def __enter__(self) -> Progress:
        self._bars.start()
        self._show()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self._bars.stop()

    @property
    def share(self) -> float:
        """The share of the work that is done, in [0, 1]; runs in training count with the share of their steps."""
        return min(1.0, (self.done + self.failed + self._share) / self.total) if self.total else 1.0

    @property
    def time_left(self) -> str:
        """Until the end of all runs, if they go on as they did."""
        return _time_left(self._clock() - self._started, self.share, self._given)

    def start(self, title: str, count: int, epochs: int) -> None:
        """Show that a stack of `count` runs begins to train; `title` names task and method.

        `epochs` is 0 for a method that has none: only its steps are shown.
        """
        self.running, self._share, self._resumed = count, 0.0, 0.0
        self._title = stack_title(title, count)
        self._epochs, self._epoch, self._stack_started = epochs, 0, self._clock()
        self._bars.reset(self._current, description=self._title, visible=True, total=1, left=_NO_TIME)
        self._show()

    def resume(self, step: int, steps: int) -> None:
        """Report that the current stack goes on after `step` of `steps` steps, which took no time of this process."""
        self._resumed = step / steps
        self._given += self.running * self._resumed / self.total if self.total else 0.0
        self._epoch, self._stack_started = step * self._epochs // steps, self._clock()
        self.say(f"resuming {self._title} at step {step} of {steps}")

    def step(self, step: int, steps: int, loss: float | None) -> None:
        """Show that the current stack has done `step` of `steps` steps; `loss` is the mean over its replicas, or None
        for a method without one.
        """
        self._share = self.running * step / steps
        left = _time_left(self._clock() - self._stack_started, step / steps, self._resumed)
        shown = "" if loss is None else f" loss {loss:.3f}"
        text = f"{self._title} step {step}/{steps}{shown}"
        self._bars.update(self._current, description=text, completed=step, total=steps, left=left)
        self._show()
        epoch = step * self._epochs // steps
        if step < steps and self._is_time(epoch > self._epoch):  # the last epoch ends in results
            done = f"epoch {epoch}/{self._epochs}" if self._epochs else f"step {step}/{steps}"
            self.say(f"{self._title}  {done}{shown and f' {shown}'}  left {left}; {self._all_runs()}")
        self._epoch = epoch

    def watch(self, board: Sequence[float]) -> None:
        """Show what the worker processes have entered on their board, see `WorkerProgress`."""
        self.running, self._share = int(sum(board[::2])), sum(board[1::2])
        self._show()
        if self._is_time(False):
            self.say(f"{self.done + self.failed} done, {self.running} running; {self._all_runs()}")

    def finish(self, records: Sequence[Record]) -> None:
        """Report the records with which runs have ended; those that were counted already are left out."""
        self.running, self._share = 0, 0.0
        for record in records:
            if not self._count(record):
                continue
            best = self._best.get(comparable(record)) if "data" in record else None
            self._print(Text(f"[{self.done + self.failed}/{self.total}] ") + self._lines.finished(record, best))
            if record["status"] != "completed":
                for line in (f"    {record['run_id']}", *failure_lines(record, self._results_dir)):
                    self.say(line)
        self._bars.update(self._current, visible=False)
        self._show()

    def skip(self, records: Iterable[Record]) -> None:
        """Count runs with these records, finished by another process; runs that were counted already are left out."""
        for record in records:
            self._count(record)
        self._show()

    @property
    def others_train(self) -> bool:
        """Whether other processes of this sweep are training."""
        return False

    def say(self, line: str) -> None:
        """Print one line, above the bars if there are any."""
        self._print(Text(line))

    def _print(self, line: Text) -> None:
        above_bars = self.console.is_terminal and not self._bars.disable
        (self._bars.console if above_bars else self.console).print(line, highlight=False, soft_wrap=True)

    def _count(self, record: Record) -> bool:
        """Count a run; False if it was counted before, or is none of the planned ones."""
        if record["run_id"] not in self._left:
            return False
        self._left.remove(record["run_id"])
        self._note_score(record)
        failed = record["status"] != "completed"
        self.failed += failed
        self.done += not failed
        return True

    def _note_score(self, record: Record) -> None:
        score = choice_score(record)
        if score is not None:
            key = comparable(record)
            self._best[key] = max(score, self._best.get(key, score))

    def _is_time(self, has_news: bool) -> bool:
        """Whether to print a line about training: only where there are no bars, neither too often nor too rarely."""
        since = self._clock() - self._said
        if not self._bars.disable or since < (_SHORTEST if has_news else _LONGEST):
            return False
        self._said = self._clock()
        return True

    def _all_runs(self) -> str:
        return f"all {counted(self.total, 'run')}: {self.share:.0%}, left {self.time_left}"

    def _show(self) -> None:
        text = f"runs {self.done} done, {self.running} running, {self.failed} failed of {self.total}"
        completed = self.share * self.total
        self._bars.update(self._overall, description=text, completed=completed, left=self.time_left)


class WorkerProgress:
    """Takes the place of `Progress` in one of several processes: the parent prints, and this one fills in a board.

    The board is shared memory with two numbers per worker: the runs in its stack, and how much of them is done.
    """

    def __init__(self, board: MutableSequence[float], index: int) -> None:
        self._board, self._place, self._count, self._title = board, 2 * index, 0, ""

    def start(self, title: str, count: int, epochs: int) -> None:
        self._count, self._title = count, stack_title(title, count)
        self._enter(count, 0.0)

    def resume(self, step: int, steps: int) -> None:
        self.say(f"resuming {self._title} at step {step} of {steps}")

    def step(self, step: int, steps: int, loss: float | None) -> None:
        self._enter(self._count, self._count * step / steps)

    def finish(self, records: Sequence[Record]) -> None:
        self._enter(0, 0.0)

    def skip(self, records: Iterable[Record]) -> None:
        """The parent finds the records."""

    @property
    def others_train(self) -> bool:
        return any(self._board[::2])  # this one does not when it asks

    def say(self, line: str) -> None:
        print(line, flush=True)

    def _enter(self, running: int, share: float) -> None:
        self._board[self._place], self._board[self._place + 1] = running, share


Display = Progress | WorkerProgress  # what the training of stacks reports to


def print_outcome(records: Sequence[Record], results_dir: str | Path) -> None:
    """The end of a command: its best runs and the next command; on standard error what did not complete, and why."""
    best = best_lines(records)
    if best:
        console = Console(highlight=False, soft_wrap=True)
        console.print("\nBest run of each task and method, by its score on the selection split:")
        for line in best:
            console.print(line)
        print(f"Tables and figures: python -m harness.report {shlex.quote(str(results_dir))}", flush=True)
    failures = [record for record in records if record["status"] != "completed"]
    if failures:
        errors = Console(stderr=True, highlight=False, soft_wrap=True)
        errors.print(Text(f"{len(failures)} of {len(records)} runs did not complete:", FAILURE))
        for record in failures:
            for line in (f"  {record['run_id']} {record['status']}", *failure_lines(record, results_dir)):
                errors.print(Text(line))


def stack_title(title: str, count: int) -> str:
    """`RTE adapter`, and of several runs `RTE adapter x4`."""
    return title + (f" x{count}" if count > 1 else "")


def counted(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


_NO_TIME = "-:--:--"


def _time_left(elapsed: float, share: float, given: float = 0.0) -> str:
    """From the `share` of the work that is done; `given` of it was there when the time began."""
    if share <= given:
        return _NO_TIME
    return str(timedelta(seconds=round(elapsed * (1 - share) / (share - given))))
