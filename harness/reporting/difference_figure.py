"""Adapters against full fine-tuning, by task and on the mean, with intervals."""

from __future__ import annotations

from harness.reporting.bootstrap import LEVEL, Bootstrap
from harness.reporting.comparison import differences
from harness.reporting.figure_style import Figure, Point, captioned, panels, series
from harness.reporting.published import CLAIMS
from harness.reporting.scores import Scores
from harness.reporting.table import number


def paired_differences(scores: Scores, bootstrap: Bootstrap) -> Figure | None:
    """Adapters minus full fine-tuning for each task and on the mean, with bootstrap intervals; None without those."""
    drawn = []  # (adapters, full fine-tuning, differences with an interval)
    for adapters, full in scores.pairs:
        found = [one for one in differences(scores, adapters, full, bootstrap) if one.bounds is not None]
        drawn += [(adapters, full, found)] if found else []
    if not drawn:
        return None
    present = {one.title for _, _, found in drawn for one in found}
    means = dict.fromkeys(one.title for _, _, found in drawn for one in found if one.column is None)
    titles = [column.title for column in scores.columns if column.title in present] + list(means)
    canvas, (ax,) = panels(1, width=1.9, height=0.35 + 0.1 * len(titles))
    styles = series(adapters.label for adapters, _, _ in drawn)
    for index, (adapters, _, found) in enumerate(drawn):
        color, marker, _ = styles[adapters.label]
        for one in found:
            low, high = one.bounds
            y = titles.index(one.title) + 0.15 * (index - (len(drawn) - 1) / 2)
            reach = [[one.points - low], [high - one.points]]
            label = adapters.label if one is found[0] else None
            ax.errorbar(one.points, y, xerr=reach, color=color, marker=marker, markersize=4.5, capsize=2.5, label=label)
    ax.axvline(0, color="0.3", linewidth=0.8)
    for claim in CLAIMS:
        ax.axvline(-claim.margin, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(titles)), titles)
    ax.invert_yaxis()
    ax.set_xlabel("score − full fine-tuning (points)")
    sides = [(row, one.column) for adapters, full, found in drawn for one in found for row in (adapters, full)]
    points = [Point(row.cells[c.task.name], row.candidate(c).completed) for row, c in sides if c is not None]
    margins = " and ".join(number(-claim.margin, "g") for claim in CLAIMS)
    caption = (
        f"Paired difference in points with its {LEVEL:.0%} bootstrap interval over the evaluation rows. Dotted: "
        f"{margins}, the gaps that the paper reports."
    )
    title = "Adapters minus full fine-tuning, with intervals"
    return captioned(scores.group, canvas, points, name="paired_differences", title=title, caption=caption)
