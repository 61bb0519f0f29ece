"""The figures of the paper from run records alone: trade-off curve, ablation, initialisation, learning rates, sizes.

Each function takes comparable runs (a group) and returns figures, none where the group has too little for one. They
read in grey: every series has a marker and a line style of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter

from harness.records.record import Record, canonical
from harness.reporting.bootstrap import LEVEL, Uncertainty
from harness.reporting.comparison import differences
from harness.reporting.figure_style import SERIES, STYLE, Figure, captioned, panels, title_of
from harness.reporting.footnotes import METRIC_TITLES
from harness.reporting.groups import Cell, Group
from harness.reporting.method_names import ALWAYS_SHOWN, SIZE, differing_fields, method_title, short_number
from harness.reporting.published import CLAIMS, TRADEOFF_POINTS
from harness.reporting.scores import Scores, method_row, table_columns
from harness.tasks.glue import get_task


def figures(group: Group, scores: Scores | None = None, uncertainty: Uncertainty | None = None) -> Iterator[Figure]:
    """Every figure that the records of the group suffice for; intervals need its scores and their uncertainty."""
    with matplotlib.rc_context(STYLE):
        for draw in (tradeoff, tradeoff_by_task, ablation, init_scale, learning_rates, sizes):
            figure = draw(group)
            if figure is not None:
                yield figure
        if scores is not None and (figure := paired_differences(scores, uncertainty)) is not None:
            yield figure


# Adapters against full fine-tuning, with intervals


def paired_differences(scores: Scores, uncertainty: Uncertainty) -> Figure | None:
    """Adapters minus full fine-tuning for each task and on the mean, with bootstrap intervals; None without those."""
    pairs = [(adapters, differences(scores, adapters, full, uncertainty)) for adapters, full in scores.pairs]
    pairs = [(row, [one for one in found if one.bounds is not None]) for row, found in pairs]
    if not any(found for _, found in pairs):
        return None
    titles = [one.title for one in max((found for _, found in pairs), key=len)]
    canvas, (ax,) = panels(1, width=1.9, height=0.35 + 0.1 * len(titles))
    for index, ((row, found), (color, marker, _)) in enumerate(zip(pairs, SERIES, strict=False)):
        for one in (one for one in found if one.title in titles):
            low, high = one.bounds
            y = titles.index(one.title) + 0.15 * (index - (len(pairs) - 1) / 2)
            reach = [[one.points - low], [high - one.points]]
            label = row.label if one is found[0] else None
            ax.errorbar(one.points, y, xerr=reach, color=color, marker=marker, markersize=4.5, capsize=2.5, label=label)
    ax.axvline(0, color="0.3", linewidth=0.8)
    for claim in CLAIMS:
        ax.axvline(-claim.margin, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(titles)), titles)
    ax.invert_yaxis()
    ax.set_xlabel("score − full fine-tuning (points)")
    margins = " and ".join(f"−{claim.margin:g}" for claim in CLAIMS)
    return captioned(
        scores.group, "paired_differences", "Adapters minus full fine-tuning, with intervals", canvas,
        f"Paired difference in points with its {LEVEL:.0%} bootstrap interval over the evaluation rows. Dotted: "
        f"{margins}, the gaps that the paper reports.",
        list(scores.group.cells.values()),
    )  # fmt: skip


# Trade-off between score and trained parameters (section 3.4)


@dataclass(frozen=True)
class _Curve:
    """One method over its sizes: `points[i]` is (trained parameters, {column title: score − full fine-tuning})."""

    label: str
    points: list[tuple[float, dict[str, float]]]


def tradeoff(group: Group) -> Figure | None:
    """Score minus full fine-tuning's against trained parameters: 20th, 50th and 80th percentile over the tasks."""
    curves = _curves(group)
    if not any(len(curve.points) >= 3 for curve in curves):
        return None
    canvas, axes = panels(1, width=1.9)
    ax = axes[0]
    for curve, (color, marker, line) in zip(curves, SERIES, strict=False):
        x = [trained for trained, _ in curve.points]
        low, middle, high = (
            [np.percentile(list(deltas.values()), q) for _, deltas in curve.points] for q in (20, 50, 80)
        )
        if len(x) > 1:
            ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
            ax.plot(x, middle, line, color=color, marker=marker, markersize=4.5, label=curve.label)
        else:
            spread = [[middle[0] - low[0]], [high[0] - middle[0]]]
            ax.errorbar(x, middle, yerr=spread, color=color, marker=marker, linestyle="", capsize=2, label=curve.label)
    encoder = title_of(group)
    if "bert" in encoder.lower() and "minilm" not in encoder.lower():
        _mark_published(ax)
    _finish_tradeoff(ax)
    columns = ", ".join(_shared_columns(curves))
    return captioned(
        group, "tradeoff", "Score against trained parameters", canvas,
        f"Score of each method minus that of full fine-tuning, in points, against trained parameters (head included). "
        f"Lines: median over {columns}; bands and bars: 20th to 80th percentile.",
        list(group.cells.values()),
    )  # fmt: skip


def tradeoff_by_task(group: Group) -> Figure | None:
    """The same, a panel a task."""
    curves = _curves(group)
    columns = _shared_columns(curves)
    if not any(len(curve.points) >= 3 for curve in curves):
        return None
    canvas, axes = panels(len(columns))
    for ax, column in zip(axes, columns, strict=True):
        for curve, (color, marker, line) in zip(curves, SERIES, strict=False):
            points = [(trained, deltas[column]) for trained, deltas in curve.points]
            x, y = zip(*points, strict=True)
            style = line if len(points) > 1 else ""
            ax.plot(x, y, linestyle=style, color=color, marker=marker, markersize=4, label=curve.label)
        ax.set_title(column)
        _finish_tradeoff(ax)
    return captioned(
        group, "tradeoff_by_task", "Score against trained parameters, by task", canvas,
        "Score minus that of full fine-tuning on the same task, in points, against trained parameters (head included).",
        list(group.cells.values()),
    )  # fmt: skip


def _curves(group: Group) -> list[_Curve]:
    """One curve for each method (sizes and layers along it), over the columns in which all its points have a score."""
    columns = table_columns(group)
    rows = {key: method_row(label, group.row(key), columns) for key, label in group.labels.items()}
    full = next((rows[key] for key in rows if json.loads(key)["name"] == "full"), None)
    if full is None:
        return []
    counted = [c for c in columns if c.task.in_mean and full.entries[c.title].points is not None]
    families: dict[str, list[tuple[str, float]]] = {}
    for key in rows:
        method = json.loads(key)
        if method["name"] != "full":
            place = method.pop(ALWAYS_SHOWN.get(method["name"], SIZE), 0)
            families.setdefault(canonical(method), []).append((key, place))
    members = [key for family in families.values() for key, _ in family]
    usable = [c.title for c in counted if all(rows[key].entries[c.title].points is not None for key in members)]
    curves = []
    for family in families.values():
        points = []
        for key, _ in sorted(family, key=lambda member: member[1]):
            deltas = {t: rows[key].entries[t].points - full.entries[t].points for t in usable}
            if deltas:
                trained = fmean(cell.chosen.trained for cell in group.row(key).values() if cell.chosen)
                points.append((trained, deltas))
        if points:
            label = rows[family[0][0]].label
            curves.append(_Curve(label if len(family) == 1 else label.partition(" (")[0], points))
    return curves


def _shared_columns(curves: Iterable[_Curve]) -> list[str]:
    return next((list(deltas) for curve in curves for _, deltas in curve.points), [])


def _mark_published(ax: Axes) -> None:
    for point in TRADEOFF_POINTS:
        ax.plot(point.trained, point.difference, marker="x", color="0.2", linestyle="", markersize=6)
        where = (point.trained, point.difference)
        ax.annotate(point.label, where, xytext=(4, -9), textcoords="offset points", fontsize=7)


def _finish_tradeoff(ax: Axes) -> None:
    ax.axhline(0, color="0.3", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("trained parameters (log scale)")
    ax.set_ylabel("score − full fine-tuning (points)")


# Ablation (section 3.6)


def ablation(group: Group) -> Figure | None:
    """Heatmaps of the score without the adapters of a span of layers, relative to all of them in place."""
    chosen = _with_spans(group)
    if not chosen:
        return None
    shown = [(cell, record, metric) for cell, record in chosen for metric in _ablation_metrics(cell)]
    canvas, axes = panels(len(shown), width=1.15, height=1.05, columns=2)
    for ax, (cell, record, metric) in zip(axes, shown, strict=True):
        name = cell.task.evaluation_sets[0]
        whole = record["scores"][name][metric]
        layers = record["encoder"]["layers"]
        change = np.full((layers, layers), np.nan)
        for span in record["spans"]:
            value = span["scores"][name][metric]
            change[span["first"], span["last"]] = np.nan if value is None else 100 * (value - whole)
        deepest = min(-1.0, float(np.nanmin(change)))
        image = ax.imshow(change, cmap="Greys_r", vmin=deepest, vmax=0)
        for first in range(layers):
            for last in range(first, layers):
                value = change[first, last]
                if layers <= 12:
                    text = "undef." if np.isnan(value) else f"{value:+.{int(abs(value) < 9.95)}f}"
                    dark = value < 0.55 * deepest
                    ax.text(last, first, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
        ax.set_title(f"{cell.task.title}, {METRIC_TITLES[metric]} {100 * whole:.1f} with all")
        ax.set_xlabel("last layer removed")
        ax.set_ylabel("first layer removed")
        ax.set_xticks(range(layers))
        ax.set_yticks(range(layers))
        ax.grid(False)
        canvas.colorbar(image, ax=ax, shrink=0.75, label="change (points)")
    majority = "; ".join(
        f"{cell.task.title} {METRIC_TITLES[metric]} {'undefined' if value is None else f'{100 * value:.1f}'}"
        for cell, record, metric in shown
        for value in [record["majority"][cell.task.evaluation_sets[0]].get(metric)]
    )
    return captioned(
        group, "ablation", "Trained adapters removed from spans of layers", canvas,
        "Change of the validation score when the trained adapters of layers first to last are removed, without "
        f"retraining; LayerNorms and head stay. The majority class scores: {majority}.",
        [cell for cell, _ in chosen],
    )  # fmt: skip


def _with_spans(group: Group) -> list[tuple[Cell, Record]]:
    """For each task the best run that was evaluated without spans of adapters."""
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
            name = options[0][0].candidates[0].chosen_on
            found.append(max(options, key=lambda item: item[1]["scores"][name][task.headline] or 0.0))
    return found


def _ablation_metrics(cell: Cell) -> list[str]:
    """Accuracy where the task has it, as in the paper, and the headline metric."""
    return list(dict.fromkeys([*(["accuracy"] if "accuracy" in cell.task.metrics else []), cell.task.headline]))


# One setting against the score


def init_scale(group: Group) -> Figure | None:
    """Score against the standard deviation of the initial weights, a panel a task (section 3.6)."""
    lines = _lines(group, "init_std")
    if not lines:
        return None
    canvas, axes = _draw_lines(lines)
    for ax in axes:
        ax.set_xscale("log")
        ax.axvline(1e-2, color="0.5", linewidth=0.8, linestyle=":")
        ax.set_xlabel("std of the initial weights (log scale)")
    return captioned(
        group, "init_scale", "Score against the scale of initialisation", canvas,
        "Validation score against the standard deviation of the adapters' initial weights; dotted: the paper's 1e-2.",
        _cells_of(lines),
    )  # fmt: skip


def sizes(group: Group) -> Figure | None:
    """Score against bottleneck size, with the spread over seeds, a panel a task."""
    lines = _lines(group, SIZE)
    if not lines:
        return None
    canvas, axes = _draw_lines(lines)
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("bottleneck size (log scale)")
    return captioned(
        group, "sizes", "Score against bottleneck size", canvas,
        "Validation score of the chosen learning rate against the bottleneck size; bars: standard deviation over "
        "seeds.", _cells_of(lines),
    )  # fmt: skip


def learning_rates(group: Group) -> Figure | None:
    """Score against learning rate, a panel a task and a line a method (section 3.6)."""
    tasks = [task for task in group.tasks if any(len(_rates(cell)) >= 3 for cell in group.row_cells(task.name))]
    if not tasks:
        return None
    canvas, axes = panels(len(tasks))
    used = []
    for ax, task in zip(axes, tasks, strict=True):
        cells = [cell for cell in group.row_cells(task.name) if len(_rates(cell)) >= 3]
        used += cells
        for cell, (color, marker, line) in zip(cells, SERIES, strict=False):
            rates = _rates(cell)
            best = [max(scores, key=lambda score: score.mean) for scores in rates.values()]
            means, stds = [100 * score.mean for score in best], [100 * (score.std or 0) for score in best]
            ax.errorbar(list(rates), means, yerr=stds, color=color, marker=marker, linestyle=line, markersize=4,
                        capsize=2, linewidth=1.2, label=group.label_of(cell))  # fmt: skip
            undefined = {c.learning_rate for c in cell.candidates if c.completed and c.score().mean is None}
            _mark_undefined(ax, sorted(undefined - set(rates)))
        tried = sorted({rate for cell in cells for rate in _rates(cell)})
        ax.set_xscale("log")
        ax.set_xticks(tried, [short_number(rate) for rate in tried])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(task.title)
        ax.set_xlabel("learning rate (log scale)")
        ax.set_ylabel(f"{METRIC_TITLES[task.headline]} × 100")
    return captioned(
        group, "learning_rates", "Score against learning rate", canvas,
        "Validation score against learning rate; bars: standard deviation over seeds.", used,
    )  # fmt: skip


def _rates(cell: Cell) -> dict[float, list]:
    """Scores by learning rate, ascending, where they are defined."""
    rates: dict[float, list] = {}
    for candidate in cell.candidates:
        score = candidate.score()
        if score.mean is not None:
            rates.setdefault(candidate.learning_rate, []).append(score)
    return dict(sorted(rates.items()))


_Lines = dict[str, dict[str, dict[float, Cell]]]


def _lines(group: Group, field: str) -> _Lines:
    """Cells that differ in one method field only, at least three of them, by task name and rest of their method."""
    found: _Lines = {}
    for task in group.tasks:
        by_method: dict[str, dict[float, Cell]] = {}
        for cell in group.row_cells(task.name):
            method = dict(cell.method)
            value = method.pop(field, None)
            if value is not None and cell.chosen:
                by_method.setdefault(canonical(method), {})[value] = cell
        if lines := {key: dict(sorted(line.items())) for key, line in by_method.items() if len(line) >= 3}:
            found[task.name] = lines
    return found


def _draw_lines(lines: _Lines) -> tuple[Canvas, list[Axes]]:
    canvas, axes = panels(len(lines))
    methods = [json.loads(key) for key in dict.fromkeys(key for by_method in lines.values() for key in by_method)]
    for ax, (name, by_method) in zip(axes, lines.items(), strict=True):
        task = get_task(name)
        for (key, line), (color, marker, style) in zip(by_method.items(), SERIES, strict=False):
            scores = {value: cell.chosen.score() for value, cell in line.items()}
            defined = {value: score for value, score in scores.items() if score.mean is not None}
            means = [100 * score.mean for score in defined.values()]
            stds = [100 * (score.std or 0) for score in defined.values()]
            method = json.loads(key)
            label = ", ".join([method_title(method["name"]), *differing_fields(method, methods).values()])
            ax.errorbar(list(defined), means, yerr=stds, color=color, marker=marker, linestyle=style, markersize=4.5,
                        capsize=2, label=label)  # fmt: skip
            _mark_undefined(ax, [value for value in scores if value not in defined])
        ax.set_title(task.title)
        ax.set_ylabel(f"{METRIC_TITLES[task.headline]} × 100")
    return canvas, axes


def _mark_undefined(ax: Axes, places: Sequence[float]) -> None:
    """Crosses at the foot of the panel where a run has no score: the correlation of a constant prediction."""
    if places:
        heights = [0.03] * len(places)
        ax.plot(places, heights, linestyle="", marker="x", color="0.2", transform=ax.get_xaxis_transform(),
                label="undefined (constant prediction)")  # fmt: skip


def _cells_of(lines: _Lines) -> list[Cell]:
    return [cell for by_method in lines.values() for line in by_method.values() for cell in line.values()]


# What all figures share
