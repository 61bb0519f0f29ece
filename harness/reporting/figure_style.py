"""What every figure shares: style, panels, series, axes, and a caption that says what is drawn, of which runs.

Figures have the width of one column of a two-column paper or of both, with text of 7 and 8 points. They can be read in
grey: each series has its own marker and line style.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.records.record import Record
from harness.reporting.candidates import Cell
from harness.reporting.facts import cut_phrase, data_phrase, reported_split, rows_phrase
from harness.reporting.groups import Group
from harness.reporting.method_names import short_number

STYLE = {
    "font.size": 8, "axes.titlesize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "axes.facecolor": "none",
    "axes.xmargin": 0.06, "axes.ymargin": 0.08, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "0.9", "grid.linewidth": 0.5,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
    "lines.linewidth": 1.1, "lines.markersize": 3.5, "errorbar.capsize": 2, "legend.frameon": False,
    "svg.hashsalt": "harness", "svg.fonttype": "none", "pdf.fonttype": 42,
}  # fmt: skip
COLUMN, PAGE = 3.35, 6.9  # widths in inches: one column of a two-column paper, and both
ONE_SEED = "one seed"
# Okabe and Ito's palette, which people with any color blindness can tell apart; a grey instead of its yellow.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINES = ("-", "--", "-.", ":")
_MOST_METHODS = 12  # that a caption names


class Series(NamedTuple):
    """How one line of a figure is drawn."""

    color: str
    marker: str
    line: str


class Point(NamedTuple):
    """The runs whose mean over seeds is drawn as one point, and the cell that they are of."""

    cell: Cell
    runs: tuple[Record, ...]


@dataclass(frozen=True)
class Figure:
    """A drawing with its file stem and caption."""

    name: str
    title: str
    caption: str
    canvas: Canvas


def series(labels: Iterable[str]) -> dict[str, Series]:
    """A series per label, the same in all panels of a figure; from the ninth on, colors return with another line."""
    styles = {}
    for i, label in enumerate(dict.fromkeys(labels)):
        again, place = divmod(i, len(_COLORS))
        styles[label] = Series(_COLORS[place], _MARKERS[(place + again) % 8], _LINES[(place + again) % 4])
    return styles


def panels(count: int, *, height: float = 1.0, columns: int = 3) -> tuple[Canvas, list[Axes]]:
    """A canvas with `count` panels in rows of at most `columns`; `height` is a factor of a panel's own.

    A single panel is as wide as a column of a paper, several together as the page.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    width = COLUMN if columns == 1 else PAGE
    canvas = Canvas(figsize=(width, (0.45 + 0.6 * width / columns) * height * rows), layout="constrained")
    axes = [canvas.add_subplot(rows, columns, index + 1) for index in range(count)]
    for ax in axes:
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return canvas, axes


def draw_series(
    ax: Axes,
    style: Series,
    label: str,
    places: Sequence[float],
    values: Sequence[float],
    bars: Sequence[tuple[float, float] | None],
    hollow: Sequence[bool],
) -> None:
    """A line through points with bars from low to high (None: no bar); the points of a single seed are hollow."""
    places, values, hollow = np.array(places), np.array(values), np.array(hollow, dtype=bool)
    ends = np.array([bar or (np.nan, np.nan) for bar in bars]).reshape(-1, 2)
    reach = np.abs(ends.T - values)
    line = style.line if len(places) > 1 else ""
    ax.errorbar(places, values, yerr=reach, color=style.color, marker=style.marker, linestyle=line, elinewidth=0.8,
                capthick=0.8, markevery=list(np.flatnonzero(~hollow)), label=label)  # fmt: skip
    if hollow.any():
        ax.plot(places[hollow], values[hollow], linestyle="", marker=style.marker, markerfacecolor="white",
                markeredgecolor=style.color, zorder=3)  # fmt: skip
        mark_one_seed(ax)


def mark_one_seed(ax: Axes) -> None:
    """Say in the legend what a hollow point is."""
    ax.plot([], [], linestyle="", marker="o", markerfacecolor="white", markeredgecolor="0.3", label=ONE_SEED)


def name_rates(ax: Axes, what: str) -> None:
    """A log axis of learning rates or of other small numbers."""
    _log_axis(ax, FuncFormatter(lambda value, _: short_number(value)))
    ax.set_xlabel(f"{what} (log scale)")


def name_parameters(ax: Axes) -> None:
    """A log axis of trained parameters: 100k, 2M."""
    _log_axis(ax, EngFormatter(sep=""))
    ax.set_xlabel("trained parameters (log scale)")


def _log_axis(ax: Axes, formatter: FuncFormatter | EngFormatter) -> None:
    """Ticks at 1, 2 and 5, over more than two and a half decades at powers of ten; call it when all is drawn."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    subs = (1, 2, 5) if np.log10(high / low) < 2.5 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    ax.xaxis.set_major_formatter(formatter)
    ax.xaxis.set_minor_locator(NullLocator())


def chosen_points(cells: Iterable[Cell]) -> list[Point]:
    return [Point(cell, cell.chosen.completed) for cell in cells if cell.chosen]


def encoder_title(group: Group) -> str:
    return next((record["encoder"]["title"] for record in group.records if record.get("encoder")), group.key.encoder)


def captioned(
    group: Group,
    canvas: Canvas,
    points: Sequence[Point],
    *,
    name: str,
    title: str,
    caption: str,
    legend: Iterable[str] = (),
) -> Figure:
    """The figure with a caption that says encoder, data, rows, seeds and how runs were chosen, for what it draws.

    `points` are all that are drawn; `legend` gives the order of the legend's first entries.
    """
    methods = {point.cell.method for point in points}
    labels = [label for method, label in group.labels.items() if method in methods]
    more = f" and {len(labels) - _MOST_METHODS} more" if len(labels) > _MOST_METHODS else ""
    records = [record for point in points for record in point.runs]
    seeds = [str(count) for count in sorted({len(point.runs) for point in points})]
    rates = sorted({rate for point in points for rate in point.cell.rates})
    cut = cut_phrase(records)
    caption += (
        f" Drawn: {', '.join(labels[:_MOST_METHODS])}{more}. "
        f"{encoder_title(group)}; data: {data_phrase(records)}. Rows, training / evaluation: {rows_phrase(records)}. "
        + (f"Cut files: {cut}. " if cut else "")
        + f"Seeds per point: {' to '.join(dict.fromkeys((seeds[0], seeds[-1])))}; "
        f"learning rates tried: {', '.join(map(short_number, rates))}; {_splits(group, records)}."
    )
    _share_labels(canvas)
    _add_legend(canvas, list(legend))
    return Figure(name, title, caption, canvas)


def _splits(group: Group, records: Sequence[Record]) -> str:
    split = reported_split(records)
    if group.protocol["name"] == "holdout":
        return f"chosen on held-out training rows, reported on {split}"
    if group.protocol["name"] == "test":
        return f"chosen on the validation set, reported on {split}"
    return f"chosen and reported on {split}"


def _share_labels(canvas: Canvas) -> None:
    """One label for axes that have the same in every panel."""
    for side, write in (("x", canvas.supxlabel), ("y", canvas.supylabel)):
        labels = {getattr(ax, f"get_{side}label")() for ax in canvas.axes}
        if len(canvas.axes) > 1 and len(labels) == 1:
            write(labels.pop(), fontsize=STYLE["font.size"])
            for ax in canvas.axes:
                getattr(ax, f"set_{side}label")("")


def _add_legend(canvas: Canvas, first: list[str]) -> None:
    """One legend for all panels, above them."""
    shown = {label: handle for ax in canvas.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    shown = {label: shown[label] for label in sorted(shown, key=lambda text: (*first, text).index(text))}
    if shown:
        longest = 0.45 + 0.055 * max(map(len, shown))  # inches
        rows = -(-len(shown) // max(1, int(canvas.get_figwidth() / longest)))
        columns = -(-len(shown) // rows)
        canvas.legend(shown.values(), shown, loc="outside upper center", ncols=columns, columnspacing=1.2)
        canvas.set_figheight(canvas.get_figheight() + 0.16 * rows)
