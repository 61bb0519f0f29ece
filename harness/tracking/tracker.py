"""What a tracker receives about a run, and the interface that it implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.records.schema import Record

Rows = Sequence[tuple[int, Mapping[str, float]]]  # steps, from 1, with values by name


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it: its id, the sweep that it belongs to, its results folder and its settings by dotted
    name. `learning_rate` is the highest of its schedule, `batch_size` the rows of a step; both None without an encoder.
    """

    id: str
    group: str
    results_dir: Path
    settings: Mapping[str, str | int | float | bool]
    learning_rate: float | None
    batch_size: int | None

    @property
    def tags(self) -> list[str]:
        return [str(self.settings[name]) for name in ("task.name", "method.name")]


class Tracker(Protocol):
    """One run in one tracker. Making it opens the run, or goes on with the one of the same id; anything may raise."""

    def log(self, rows: Rows) -> None:
        """Log values of these steps. A run that starts again logs its first steps a second time."""

    def close(self, status: str, record: Record | None) -> None:
        """End with `completed`, `diverged`, `failed` or `interrupted`; the record, where there is one."""
