"""The trackers of one stack, one run for each of its replicas; what goes wrong with them never ends training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING

from harness.console import stderr_console
from harness.errors import UserError, one_line
from harness.records.schema import Record, Scores
from harness.tracker_config import TrackerConfig
from harness.tracking.tracker import Rows, TrackedRun, Tracker

if TYPE_CHECKING:
    import numpy as np

# The module of `harness.tracking` with the class `RunTracker`, and the package that it needs.
TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}
_LOSS, _RATE, _SPEED = "train/loss", "train/learning_rate", "train/examples_per_second"

_broken: set[str] = set()  # trackers that have failed since the last check: they are not tried again


def check_trackers(settings: TrackerConfig) -> None:
    """`UserError` for a tracker whose package is not installed. Trackers that have failed before get another chance."""
    _broken.clear()
    for name in chosen(settings):
        if find_spec(TRACKERS[name]) is None:
            raise UserError(f"tracker={name} needs {TRACKERS[name]}: pip install 'glue-adapter-harness[{name}]'")


def chosen(settings: TrackerConfig) -> list[str]:
    """The names of the trackers that are used."""
    return [name for name in TRACKERS if getattr(settings, name).use]


class Tracking:
    """The runs of one stack in all trackers that `settings` names; as a context, from first to last step.

    A run that the context leaves without a record has failed, or was interrupted. The first error of a tracker is
    printed, and the tracker is left alone from then on.
    """

    def __init__(self, runs: Sequence[TrackedRun], settings: TrackerConfig) -> None:
        self._runs, self._settings = runs, settings
        self._open: dict[str, list[Tracker]] = {}  # one per run, by name
        self._last: float | None = None  # when the losses before came

    def __enter__(self) -> Tracking:
        for name in chosen(self._settings):
            if name not in _broken:
                self._attempt(name, lambda name=name: self._start(name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "failed" if kind is None or issubclass(kind, Exception) else "interrupted"
        self._close([status] * len(self._runs), [None] * len(self._runs))

    def losses(self, steps: range, losses: np.ndarray, shares: Sequence[float]) -> None:
        """Log the losses `[R, n]` of these steps (from 0), made with these shares `[n]` of the learning rates."""
        if not self._open:
            return
        before, self._last = self._last, time.perf_counter()
        rows_per_step = sum(run.batch_size for run in self._runs)
        blocks = []
        for run, row in zip(self._runs, losses.tolist(), strict=True):
            block = [
                (step + 1, {_LOSS: loss, _RATE: run.learning_rate * share})
                for step, loss, share in zip(steps, row, shares, strict=True)
                if math.isfinite(loss)
            ]
            if block and before is not None:
                block[-1][1][_SPEED] = len(steps) * rows_per_step / (self._last - before)
            blocks.append(block)
        self._log(blocks)

    def scores(self, step: int, scores: Iterable[Scores]) -> None:
        """Log the scores of every replica after a step."""
        self._log([[(step, _score_values(found))] for found in scores])

    def finish(self, records: Sequence[Record]) -> None:
        """Log what the runs came to, and end them."""
        self._log([[(record["training"]["steps"], _final_values(record))] for record in records])
        self._close([record["status"] for record in records], records)

    def _start(self, name: str) -> None:
        tracker = import_module(f"harness.tracking.{name}").RunTracker
        trackers = self._open[name] = []
        for run in self._runs:
            trackers.append(tracker(run, getattr(self._settings, name)))

    def _log(self, blocks: Sequence[Rows]) -> None:
        for name, trackers in list(self._open.items()):
            for tracker, block in zip(trackers, blocks, strict=True):
                if block and not self._attempt(name, lambda tracker=tracker, block=block: tracker.log(block)):
                    break

    def _close(self, statuses: Sequence[str], records: Sequence[Record | None]) -> None:
        for name, trackers in list(self._open.items()):
            self._open[name] = []
            for tracker, status, record in zip(trackers, statuses, records, strict=True):
                self._attempt(name, lambda t=tracker, s=status, r=record: t.close(s, r))
        self._open.clear()

    def _attempt(self, name: str, call: Callable[[], None]) -> bool:
        """Whether the call worked; if not, this tracker is given up, with one line for all of the command."""
        try:
            call()
        except Exception as error:
            if name not in _broken:
                _broken.add(name)
                line = f"tracker={name} failed ({one_line(error)}); training goes on without it"
                stderr_console().print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
            for tracker in self._open.pop(name, []):
                _let_go(tracker)
            return False
        return True


def _let_go(tracker: Tracker) -> None:
    try:
        tracker.close("failed", None)
    except Exception:  # it has failed already
        return


def _score_values(scores: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """`validation/f1` and so on; scores that are undefined are left out."""
    return {
        f"{split}/{metric}": value
        for split, values in scores.items()
        for metric, value in values.items()
        if value is not None
    }


def _final_values(record: Record) -> dict[str, float]:
    """Scores, speed, memory and size of a run that has ended."""
    return _score_values(record["scores"]) | {
        "examples_per_second": record["time"]["examples_per_second"],
        "train_seconds": record["time"]["train_seconds"],
        "peak_bytes": record["memory"]["peak_bytes"],
        "trained_parameters": record["parameters"]["trained"],
    }
