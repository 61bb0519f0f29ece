"""F1 against trained parameters on question answering (section 3.5 of the paper)."""

from __future__ import annotations

from math import sqrt

from harness.reporting.candidates import Cell
from harness.reporting.figure_style import Figure, captioned, chosen_points, encoder_title, panels, series
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import MethodVariant
from harness.reporting.published import SQUAD_POINTS
from harness.reporting.scores import Scores
from harness.tasks.metrics import metric_title


def spans(scores: Scores) -> Figure | None:
    """The headline score of each method of a span task, with its standard error, against its trained parameters."""
    group = scores.group
    tasks = [task for task in group.tasks if task.kind.name == "span"]
    cells = {task.name: [cell for cell in group.row_cells(task.name) if cell.chosen] for task in tasks}
    tasks = [task for task in tasks if len(cells[task.name]) >= 3]
    if not tasks:
        return None
    canvas, axes = panels(len(tasks), width=1.9)
    families = {task.name: _families(cells[task.name]) for task in tasks}
    known = list(dict.fromkeys(family for found in families.values() for family in found))
    labels = {family: family_label(family, known) for family in known}
    styles = series(labels.values())
    is_large = "bert-large" in encoder_title(group).lower()
    for ax, task in zip(axes, tasks, strict=True):
        for family, members in families[task.name].items():
            label, points = labels[family], []
            for cell in sorted(members, key=lambda cell: cell.chosen.trained):
                score = cell.chosen.score()
                if score.mean is not None:
                    error = 100 * (score.std or 0) / sqrt(score.seeds)
                    points.append((cell.chosen.trained, 100 * score.mean, error))
            if points:
                x, y, errors = zip(*points, strict=True)
                ax.errorbar(x, y, yerr=errors, color=styles[label].color, marker=styles[label].marker, capsize=2,
                            linestyle=styles[label].line * (len(x) > 1), markersize=4.5, label=label)  # fmt: skip
        if is_large:
            for trained, f1, name in SQUAD_POINTS:
                ax.plot(trained, f1, marker="x", color="0.2", linestyle="", markersize=6)
                ax.annotate(name, (trained, f1), xytext=(4, -9), textcoords="offset points", fontsize=7)
        ax.set_title(task.title)
        ax.set_xscale("log")
        ax.set_xlabel("trained parameters (log scale)")
        ax.set_ylabel(f"{metric_title(task.headline)} × 100")
    drawn = [cell for task in tasks for cell in cells[task.name]]
    return captioned(
        group,
        canvas,
        chosen_points(drawn),
        name="spans",
        title="F1 against trained parameters",
        caption="Validation score against trained parameters (head included); bars: standard error over seeds"
        + ("; crosses: published for BERT-large." if is_large else "."),
        legend=styles,
    )


def _families(cells: list[Cell]) -> dict[MethodVariant, list[Cell]]:
    """Cells by their method without its size."""
    found: dict[MethodVariant, list[Cell]] = {}
    for cell in cells:
        field = cell.method.scale_field
        found.setdefault(cell.method.without(field) if field else cell.method, []).append(cell)
    return found
