"""Trade-off between score and trained parameters (section 3.4 of the paper).

Three views of the same differences to full fine-tuning: their mean with its interval, their percentiles over the tasks
as in the paper's figures, and a panel per task.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from harness.reporting.bootstrap import LEVEL, Bootstrap, Interval, mean_of
from harness.reporting.candidates import Candidate
from harness.reporting.comparison import Difference, differences
from harness.reporting.figure_style import (
    ONE_SEED,
    Figure,
    Point,
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
from harness.reporting.published import BERT_BASE, TRADEOFF_POINTS
from harness.reporting.scores import Column, Row, Scores, method_rows
from harness.tasks.glue import OFFICIAL_ROWS

ZERO = "full fine-tuning (0)"
PAPER = "paper"
PERCENTILES = (20, 50, 80)
BARS = f"; bars: {LEVEL:.0%} bootstrap interval over evaluation rows and seeds, of hollow points over rows only"
HOLLOW = "; hollow: a single seed on either side"


@dataclass(frozen=True)
class _Size:
    """One method variant against full fine-tuning: differences by column title, where both have a score."""

    row: Row
    differences: dict[str, Difference]

    def trained(self, column: Column) -> int:
        return self.row.candidate(column).trained

    def has(self, columns: list[Column]) -> bool:
        return all(column.title in self.differences for column in columns)


@dataclass(frozen=True)
class _Tradeoff:
    """The curves of a group: the variants of each method by its label, ascending in size."""

    full: Row | None
    columns: list[Column]  # that full fine-tuning shares with some variant
    curves: dict[str, list[_Size]]

    @property
    def is_drawn(self) -> bool:
        return any(len(sizes) >= 3 for sizes in self.curves.values())

    @cached_property
    def shared(self) -> list[Column]:
        """The columns of the mean: the most that any variant shares with full fine-tuning."""
        every = [size for sizes in self.curves.values() for size in sizes]
        widest = max(every, key=lambda size: len(size.differences))
        return [column for column in self.columns if column.title in widest.differences]

    @cached_property
    def complete(self) -> dict[str, list[_Size]]:
        """The variants with a score in each shared column."""
        found = {label: [size for size in sizes if size.has(self.shared)] for label, sizes in self.curves.items()}
        return {label: sizes for label, sizes in found.items() if sizes}

    @property
    def marks(self) -> str:
        """What bars and hollow points are, as part of a caption; intervals need predictions and gold labels."""
        every = [one for sizes in self.curves.values() for size in sizes for one in size.differences.values()]
        return HOLLOW * any(map(_is_hollow, every)) + BARS * any(one.spread is not None for one in every)

    @property
    def left_out(self) -> str:
        """A sentence on the variants that lack a column; empty without any."""
        lacking = [size for sizes in self.curves.values() for size in sizes if not size.has(self.shared)]
        texts = [f"{one.row.label} ({len(one.differences)} of {len(self.shared)})" for one in lacking]
        return f" Left out, without a score in every column: {', '.join(texts)}." if texts else ""

    def points(self, curves: dict[str, list[_Size]], columns: list[Column]) -> list[Point]:
        """Everything that is drawn of these curves in these columns, full fine-tuning included."""
        titles = {column.title: column.task.name for column in columns}
        drawn = [
            (row, name)
            for sizes in curves.values()
            for size in sizes
            for title, name in titles.items()
            if title in size.differences
            for row in (self.full, size.row)
        ]
        return chosen_points(row.cells[name] for row, name in {(id(r), name): (r, name) for r, name in drawn}.values())


def tradeoff(scores: Scores, bootstrap: Bootstrap | None = None) -> Figure | None:
    """Mean difference to full fine-tuning with its interval, against trained parameters; a thin line per task."""
    found = _tradeoff(scores, bootstrap)
    if not found.is_drawn:
        return None
    canvas, (ax,) = panels(1)
    styles = series(found.complete)
    for label, sizes in found.complete.items():
        style, x = styles[label], _trained(sizes, found.shared)
        each = [[size.differences[column.title] for column in found.shared] for size in sizes]
        for line in zip(*each, strict=True):
            mark = {"marker": "."} if len(sizes) == 1 else {}
            ax.plot(
                x, [one.points for one in line], color=style.color, linewidth=0.5, markersize=2.5, alpha=0.4, **mark
            )
        means = [fmean(one.points for one in ones) for ones in each]
        bars = [_mean_bounds(ones) for ones in each]
        draw_series(ax, style, label, x, means, bars, [any(map(_is_hollow, ones)) for ones in each])
    _finish_axes(ax)
    return captioned(
        scores.group,
        canvas,
        found.points(found.complete, found.shared),
        name="tradeoff",
        title="Score against trained parameters",
        caption="Score of each method minus that of full fine-tuning, in points, against trained parameters (head "
        f"included). Points: mean over {_titles(found.shared)}{found.marks}; thin lines and dots: each "
        "of these columns." + found.left_out,
        legend=[*styles, ZERO, ONE_SEED],
    )


def tradeoff_percentiles(scores: Scores, bootstrap: Bootstrap | None = None) -> Figure | None:
    """The paper's view: 20th, 50th and 80th percentile over the tasks, of accuracy where a task has it."""
    found = _tradeoff(scores, bootstrap)
    if not found.is_drawn:
        return None
    canvas, (ax,) = panels(1)
    styles = series(found.complete)
    for label, sizes in found.complete.items():
        color, marker, line = styles[label]
        x = _trained(sizes, found.shared)
        deltas = [[_accuracy(size.row, column) - _accuracy(found.full, column) for column in found.shared]
                  for size in sizes]  # fmt: skip
        low, middle, high = np.percentile(deltas, PERCENTILES, axis=1)
        if len(x) > 1:
            ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
            ax.plot(x, middle, line, color=color, marker=marker, label=label)
        else:
            ax.errorbar(x, middle, yerr=[middle - low, high - middle], color=color, marker=marker, linestyle="",
                        elinewidth=0.8, label=label)  # fmt: skip
    has_glue = any(column.task.name in OFFICIAL_ROWS for column in found.shared)
    is_papers = has_glue and re.search(BERT_BASE, encoder_title(scores.group).lower())
    if is_papers:
        _mark_published(ax)
    _finish_axes(ax, "accuracy")
    others = [column.title for column in found.shared if "accuracy" not in column.task.metrics]
    return captioned(
        scores.group,
        canvas,
        found.points(found.complete, found.shared),
        name="tradeoff_percentiles",
        title="Accuracy against trained parameters, percentiles over the tasks",
        caption="The paper's view: accuracy"
        + (f" ({', '.join(others)}: the headline metric)" if others else "")
        + " minus that of full fine-tuning, in points, against trained parameters (head included). Lines: median over "
        f"{_titles(found.shared)}; bands and bars: 20th to 80th percentile over these columns."
        + (" Crosses: what the paper reports." if is_papers else "")
        + found.left_out,
        legend=[*styles, ZERO],
    )


def tradeoff_by_task(scores: Scores, bootstrap: Bootstrap | None = None) -> Figure | None:
    """Differences to full fine-tuning with their intervals, a panel per task."""
    found = _tradeoff(scores, bootstrap)
    if not found.is_drawn:
        return None
    canvas, axes = panels(len(found.columns))
    styles = series(found.curves)
    for ax in axes[1:]:  # before anything is drawn: later, the limits would be those of the first panel's points
        ax.sharex(axes[0])
        ax.sharey(axes[0])
    for ax, column in zip(axes, found.columns, strict=True):
        for label, sizes in found.curves.items():
            shown = [size for size in sizes if column.title in size.differences]
            if shown:
                ones = [size.differences[column.title] for size in shown]
                x, bars = (
                    [size.trained(column) for size in shown],
                    [one.bounds_with_seeds or one.bounds for one in ones],
                )
                draw_series(
                    ax, styles[label], label, x, [one.points for one in ones], bars, list(map(_is_hollow, ones))
                )
        ax.set_title(column.title)
    for ax in axes:
        _finish_axes(ax)
    return captioned(
        scores.group,
        canvas,
        found.points(found.curves, found.columns),
        name="tradeoff_by_task",
        title="Score against trained parameters, by task",
        caption="Score minus that of full fine-tuning on the same task, in points, against trained parameters (head "
        f"included){found.marks}. All panels have the same axes.",
        legend=[*styles, ZERO, ONE_SEED],
    )


def _tradeoff(scores: Scores, bootstrap: Bootstrap | None) -> _Tradeoff:
    """One curve for each method (sizes and layers along it), where it shares a column of the mean with the baseline."""
    rows = method_rows(scores.group, scores.columns)
    full = next((row for method, row in rows.items() if method.is_full), None)
    if full is None:
        return _Tradeoff(None, [], {})
    families: dict[MethodVariant, dict[MethodVariant, _Size]] = {}
    for method, row in rows.items():
        if method.is_full or not any(cell.has_encoder for cell in row.cells.values()):
            continue
        found = {one.title: one for one in differences(scores, row, full, bootstrap) if one.column in scores.counted}
        if found:
            families.setdefault(method.without(method.scale_field), {})[method] = _Size(row, found)
    curves = {}
    for family, members in families.items():
        sizes = [members[method] for method in sorted(members, key=lambda variant: variant.scale)]
        label = family_label(family, families) if len(sizes) > 1 else sizes[0].row.label
        curves[label] = sizes
    titles = {title for sizes in curves.values() for size in sizes for title in size.differences}
    return _Tradeoff(full, [column for column in scores.columns if column.title in titles], curves)


def _trained(sizes: list[_Size], columns: list[Column]) -> list[float]:
    return [fmean(map(size.trained, columns)) for size in sizes]


def _is_hollow(one: Difference) -> bool:
    return min(one.seeds) < 2


def _mean_bounds(ones: list[Difference]) -> Interval | None:
    """The interval of a mean over columns: over rows and seeds, where each side has several in each column."""
    spread = mean_of([one.spread for one in ones])
    return spread and (spread.interval_with_seeds() or spread.interval())


def _accuracy(row: Row, column: Column) -> float:
    """Mean over seeds in points, of the headline metric where the task has no accuracy."""
    candidate: Candidate = row.candidate(column)
    scores = [record["scores"][column.evaluation_set] for record in candidate.completed]
    return 100 * fmean(one.get("accuracy", one[column.task.headline]) for one in scores)


def _titles(columns: list[Column]) -> str:
    return ", ".join(column.title for column in columns)


def _mark_published(ax: Axes) -> None:
    ax.plot([point.trained for point in TRADEOFF_POINTS], [point.difference for point in TRADEOFF_POINTS],
            marker="x", color="0.2", linestyle="", label=PAPER)  # fmt: skip
    for point in TRADEOFF_POINTS:
        # Towards the middle of the axis, so that no label is cut.
        side, offset = ("right", -4) if point.trained > 1e6 else ("left", 4)
        ax.annotate(point.label.removeprefix("paper: "), (point.trained, point.difference), xytext=(offset, -6),
                    textcoords="offset points", ha=side, fontsize=6)  # fmt: skip


def _finish_axes(ax: Axes, what: str = "score") -> None:
    ax.axhline(0, color="0.3", linewidth=0.8, label=ZERO)
    ax.set_ylabel(f"{what} − full fine-tuning (points)")
    name_parameters(ax)
