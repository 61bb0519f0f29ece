"""One setting against the score, a panel per task: scale of initialisation, bottleneck size, learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from harness.reporting.candidates import Candidate, Cell
from harness.reporting.figure_style import (
    Figure,
    Point,
    Series,
    captioned,
    chosen_points,
    draw_series,
    name_rates,
    panels,
    series,
)
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import SIZE, MethodVariant
from harness.reporting.scores import Scores
from harness.tasks.metrics import metric_title
from harness.tasks.task import Task

CHOSEN = "chosen"
UNDEFINED = "undefined (constant prediction)"
PAPERS_STD = "the paper's 0.01"

_Lines = list[tuple[Task, dict[MethodVariant, dict[float, Cell]]]]  # cells by value of a field and rest of the method


def init_scale(scores: Scores) -> Figure | None:
    """Score against the standard deviation of the initial weights (section 3.6)."""
    lines = _lines(scores, "init_std")
    if not lines:
        return None
    canvas, axes, styles = _draw_lines(lines)
    for ax in axes:
        ax.axvline(1e-2, color="0.5", linewidth=0.8, linestyle=":", label=PAPERS_STD)
        name_rates(ax, "std of the initial weights")
    return captioned(
        scores.group,
        canvas,
        _points_of(lines),
        name="init_scale",
        title="Score against the scale of initialisation",
        caption="Score against the standard deviation of the adapters' initial weights; bars: standard "
        "deviation over seeds (hollow: a single one). Each panel has a scale of its own.",
        legend=[*styles, PAPERS_STD],
    )


def sizes(scores: Scores) -> Figure | None:
    """Score against bottleneck size, with the spread over seeds."""
    lines = _lines(scores, SIZE)
    if not lines:
        return None
    canvas, axes, styles = _draw_lines(lines)
    for ax, (_, by_method) in zip(axes, lines, strict=True):
        ticks = _spaced(sorted({size for line in by_method.values() for size in line}))
        ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, list(map(str, ticks)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("bottleneck size (log scale)")
    return captioned(
        scores.group,
        canvas,
        _points_of(lines),
        name="sizes",
        title="Score against bottleneck size",
        caption="Score of the chosen learning rate against the bottleneck size; bars: standard deviation over seeds "
        "(hollow: a single one). Each panel has a scale of its own.",
        legend=styles,
    )


def _spaced(sizes: Sequence[int]) -> list[int]:
    """Those, from the smallest on, whose labels have room next to each other on a log axis."""
    least = (sizes[-1] / sizes[0]) ** (1 / 7)
    kept: list[int] = []
    for size in sizes:
        kept += [size] if not kept or size >= least * kept[-1] else []
    return kept


def learning_rates(scores: Scores) -> Figure | None:
    """Score against learning rate, a line per method (section 3.6), for tasks with a method that has two rates."""
    group = scores.group
    panel_of = {task.name: [(cell, cell.by_rate) for cell in group.row_cells(task.name)] for task in group.tasks}
    tasks = [task for task in group.tasks if any(map(_is_curve, (line for _, line in panel_of[task.name])))]
    if not tasks:
        return None
    canvas, axes = panels(len(tasks))
    drawn = [(cell, line) for task in tasks for cell, line in panel_of[task.name] if line]
    used = {group.label_of(cell) for cell, _ in drawn}
    styles = series(label for label in group.labels.values() if label in used)
    for ax, task in zip(axes, tasks, strict=True):
        for cell, line in drawn:
            if cell.task == task:
                label = group.label_of(cell)
                _draw_line(ax, line, styles[label], label)
                if len(cell.rates) > 1:
                    _ring_chosen(ax, cell.chosen)
        _name_axes(ax, task)
        name_rates(ax, "learning rate")
    return captioned(
        group,
        canvas,
        [Point(cell, candidate.completed) for cell, line in drawn for candidate in line.values()],
        name="learning_rates",
        title="Score against learning rate",
        caption="Score against learning rate, at each rate of the config with the best selection score; "
        "bars: standard deviation over seeds (hollow: a single one); ring: the rate with the best selection score of "
        "several. Each panel has a scale of its own.",
        legend=[*styles, CHOSEN],
    )


def _is_curve(line: Mapping[float, Candidate]) -> bool:
    return sum(candidate.score().mean is not None for candidate in line.values()) >= 2


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
    bars = [
        None if score.std is None else (mean - 100 * score.std, mean + 100 * score.std)
        for mean, score in zip(means, defined.values(), strict=True)
    ]
    draw_series(ax, style, label, list(defined), means, bars, [score.seeds < 2 for score in defined.values()])
    _mark_undefined(ax, [place for place in scores if place not in defined])


def _ring_chosen(ax: Axes, chosen: Candidate) -> None:
    mean = chosen.score().mean
    if mean is not None and chosen.learning_rate is not None:
        ax.plot(chosen.learning_rate, 100 * mean, linestyle="", marker="o", markersize=8, markerfacecolor="none",
                markeredgecolor="0.2", clip_on=False, label=CHOSEN)  # fmt: skip


def _mark_undefined(ax: Axes, places: Sequence[float]) -> None:
    """Crosses on the axis, where no score can lie, of runs without one: the correlation of a constant prediction."""
    if places:
        ax.plot(places, [0.0] * len(places), linestyle="", marker="x", markersize=5, color="0.2", clip_on=False,
                transform=ax.get_xaxis_transform(), label=UNDEFINED)  # fmt: skip


def _name_axes(ax: Axes, task: Task) -> None:
    ax.set_title(f"{task.title} ({metric_title(task.headline)})")
    ax.set_ylabel("score × 100")


def _points_of(lines: _Lines) -> list[Point]:
    return chosen_points(cell for _, by_method in lines for line in by_method.values() for cell in line.values())
