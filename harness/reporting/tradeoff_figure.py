"""Trade-off between score and trained parameters (section 3.4 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from harness.reporting.figure_style import Figure, Point, captioned, chosen_points, encoder_title, panels, series
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import MethodVariant
from harness.reporting.published import TRADEOFF_POINTS
from harness.reporting.scores import Column, Scores, method_rows
from harness.tasks.glue import OFFICIAL_ROWS


@dataclass(frozen=True)
class _Curve:
    """One method over its sizes: `points[i]` is (trained parameters, {column title: score − full fine-tuning})."""

    label: str
    points: list[tuple[float, dict[str, float]]]


@dataclass(frozen=True)
class _Tradeoff:
    """The curves of a group over the columns in which every method has a score."""

    curves: list[_Curve]
    columns: list[Column]
    points: list[Point]

    @property
    def is_drawn(self) -> bool:
        return any(len(curve.points) >= 3 for curve in self.curves)


def tradeoff(scores: Scores) -> Figure | None:
    """Score minus full fine-tuning's against trained parameters: 20th, 50th and 80th percentile over the tasks."""
    found = _tradeoff(scores)
    if not found.is_drawn:
        return None
    canvas, (ax,) = panels(1, width=1.9)
    styles = series(curve.label for curve in found.curves)
    for curve in found.curves:
        color, marker, line = styles[curve.label]
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
    encoder = encoder_title(scores.group).lower()
    has_glue = any(column.task.name in OFFICIAL_ROWS for column in found.columns)
    if has_glue and "bert" in encoder and "minilm" not in encoder:
        _mark_published(ax)
    _finish_axes(ax)
    return captioned(
        scores.group,
        canvas,
        found.points,
        name="tradeoff",
        title="Score against trained parameters",
        caption="Score of each method minus that of full fine-tuning, in points, against trained parameters (head "
        f"included). Lines: median over {', '.join(column.title for column in found.columns)}; bands and bars: 20th "
        "to 80th percentile.",
        legend=styles,
    )


def tradeoff_by_task(scores: Scores) -> Figure | None:
    """The same with one panel per task."""
    found = _tradeoff(scores)
    if not found.is_drawn:
        return None
    canvas, axes = panels(len(found.columns))
    styles = series(curve.label for curve in found.curves)
    for ax, column in zip(axes, found.columns, strict=True):
        for curve in found.curves:
            color, marker, line = styles[curve.label]
            x, y = zip(*((trained, deltas[column.title]) for trained, deltas in curve.points), strict=True)
            style = line if len(x) > 1 else ""
            ax.plot(x, y, linestyle=style, color=color, marker=marker, markersize=4, label=curve.label)
        ax.set_title(column.title)
        _finish_axes(ax)
    return captioned(
        scores.group,
        canvas,
        found.points,
        name="tradeoff_by_task",
        title="Score against trained parameters, by task",
        caption="Score minus that of full fine-tuning on the same task, in points, against trained parameters (head "
        "included).",
        legend=styles,
    )


def _tradeoff(scores: Scores) -> _Tradeoff:
    """One curve for each method (sizes and layers along it), over the columns in which all its points have a score."""
    rows = {
        method: row
        for method, row in method_rows(scores.group, scores.columns).items()
        if any(cell.has_encoder for cell in row.cells.values())
    }
    full = next((row for method, row in rows.items() if method.is_full), None)
    columns = [column for column in scores.columns if column.task.in_mean] if full else []
    used = [column for column in columns if all(row.points(column) is not None for row in rows.values())]
    if not used:
        return _Tradeoff([], [], [])
    families: dict[MethodVariant, list[MethodVariant]] = {}
    for method in rows:
        if not method.is_full:
            families.setdefault(method.without(method.scale_field), []).append(method)
    curves = []
    for family, members in families.items():
        points = []
        for method in sorted(members, key=lambda variant: variant.scale):
            row = rows[method]
            trained = fmean(row.candidate(column).trained for column in used)
            points.append((trained, {column.title: row.points(column) - full.points(column) for column in used}))
        label = family_label(family, families) if len(members) > 1 else rows[members[0]].label
        curves.append(_Curve(label, points))
    names = {column.task.name for column in used}
    drawn = [cell for row in rows.values() for name, cell in row.cells.items() if name in names]
    return _Tradeoff(curves, used, chosen_points(drawn))


def _mark_published(ax: Axes) -> None:
    for point in TRADEOFF_POINTS:
        ax.plot(point.trained, point.difference, marker="x", color="0.2", linestyle="", markersize=6)
        where = (point.trained, point.difference)
        ax.annotate(point.label, where, xytext=(4, -9), textcoords="offset points", fontsize=7)


def _finish_axes(ax: Axes) -> None:
    ax.axhline(0, color="0.3", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("trained parameters (log scale)")
    ax.set_ylabel("score − full fine-tuning (points)")
