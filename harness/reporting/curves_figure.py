"""Learning curves: the training loss of what was chosen, a panel per task."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from matplotlib.ticker import MaxNLocator

from harness.records.record import Record
from harness.reporting.candidates import Candidate
from harness.reporting.figure_style import Figure, captioned, chosen_points, panels, series
from harness.reporting.scores import Scores


def learning_curves(scores: Scores) -> Figure | None:
    """Training loss by epoch of the chosen runs, a line per method; None where no run recorded two epochs."""
    group = scores.group
    cells = [cell for cell in group.ordered_cells if cell.chosen and len(_mean_losses(cell.chosen)) > 1]
    if not cells:
        return None
    tasks = [task for task in group.tasks if any(cell.task == task for cell in cells)]
    canvas, axes = panels(len(tasks))
    used = {group.label_of(cell) for cell in cells}
    styles = series(label for label in group.labels.values() if label in used)
    for ax, task in zip(axes, tasks, strict=True):
        for cell in cells:
            if cell.task == task:
                label = group.label_of(cell)
                color, marker, line = styles[label]
                runs = cell.chosen.completed
                for run in runs if len(runs) > 1 else ():
                    losses = _losses(run)
                    ax.plot(list(losses), list(losses.values()), color=color, linewidth=0.5, alpha=0.4)
                means = _mean_losses(cell.chosen)
                ax.plot(
                    list(means), list(means.values()), line, color=color, marker=marker, markersize=2.5, label=label
                )
        ax.set_ylim(0, 1.05 * ax.dataLim.ymax)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        ax.set_title(task.title)
        ax.set_xlabel("epoch")
        ax.set_ylabel("training loss")
    return captioned(
        group,
        canvas,
        chosen_points(cells),
        name="learning_curves",
        title="Learning curves",
        caption="Mean training loss of each epoch, for the chosen config of each cell; thin lines: its seeds. "
        "Each panel has a scale of its own.",
        legend=styles,
    )


def _losses(record: Record) -> dict[float, float]:
    """Training loss by epoch."""
    history: Sequence[dict] = record["training"]["history"]
    return {entry["epoch"]: entry["loss"] for entry in history if entry.get("loss") is not None}


def _mean_losses(candidate: Candidate) -> dict[float, float]:
    """The mean over seeds, at the epochs that all of them have."""
    runs = [_losses(record) for record in candidate.completed]
    return {epoch: fmean(run[epoch] for run in runs) for epoch in runs[0] if all(epoch in run for run in runs)}
