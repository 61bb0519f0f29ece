"""Trained adapters removed from spans of layers (section 3.6 of the paper)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.image import AxesImage

from harness.records.choice import by_choice
from harness.records.record import Record
from harness.reporting.candidates import Cell
from harness.reporting.figure_style import Figure, Point, captioned, panels
from harness.reporting.groups import Group
from harness.reporting.scores import Scores
from harness.reporting.table import number
from harness.tasks.metrics import metric_title

# Losses in grey, gains in a color, so that a small gain is seen next to large losses.
_COLORS = LinearSegmentedColormap.from_list("changes", ["#000000", "#ffffff", "#d55e00"])


def ablation(scores: Scores) -> Figure | None:
    """Heatmaps of the score without the adapters of a span of layers, relative to all of them in place."""
    chosen = _best_with_spans(scores.group)
    shown = [(cell, record, metric) for cell, record in chosen for metric in _metrics(cell, record)]
    if not shown:
        return None
    canvas, axes = panels(len(shown), height=1.1, columns=2)
    changes = [_changes(record, cell.task.evaluation_sets[0], metric) for cell, record, metric in shown]
    for ax, (cell, record, metric), one in zip(axes, shown, changes, strict=True):
        image = _heatmap(ax, one)
        whole = 100 * record["scores"][cell.task.evaluation_sets[0]][metric]
        ax.set_title(f"{cell.task.title}, {metric_title(metric)} {number(whole)} with all")
        low, high = image.norm.vmin, image.norm.vmax
        ticks = [low, low / 2, 0, high / 2, high]
        bar = canvas.colorbar(image, ax=ax, shrink=0.75, label="change (points)")
        bar.set_ticks(ticks, labels=[number(tick) for tick in ticks])
    majority = "; ".join(
        f"{cell.task.title} {metric_title(metric)} {'undefined' if value is None else number(100 * value)}"
        for cell, record, metric in shown
        for value in [record["majority"][cell.task.evaluation_sets[0]].get(metric)]
    )
    drawn = {record["run_id"]: Point(cell, (record,)) for cell, record, _ in shown}
    return captioned(
        scores.group,
        canvas,
        list(drawn.values()),
        name="ablation",
        title="Trained adapters removed from spans of layers",
        caption="Change of the score when the trained adapters of layers first to last are removed, without "
        "retraining; LayerNorms and head stay. Losses are grey, gains orange; each panel "
        "has a scale of its own, whose halves differ. Shown is the best single run of each "
        f"task on the selection split. The majority class scores: {majority}.",
    )


def _best_with_spans(group: Group) -> list[tuple[Cell, Record]]:
    """For each task the best run on the selection split that was evaluated without spans of adapters."""
    found = []
    for task in group.tasks:
        options = [
            (cell, record)
            for cell in group.row_cells(task.name)
            for candidate in cell.candidates
            for record in candidate.completed
            if record.get("spans")
        ]
        if options:
            found.append(min(options, key=lambda option: by_choice(option[1])))
    return found


def _metrics(cell: Cell, record: Record) -> list[str]:
    """Accuracy where the task has it, as in the paper, and the headline metric; those that the run has a score in."""
    wanted = dict.fromkeys([*(["accuracy"] if "accuracy" in cell.task.metrics else []), cell.task.headline])
    scores = record["scores"][cell.task.evaluation_sets[0]]
    return [metric for metric in wanted if scores.get(metric) is not None]


def _changes(record: Record, evaluation_set: str, metric: str) -> np.ndarray:
    """Points gained without the adapters of layers first to last: `[first, last]`, NaN where there is no score."""
    layers = record["encoder"]["layers"]
    whole = record["scores"][evaluation_set][metric]
    changes = np.full((layers, layers), np.nan)
    for span in record["spans"]:
        value = span["scores"][evaluation_set][metric]
        changes[span["first"], span["last"]] = np.nan if value is None else 100 * (value - whole)
    return changes


def _norm(changes: np.ndarray) -> TwoSlopeNorm:
    """Centred at no change; each side reaches to its largest change, and at least a point."""
    known = changes[np.isfinite(changes)]
    return TwoSlopeNorm(0, min(-1.0, *known), max(1.0, *known))


def _heatmap(ax: Axes, changes: np.ndarray) -> AxesImage:
    layers, norm = len(changes), _norm(changes)
    image = ax.imshow(changes, cmap=_COLORS, norm=norm)
    for first in range(layers if layers <= 12 else 0):
        for last in range(first, layers):
            value = changes[first, last]
            color = "white" if value < 0.55 * norm.vmin else "black"
            ax.text(last, first, _text(value), ha="center", va="center", fontsize=7 if layers <= 8 else 5, color=color)
    ax.set_xlabel("last layer removed")
    ax.set_ylabel("first layer removed")
    ax.set_xticks(range(layers))
    ax.set_yticks(range(layers))
    ax.grid(False)
    return image


def _text(change: float) -> str:
    if np.isnan(change):
        return "undef."
    return "0" if abs(change) < 0.05 else number(change, f"+.{int(abs(change) < 9.95)}f")
