"""F1 against trained parameters on question answering (section 3.5 of the paper)."""

from __future__ import annotations

from math import sqrt

from harness.reporting.candidates import Cell
from harness.reporting.figure_style import (
    Figure,
    captioned,
    chosen_points,
    draw_series,
    encoder_title,
    name_parameters,
    panels,
    series,
)
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
    canvas, axes = panels(len(tasks))
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
                    mean = 100 * score.mean
                    error = None if score.std is None else 100 * score.std / sqrt(score.seeds)
                    bar = None if error is None else (mean - error, mean + error)
                    points.append((cell.chosen.trained, mean, bar, score.seeds < 2))
            if points:
                draw_series(ax, styles[label], label, *zip(*points, strict=True))
        if is_large:
            ax.plot(*zip(*((trained, f1) for trained, f1, _ in SQUAD_POINTS), strict=True), marker="x", color="0.2",
                    linestyle="", label="paper")  # fmt: skip
        ax.set_title(task.title)
        ax.set_ylabel(f"{metric_title(task.headline)} × 100")
        name_parameters(ax)
    names = ", ".join(name.removeprefix("paper: ") for _, _, name in sorted(SQUAD_POINTS))
    drawn = [cell for task in tasks for cell in cells[task.name]]
    return captioned(
        group,
        canvas,
        chosen_points(drawn),
        name="spans",
        title="F1 against trained parameters",
        caption="Validation score against trained parameters (head included); bars: standard error over seeds "
        "(hollow: a single one)"
        + (f"; crosses, from the left: the paper's {names} of BERT-large." if is_large else "."),
        legend=styles,
    )


def _families(cells: list[Cell]) -> dict[MethodVariant, list[Cell]]:
    """Cells by their method without its size."""
    found: dict[MethodVariant, list[Cell]] = {}
    for cell in cells:
        field = cell.method.scale_field
        found.setdefault(cell.method.without(field) if field else cell.method, []).append(cell)
    return found
