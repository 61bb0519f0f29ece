"""Methods side by side: score against trained parameters, and against seconds of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from harness.reporting.bootstrap import LEVEL, Bootstrap
from harness.reporting.compared_methods import Compared, compared_methods
from harness.reporting.figure_style import Figure, Series, captioned, chosen_points, panels, series
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import MethodVariant
from harness.reporting.scores import Scores


def methods(scores: Scores, bootstrap: Bootstrap | None = None) -> Figure | None:
    """The mean score of each method with its interval, at what it trains and at what it takes; None for few methods."""
    found = compared_methods(scores, bootstrap)
    if not found:
        return None
    timed = [one for one in found if one.seconds is not None]
    families: dict[MethodVariant, list[Compared]] = {}
    for one in found:
        families.setdefault(one.family, []).append(one)
    labels = {
        family: family_label(family, families) if len(members) > 1 else members[0].row.label
        for family, members in families.items()
    }
    styles = series(labels.values())
    canvas, axes = panels(2, width=1.3, height=1.2)
    for family, members in families.items():
        label = labels[family]
        _draw(axes[0], members, lambda one: one.trained, styles[label], label)
        _draw(axes[1], [one for one in members if one in timed], lambda one: one.seconds, styles[label], label)
    axes[0].set_xlabel("trained parameters (log scale)")
    axes[1].set_xlabel("seconds of training (log scale)")
    for ax in axes:
        ax.set_xscale("log")
        ax.set_ylabel("mean score (points)")
    columns = ", ".join(column.title for column in found[0].columns)
    with_seeds = any(one.spread is not None and one.spread.draws is not None for one in found)
    bars = f"; bars: {LEVEL:.0%} interval over the evaluation rows{' and seeds' * with_seeds}" * any(
        one.interval for one in found
    )
    left_out = [one.row.label for one in found if one not in timed]
    names = {column.task.name for column in found[0].columns}
    return captioned(
        scores.group,
        canvas,
        chosen_points(cell for one in found for name, cell in one.row.cells.items() if name in names),
        name="methods",
        title="Methods: score against trained parameters and training time",
        caption=f"Mean score over {columns}{bars}. Trained parameters: mean over the tasks, the head included. "
        "Seconds: training of one run per task at the chosen settings, summed; a run in a stack counts its share of "
        f"the stack's time{_left_out(left_out)}.",
        legend=styles,
    )


def _draw(ax: Axes, members: Sequence[Compared], place: Callable[[Compared], float], style: Series, label: str) -> None:
    """One method, its sizes joined by a line."""
    members = sorted(members, key=place)
    if not members:
        return
    x, y = [place(one) for one in members], [one.mean for one in members]
    bounds = [one.interval or (one.mean, one.mean) for one in members]
    # A percentile interval may, in principle, not hold the score itself.
    bars = [[max(0.0, mean - low) for mean, (low, _) in zip(y, bounds, strict=True)]]
    bars += [[max(0.0, high - mean) for mean, (_, high) in zip(y, bounds, strict=True)]]
    line = style.line if len(members) > 1 else ""
    ax.errorbar(
        x, y, yerr=bars, color=style.color, marker=style.marker, linestyle=line, markersize=5, capsize=2,
        elinewidth=0.8, label=label,
    )  # fmt: skip


def _left_out(labels: Sequence[str]) -> str:
    return f"; not shown, since runs of theirs were on another device: {', '.join(labels)}" if labels else ""
