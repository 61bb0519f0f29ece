"""One setting against the score, a panel per task: scale of initialisation, bottleneck size, learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter

from harness.reporting.candidates import Candidate, Cell
from harness.reporting.figure_style import Figure, Point, Series, captioned, chosen_points, panels, series
from harness.reporting.method_names import family_label, short_number
from harness.reporting.method_variant import SIZE, MethodVariant
from harness.reporting.scores import Scores
from harness.tasks.metrics import metric_title
from harness.tasks.task import Task

CHOSEN = "chosen"
UNDEFINED = "undefined (constant prediction)"

_Lines = list[tuple[Task, dict[MethodVariant, dict[float, Cell]]]]  # cells by value of a field and rest of the method


def init_scale(scores: Scores) -> Figure | None:
    """Score against the standard deviation of the initial weights (section 3.6)."""
    lines = _lines(scores, "init_std")
    if not lines:
        return None
    canvas, axes, styles = _draw_lines(lines)
    for ax in axes:
        ax.set_xscale("log")
        ax.axvline(1e-2, color="0.5", linewidth=0.8, linestyle=":")
        ax.set_xlabel("std of the initial weights (log scale)")
    return captioned(
        scores.group,
        canvas,
        _points_of(lines),
        name="init_scale",
        title="Score against the scale of initialisation",
        caption="Score against the standard deviation of the adapters' initial weights; bars: standard "
        "deviation over seeds; dotted: the paper's 1e-2.",
        legend=styles,
    )


def sizes(scores: Scores) -> Figure | None:
    """Score against bottleneck size, with the spread over seeds."""
    lines = _lines(scores, SIZE)
    if not lines:
        return None
    canvas, axes, styles = _draw_lines(lines)
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("bottleneck size (log scale)")
    return captioned(
        scores.group,
        canvas,
        _points_of(lines),
        name="sizes",
        title="Score against bottleneck size",
        caption="Score of the chosen learning rate against the bottleneck size; bars: standard deviation over seeds.",
        legend=styles,
    )


def learning_rates(scores: Scores) -> Figure | None:
    """Score against learning rate, a line per method (section 3.6)."""
    group = scores.group
    panel_of = {task.name: [(cell, cell.by_rate) for cell in group.row_cells(task.name)] for task in group.tasks}
    panel_of = {name: [(cell, line) for cell, line in lines if _is_curve(line)] for name, lines in panel_of.items()}
    tasks = [task for task in group.tasks if panel_of[task.name]]
    if not tasks:
        return None
    canvas, axes = panels(len(tasks))
    used = {group.label_of(cell) for lines in panel_of.values() for cell, _ in lines}
    styles = series(label for label in group.labels.values() if label in used)
    for ax, task in zip(axes, tasks, strict=True):
        for cell, line in panel_of[task.name]:
            label = group.label_of(cell)
            _draw_line(ax, line, styles[label], label)
            _ring_chosen(ax, cell.chosen)
        tried = sorted({rate for _, line in panel_of[task.name] for rate in line})
        ax.set_xscale("log")
        ax.set_xticks(tried, [short_number(rate) for rate in tried])
        ax.xaxis.set_minor_formatter(NullFormatter())
        _name_axes(ax, task)
        ax.set_xlabel("learning rate (log scale)")
    drawn = [(cell, candidate) for lines in panel_of.values() for cell, line in lines for candidate in line.values()]
    points = [Point(cell, candidate.completed) for cell, candidate in drawn]
    return captioned(
        group,
        canvas,
        points,
        name="learning_rates",
        title="Score against learning rate",
        caption="Score against learning rate, at each rate of the config with the best selection score; "
        "bars: standard deviation over seeds; ring: the chosen rate.",
        legend=[*styles, CHOSEN],
    )


def _is_curve(line: Mapping[float, Candidate]) -> bool:
    return sum(candidate.score().mean is not None for candidate in line.values()) >= 3


def _lines(scores: Scores, field: str) -> _Lines:
    """Cells that differ in one method field only, at least three of them, by task and rest of their method."""
    found: _Lines = []
    for task in scores.group.tasks:
        by_method: dict[MethodVariant, dict[float, Cell]] = {}
        for cell in scores.group.row_cells(task.name):
            value = cell.method.config.get(field)
            if value is not None and cell.chosen:
                by_method.setdefault(cell.method.without(field), {})[value] = cell
        lines = {rest: dict(sorted(line.items())) for rest, line in by_method.items() if len(line) >= 3}
        found += [(task, lines)] if lines else []
    return found


def _draw_lines(lines: _Lines) -> tuple[Canvas, list[Axes], dict[str, Series]]:
    """A panel per task and a line per method, each with the chosen candidates of its cells."""
    canvas, axes = panels(len(lines))
    methods = list(dict.fromkeys(rest for _, by_method in lines for rest in by_method))
    labels = {rest: family_label(rest, methods) for rest in methods}
    styles = series(labels.values())
    for ax, (task, by_method) in zip(axes, lines, strict=True):
        for rest, line in by_method.items():
            chosen = {value: cell.chosen for value, cell in line.items()}
            _draw_line(ax, chosen, styles[labels[rest]], labels[rest])
        _name_axes(ax, task)
    return canvas, axes, styles


def _draw_line(ax: Axes, candidates: Mapping[float, Candidate], style: Series, label: str) -> None:
    """Mean and deviation over seeds at each place, and crosses where the score is undefined."""
    scores = {place: candidate.score() for place, candidate in candidates.items()}
    defined = {place: score for place, score in scores.items() if score.mean is not None}
    means = [100 * score.mean for score in defined.values()]
    stds = [100 * (score.std or 0) for score in defined.values()]
    ax.errorbar(list(defined), means, yerr=stds, color=style.color, marker=style.marker, linestyle=style.line,
                markersize=4.5, capsize=2, linewidth=1.2, label=label)  # fmt: skip
    _mark_undefined(ax, [place for place in scores if place not in defined])


def _ring_chosen(ax: Axes, chosen: Candidate) -> None:
    mean = chosen.score().mean
    if mean is not None and chosen.learning_rate is not None:
        ax.plot(chosen.learning_rate, 100 * mean, linestyle="", marker="o", markersize=9, markerfacecolor="none",
                markeredgecolor="0.2", label=CHOSEN)  # fmt: skip


def _mark_undefined(ax: Axes, places: Sequence[float]) -> None:
    """Crosses at the foot of the panel where a run has no score: the correlation of a constant prediction."""
    if places:
        heights = [0.03] * len(places)
        ax.plot(places, heights, linestyle="", marker="x", color="0.2", transform=ax.get_xaxis_transform(),
                label=UNDEFINED)  # fmt: skip


def _name_axes(ax: Axes, task: Task) -> None:
    ax.set_title(task.title)
    ax.set_ylabel(f"{metric_title(task.headline)} × 100")


def _points_of(lines: _Lines) -> list[Point]:
    return chosen_points(cell for _, by_method in lines for line in by_method.values() for cell in line.values())
