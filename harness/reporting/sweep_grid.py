"""What a sweep tried, as a grid per task: learning rate × method variant, with the chosen cells marked."""

from __future__ import annotations

from dataclasses import dataclass

from harness.reporting.candidates import Candidate, Cell
from harness.reporting.groups import Group
from harness.reporting.method_names import short_number
from harness.reporting.scores import UNDEFINED
from harness.reporting.table import DAGGER, NOTHING, number
from harness.tasks.metrics import metric_title


@dataclass(frozen=True)
class GridEntry:
    """The best candidate of a method at one rate, by its selection score.

    `share` places the score between the lowest (0) and the highest (1) of the task; None without a score. `edge` is
    `lowest` or `highest` where the chosen rate is that of those tried for the method.
    """

    text: str = ""
    share: float | None = None
    is_chosen: bool = False
    edge: str = ""


@dataclass(frozen=True)
class Grid:
    """One task: `methods` are the columns, `rows` are learning rates with an entry per method."""

    title: str
    metric: str
    methods: list[str]
    rows: list[tuple[str, list[GridEntry]]]


def sweep_grids(group: Group) -> list[Grid]:
    """A grid for each task with a learning rate."""
    grids = []
    for task in group.tasks:
        cells = [cell for cell in group.row_cells(task.name) if cell.rates]
        means = [mean for cell in cells for one in cell.by_rate.values() if (mean := one.choice_score.mean) is not None]
        bounds = min(means, default=0.0), max(means, default=0.0)
        rates = sorted({rate for cell in cells for rate in cell.rates})
        rows = [(short_number(rate), [_entry(cell, rate, bounds) for cell in cells]) for rate in rates]
        if rows:
            grids.append(Grid(task.title, metric_title(task.headline), [group.label_of(cell) for cell in cells], rows))
    return grids


def _entry(cell: Cell, rate: float, bounds: tuple[float, float]) -> GridEntry:
    candidate: Candidate | None = cell.by_rate.get(rate)
    if candidate is None:
        return GridEntry(_state(cell, rate))
    mean, is_chosen = candidate.choice_score.mean, candidate is cell.chosen
    edge = cell.grid_edge if is_chosen and cell.grid_edge in ("lowest", "highest") else ""
    dagger = DAGGER * candidate.degenerate
    if mean is None:
        return GridEntry(UNDEFINED + dagger, None, is_chosen, edge)
    low, high = bounds
    return GridEntry(number(100 * mean) + dagger, (mean - low) / (high - low) if high > low else 1.0, is_chosen, edge)


def _state(cell: Cell, rate: float) -> str:
    """Why a rate has no score: it was not tried with this method, or none of its runs completed."""
    found = [candidate for candidate in cell.candidates if candidate.learning_rate == rate]
    return next((s for s in ("failed", "diverged", "running") if any(one.count(s) for one in found)), NOTHING)
