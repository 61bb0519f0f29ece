"""Learning curves of what was chosen: training loss, and the score where every epoch was evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harness.records.choice import choice_score, chosen_on
from harness.records.record import Record, task_of
from harness.reporting.candidates import Cell
from harness.reporting.figure_style import Figure, Series, captioned, chosen_points, panels, series
from harness.reporting.groups import Group
from harness.reporting.scores import Scores
from harness.tasks.metrics import metric_title

_FEW = 20  # points of a line that are marked

Points = dict[float, float]  # value by epoch


class _Curve(NamedTuple):
    """A cell's mean over seeds, at the epochs that all of them have, and its seeds."""

    cell: Cell
    mean: Points
    runs: list[Points]


def learning_curves(scores: Scores) -> Figure | None:
    """The chosen runs by epoch, a line per method: a panel for the losses of each task, and one for its scores where
    `train.evaluate_every_epoch` recorded them. None where no run recorded two losses.
    """
    group = scores.group
    losses, evaluated = _curves(group, _losses), _curves(group, _scores)
    if not losses:
        return None
    used = {group.label_of(curve.cell) for curve in losses}
    styles = series(label for label in group.labels.values() if label in used)
    shown = [
        (task, own, curves is losses)
        for curves in (losses, evaluated)
        for task in group.tasks
        if (own := [curve for curve in curves if curve.cell.task == task])
    ]
    canvas, axes = panels(len(shown))
    for ax, (task, curves, of_losses) in zip(axes, shown, strict=True):
        for curve in curves:
            label = group.label_of(curve.cell)
            _draw(ax, styles[label], label, curve)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        ax.set_title(task.title)
        ax.set_xlabel("epoch")
        ax.set_ylabel("training loss" if of_losses else f"{metric_title(task.headline)} × 100, selection split")
        if of_losses:
            ax.set_ylim(0, 1.05 * ax.dataLim.ymax)
    return captioned(
        group,
        canvas,
        chosen_points([curve.cell for curve in losses]),
        name="learning_curves",
        title="Learning curves",
        caption=f"Mean training loss of {_spans(losses)}, for the chosen config of each cell{_seeds(losses)}. "
        + ("Scores: on the selection split, after each epoch. " if evaluated else "")
        + "Each panel has a scale of its own.",
        legend=styles,
    )


def _draw(ax: Axes, style: Series, label: str, curve: _Curve) -> None:
    """The mean as a line, and its seeds: as thin lines where there are few points, as a band where lines would cover
    each other.
    """
    epochs, has_few = list(curve.mean), len(curve.mean) <= _FEW
    if has_few and len(curve.runs) > 1:
        for points in curve.runs:
            ax.plot(list(points), list(points.values()), color=style.color, linewidth=0.5, alpha=0.4)
    elif len(curve.runs) > 1:
        low, high = ([end(run[epoch] for run in curve.runs) for epoch in epochs] for end in (min, max))
        ax.fill_between(epochs, low, high, color=style.color, alpha=0.15, linewidth=0)
    marker = style.marker if has_few else ""
    width = None if has_few else 0.9
    means = list(curve.mean.values())
    ax.plot(epochs, means, style.line, color=style.color, marker=marker, markersize=2.5, linewidth=width, label=label)


def _curves(group: Group, read: Callable[[Sequence[Record]], list[Points]]) -> list[_Curve]:
    """The curve of every cell whose mean has two points or more."""
    found = []
    for cell in group.ordered_cells:
        runs = read(cell.chosen.completed) if cell.chosen else []
        shared = [epoch for epoch in runs[0] if all(epoch in run for run in runs)] if runs else []
        mean = {epoch: fmean(run[epoch] for run in runs) for epoch in shared}
        if len(mean) > 1:
            found.append(_Curve(cell, mean, runs))
    return found


def _losses(records: Sequence[Record]) -> list[Points]:
    """Training losses, each at the middle of its steps; at the ends of epochs where a run has recorded no others."""
    entries = [record["training"] for record in records]
    if not all("losses" in entry for entry in entries):
        return [{one["epoch"]: one["loss"] for one in entry["history"]} for entry in entries]
    found = []
    for record, entry in zip(records, entries, strict=True):
        every, steps = entry["losses"]["every"], entry["steps"]
        epochs = record["config"]["train"]["epochs"]
        starts = range(0, steps, every)
        middles = [(start + min(start + every, steps)) / 2 * epochs / steps for start in starts]
        found.append(dict(zip(middles, entry["losses"]["means"], strict=True)))
    return found


def _spans(losses: Sequence[_Curve]) -> str:
    """The steps that the losses are means of."""
    blocks = {"losses" in run["training"] for curve in losses for run in curve.cell.chosen.completed}
    if blocks == {True}:
        return "every hundredth of a run"
    return "each epoch" if blocks == {False} else "every hundredth of a run, or of each epoch where no more is recorded"


def _seeds(curves: Sequence[_Curve]) -> str:
    """What `_draw` shows seeds as, where there are several."""
    kinds = {"bands" if len(curve.mean) > _FEW else "thin lines" for curve in curves if len(curve.runs) > 1}
    return f"; {' or '.join(sorted(kinds))}: its seeds" if kinds else ""


def _scores(records: Sequence[Record]) -> list[Points]:
    """Headline scores × 100 on the selection split after every epoch; the last is that of the finished run."""
    found = []
    for record in records:
        split, headline = chosen_on(record), task_of(record).headline
        evaluated = [one for one in record["training"]["history"] if "scores" in one]
        scores = {one["epoch"]: one["scores"][split][headline] for one in evaluated}
        if evaluated:
            scores[record["config"]["train"]["epochs"]] = choice_score(record)
        found.append({epoch: 100 * score for epoch, score in scores.items() if score is not None})
    return found
