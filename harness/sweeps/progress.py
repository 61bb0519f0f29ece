"""What a person sees while runs go on: bars on a terminal, one line per finished run elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from harness.records.record import Record


class Progress:
    """An overall bar (runs done, running, failed, time left) and one for the stack in training.

    Bars are drawn on standard error if that is a terminal; finished runs are reported on standard output.
    """

    def __init__(self, run_ids: Iterable[str], *, quiet: bool = False) -> None:
        self._left = set(run_ids)
        self.total, self.done, self.running, self.failed = len(self._left), 0, 0, 0
        self.console = Console(highlight=False, soft_wrap=True)
        errors = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=errors,
            disable=quiet or not errors.is_terminal,
            transient=True,
            redirect_stdout=False,
        )
        self._overall = self._bars.add_task("", total=self.total)
        self._current = self._bars.add_task("", total=1, visible=False)

    def __enter__(self) -> Progress:
        self._bars.start()
        self._describe()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self._bars.stop()

    def start(self, title: str, count: int) -> None:
        """Show that a stack of `count` runs begins to train; `title` names task and method."""
        self.running = count
        self._title = title + (f" x{count}" if count > 1 else "")
        self._bars.reset(self._current, description=self._title, visible=True, total=1)
        self._describe()

    def step(self, step: int, steps: int, loss: float) -> None:
        """Show that the current stack has done `step` of `steps` steps; `loss` is the mean over its replicas."""
        self._bars.update(
            self._current,
            description=f"{self._title} step {step}/{steps} loss {loss:.3f}",
            completed=step,
            total=steps,
        )

    def finish(self, records: Sequence[Record]) -> None:
        """Report the records with which the current stack has ended."""
        self.running = 0
        for record in records:
            self._left.discard(record["run_id"])
            self._count(record)
            self.say(f"[{self.done + self.failed}/{self.total}] {summary(record)}")
        self._bars.update(self._current, visible=False)
        self._bars.update(self._overall, completed=self.done + self.failed)
        self._describe()

    def skip(self, records: Iterable[Record]) -> None:
        """Count runs with these records, finished by another process; runs that were counted already are left out."""
        for record in records:
            if record["run_id"] in self._left:
                self._left.remove(record["run_id"])
                self._count(record)
        self._bars.update(self._overall, completed=self.done + self.failed)
        self._describe()

    def say(self, line: str) -> None:
        """Print one line, above the bars if there are any."""
        above_bars = self.console.is_terminal and not self._bars.disable
        console = self._bars.console if above_bars else self.console
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _count(self, record: Record) -> None:
        failed = record["status"] != "completed"
        self.failed += failed
        self.done += not failed

    def _describe(self) -> None:
        text = f"runs {self.done} done, {self.running} running, {self.failed} failed of {self.total}"
        self._bars.update(self._overall, description=text)


def counted(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def summary(record: Record) -> str:
    """One line: run id, status, headline scores and time."""
    parts = [record["run_id"], record["status"]]
    for name, scores in record.get("scores", {}).items():
        shown = " ".join(
            f"{metric} {'undefined' if value is None else f'{value:.4f}'}" for metric, value in scores.items()
        )
        parts.append(f"{name}: {shown}")
    if record.get("degenerate"):
        parts.append("DEGENERATE (constant prediction)")
    if record.get("error"):
        parts.append(record["error"])
    if "time" in record:
        stack = len(record["training"]["stack"])
        parts.append(f"{record['time']['train_seconds']:.1f} s" + (f" for {stack} runs" if stack > 1 else ""))
    return " | ".join(parts)
