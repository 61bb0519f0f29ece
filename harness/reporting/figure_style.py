"""What every figure shares: style, panels, and a caption that says encoder, data, rows, seeds and protocol."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from harness.records.record import task_of
from harness.reporting.groups import Cell, Group
from harness.reporting.method_names import short_number

STYLE = {
    "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "0.9", "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False, "figure.dpi": 150,
    "svg.hashsalt": "harness", "svg.fonttype": "none",
}  # fmt: skip
# Dark to light, so that they differ in grey too.
SERIES = (("#08306b", "o", "-"), ("#d95f02", "s", "--"), ("#1b9e77", "^", "-."), ("#7f7f7f", "D", ":"),
           ("#a6761d", "v", "-"), ("#e7298a", "P", "--"), ("#66a61e", "X", "-."), ("#000000", "*", ":"))  # fmt: skip
INCH = 3.1


@dataclass(frozen=True)
class Figure:
    """A drawing with its file stem and caption."""

    name: str
    title: str
    caption: str
    canvas: Canvas


def panels(count: int, *, width: float = 1.0, height: float = 1.0, columns: int = 3) -> tuple[Canvas, list[Axes]]:
    """A canvas with `count` panels in rows of at most `columns`; width and height are factors of a panel's own."""
    columns = min(count, columns)
    rows = -(-count // columns)
    canvas = Canvas(figsize=(INCH * width * columns, INCH * 0.85 * height * rows), layout="constrained")
    axes = [canvas.add_subplot(rows, columns, index + 1) for index in range(count)]
    for ax in axes:
        ax.yaxis.set_major_locator(MaxNLocator(6))
    return canvas, axes


def title_of(group: Group) -> str:
    return next((record["encoder"]["title"] for record in group.records if record.get("encoder")), group.key.encoder)


def captioned(group: Group, name: str, title: str, canvas: Canvas, caption: str, cells: Sequence[Cell]) -> Figure:
    """The figure with a caption that says encoder, data, rows, seeds and how runs were chosen."""
    completed = [record for cell in cells if cell.chosen for record in cell.chosen.completed]
    seeds = sorted({len(cell.chosen.completed) for cell in cells if cell.chosen})
    rows = {}
    for record in completed:
        task = task_of(record)
        counts = record["data"]["rows"]
        rows[task.title] = f"{task.title} {counts['train']:,} / {counts[task.evaluation_sets[0]]:,}"
    rates = sorted({rate for cell in cells for c in cell.candidates if (rate := c.learning_rate) is not None})
    kind = "" if group.key.is_glue else " (NOT GLUE)"
    facts = (
        f"{title_of(group)}; data: {group.key.source}{kind}; rows, training / evaluation: {', '.join(rows.values())}; "
        f"seeds a point: {' to '.join(map(str, seeds))}; learning rates tried: {', '.join(map(short_number, rates))}; "
        f"{chosen_where(group)}."
    )
    _finish(canvas, f"{caption} {facts}")
    return Figure(name, title, f"{caption} {facts}", canvas)


def chosen_where(group: Group) -> str:
    if group.protocol["name"] == "holdout":
        return "chosen on held-out training rows, reported on the validation set"
    return "chosen and reported on the validation set"


def _finish(canvas: Canvas, caption: str) -> None:
    """One legend for all panels above them, the caption below: the drawing can stand alone."""
    shown = {label: handle for ax in canvas.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    width = canvas.get_figwidth()
    if shown:
        columns = max(1, min(len(shown), int(width / 1.5)))
        canvas.legend(shown.values(), shown, loc="outside upper center", ncols=columns, fontsize=8)
    lines = textwrap.wrap(caption, int(width * 21))
    canvas.set_figheight(canvas.get_figheight() + 0.11 * len(lines) + 0.2 * bool(shown))
    canvas.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=6.5, color="0.35")
