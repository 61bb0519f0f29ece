"""Adapters against full fine-tuning, by task and on the mean, with intervals."""

from __future__ import annotations

from harness.reporting.bootstrap import LEVEL, Bootstrap
from harness.reporting.comparison import Difference, differences
from harness.reporting.figure_style import Figure, Point, captioned, mark_one_seed, panels, series
from harness.reporting.published import CLAIMS
from harness.reporting.scores import Column, Scores
from harness.reporting.table import number
from harness.tasks.glue import OFFICIAL_ROWS

ZERO = "full fine-tuning (0)"
_GAP = 0.6  # lines between the columns of the mean, the mean, and columns outside it


def paired_differences(scores: Scores, bootstrap: Bootstrap) -> Figure | None:
    """Adapters minus full fine-tuning for each task and on the mean, with bootstrap intervals; None without those."""
    drawn = []  # (adapters, full fine-tuning, differences with an interval)
    for adapters, full in scores.pairs:
        found = [one for one in differences(scores, adapters, full, bootstrap) if one.bounds is not None]
        drawn += [(adapters, full, found)] if found else []
    if not drawn:
        return None
    height_of = _heights([one for _, _, found in drawn for one in found], scores)
    canvas, (ax,) = panels(1)
    canvas.set_figheight(0.6 + 0.17 * (max(height_of.values()) + 1) * (1 + 0.2 * (len(drawn) - 1)))
    styles = series(adapters.label for adapters, _, _ in drawn)
    for index, (adapters, _, found) in enumerate(drawn):
        color, marker, _ = styles[adapters.label]
        for one in found:
            y = height_of[one.title] + 0.25 * (index - (len(drawn) - 1) / 2)
            reach = [[one.points - one.bounds[0]], [one.bounds[1] - one.points]]
            face = "white" if one.bounds_with_seeds is None else color
            ax.errorbar(one.points, y, xerr=reach, color=color, marker=marker, markerfacecolor=face, elinewidth=1.4,
                        label=adapters.label if one is found[0] else None)  # fmt: skip
            if one.bounds_with_seeds is None:
                mark_one_seed(ax)
            else:
                ax.plot(one.bounds_with_seeds, [y, y], color=color, linewidth=0.7)
    ax.axvline(0, color="0.3", linewidth=0.8, label=ZERO)
    reported = CLAIMS if any(column.task.name in OFFICIAL_ROWS for column in scores.columns) else ()
    for claim in reported:
        ax.axvline(-claim.margin, color="0.4", linewidth=0.8, linestyle=":", label="the paper's gaps")
    ax.set_yticks(list(height_of.values()), list(height_of))
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("Mean") else "normal")
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.set_xlabel("score − full fine-tuning (points)")
    sides = [(row, one.column) for adapters, full, found in drawn for one in found for row in (adapters, full)]
    points = [Point(row.cells[c.task.name], row.candidate(c).completed) for row, c in sides if c is not None]
    outside = [column.title for column in scores.columns if column not in scores.counted and column.title in height_of]
    margins = ", ".join(number(-claim.margin, "g") for claim in reported)
    caption = (
        f"Paired difference in points with {LEVEL:.0%} bootstrap intervals: thick over the evaluation rows, thin over "
        "rows and seeds; hollow, without the latter: a side has a single seed (of the mean, in some column)."
        + (f" Below the mean, and not in it: {', '.join(outside)}." if outside else "")
        + (f" Dotted: {margins}, the gaps that the paper reports." if reported else "")
    )
    return captioned(
        scores.group,
        canvas,
        points,
        name="paired_differences",
        title="Adapters minus full fine-tuning, with intervals",
        caption=caption,
        legend=[*styles, ZERO],
    )


def _heights(found: list[Difference], scores: Scores) -> dict[str, float]:
    """Where each title stands, from the top: the columns of the mean, below them the mean, then other columns."""
    present = {one.title for one in found}
    means = dict.fromkeys(one.title for one in found if one.column is None)

    def titles(columns: list[Column]) -> list[str]:
        return [column.title for column in columns if column.title in present]

    others = [column for column in scores.columns if column not in scores.counted]
    heights: dict[str, float] = {}
    for block in (titles(scores.counted), list(means), titles(others)):
        top = max(heights.values()) + 1 + _GAP if heights else 0.0
        heights |= {title: top + i for i, title in enumerate(block)}
    return heights
