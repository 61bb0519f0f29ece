"""What every figure shares: style, panels, series, and a caption that says encoder, data, rows, seeds and protocol.

Figures can be read in grey: each series has its own marker and line style.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from harness.records.record import Record
from harness.reporting.candidates import Cell
from harness.reporting.facts import cut_phrase, data_phrase, reported_split, rows_phrase
from harness.reporting.groups import Group
from harness.reporting.method_names import short_number

STYLE = {
    "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "0.9", "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False, "figure.dpi": 150,
    "svg.hashsalt": "harness", "svg.fonttype": "none",
}  # fmt: skip
INCH = 3.1
# Dark to light, so that they differ in grey too.
_COLORS = ("#08306b", "#d95f02", "#1b9e77", "#7f7f7f", "#a6761d", "#e7298a", "#66a61e", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINES = ("-", "--", "-.", ":")


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


def panels(count: int, *, width: float = 1.0, height: float = 1.0, columns: int = 3) -> tuple[Canvas, list[Axes]]:
    """A canvas with `count` panels in rows of at most `columns`; width and height are factors of a panel's own."""
    columns = min(count, columns)
    rows = -(-count // columns)
    canvas = Canvas(figsize=(INCH * width * columns, INCH * 0.85 * height * rows), layout="constrained")
    axes = [canvas.add_subplot(rows, columns, index + 1) for index in range(count)]
    for ax in axes:
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return canvas, axes


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
    records = [record for point in points for record in point.runs]
    seeds = [str(count) for count in sorted({len(point.runs) for point in points})]
    rates = sorted({rate for point in points for rate in point.cell.rates})
    cut = cut_phrase(records)
    caption += (
        f" {encoder_title(group)}; data: {data_phrase(records)}. Rows, training / evaluation: {rows_phrase(records)}. "
        + (f"Cut files: {cut}. " if cut else "")
        + f"Seeds per point: {' to '.join(dict.fromkeys((seeds[0], seeds[-1])))}; "
        f"learning rates tried: {', '.join(map(short_number, rates))}; {_splits(group, records)}."
    )
    _add_legend(canvas, list(legend))
    return Figure(name, title, caption, canvas)


def _splits(group: Group, records: Sequence[Record]) -> str:
    split = reported_split(records)
    if group.protocol["name"] == "holdout":
        return f"chosen on held-out training rows, reported on {split}"
    if group.protocol["name"] == "test":
        return f"chosen on the validation set, reported on {split}"
    return f"chosen and reported on {split}"


def _add_legend(canvas: Canvas, first: list[str]) -> None:
    """One legend for all panels, above them."""
    shown = {label: handle for ax in canvas.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    shown = {label: shown[label] for label in sorted(shown, key=lambda text: (*first, text).index(text))}
    width = canvas.get_figwidth()
    if shown:
        columns = max(1, min(len(shown), int(width / 1.5)))
        canvas.legend(shown.values(), shown, loc="outside upper center", ncols=columns, fontsize=8)
        canvas.set_figheight(canvas.get_figheight() + 0.2 * -(-len(shown) // columns))
