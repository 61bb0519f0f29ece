"""Methods side by side: score against trained parameters, and against seconds of training."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes

from harness.reporting.bootstrap import LEVEL, Bootstrap
from harness.reporting.compared_methods import Compared, compared_methods, without_mean
from harness.reporting.figure_style import (
    Figure,
    Series,
    captioned,
    chosen_points,
    draw_series,
    name_parameters,
    name_rates,
    panels,
    series,
)
from harness.reporting.method_names import family_label
from harness.reporting.method_variant import MethodVariant
from harness.reporting.scores import Scores

HOLLOW_POINT = "; hollow: a single seed"
_CLOSE = 1.1  # methods at one budget: their bars would cover each other
_STEP = 1 / 50  # of the axis, between neighbours of such a group


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
    places = _side_by_side({one.method: one.trained for one in found})
    canvas, axes = panels(2, height=1.1)
    names = {column.task.name for column in found[0].columns}
    for family, members in families.items():
        style, label = styles[labels[family]], labels[family]
        _draw(axes[0], members, lambda one: places[one.method], style, label, names)
        _draw(axes[1], [one for one in members if one in timed], lambda one: one.seconds, style, label, names)
    for ax in axes:
        ax.set_ylabel("mean score (points)")
    name_parameters(axes[0])
    name_rates(axes[1], "seconds of training")
    columns = ", ".join(column.title for column in found[0].columns)
    with_seeds = any(one.spread is not None and one.spread.draws is not None for one in found)
    bars = f"; bars: {LEVEL:.0%} interval over the evaluation rows{' and seeds' * with_seeds}" * any(
        one.interval for one in found
    )
    moved = any(places[one.method] != one.trained for one in found)
    untimed = [one.row.label for one in found if one not in timed]
    hollow = HOLLOW_POINT * any(_has_one_seed(one, names) for one in found)
    return captioned(
        scores.group,
        canvas,
        chosen_points(cell for one in found for name, cell in one.row.cells.items() if name in names),
        name="methods",
        title="Methods: score against trained parameters and training time",
        caption=f"Mean score over {columns}{bars}{hollow}. Trained parameters: mean over the tasks, the head included"
        f"{'; methods within a tenth of each other stand side by side' * moved}. "
        "Seconds: training of one run per task at the chosen settings, summed; a run in a stack counts its share of "
        f"the stack's time{_untimed(untimed)}.{_without_mean(without_mean(scores))}",
        legend=styles,
    )


def _side_by_side(trained: Mapping[MethodVariant, float]) -> dict[MethodVariant, float]:
    """Where on a log scale each method stands: those within a tenth of the least of them apart, around their middle."""
    groups: list[list[MethodVariant]] = []
    for method in sorted(trained, key=lambda method: trained[method]):
        if groups and trained[method] < _CLOSE * trained[groups[-1][0]]:
            groups[-1].append(method)
        else:
            groups.append([method])
    step = (max(trained.values()) / min(trained.values())) ** _STEP
    return {
        method: trained[method]
        if len(group) == 1
        else fmean(trained[one] for one in group) * step ** (index - (len(group) - 1) / 2)
        for group in groups
        for index, method in enumerate(group)
    }


def _draw(
    ax: Axes,
    members: Sequence[Compared],
    place: Callable[[Compared], float],
    style: Series,
    label: str,
    names: Container[str],
) -> None:
    """One method, its sizes joined by a line."""
    members = sorted(members, key=place)
    if members:
        draw_series(
            ax, style, label, [place(one) for one in members], [one.mean for one in members],
            [one.interval for one in members], [_has_one_seed(one, names) for one in members],
        )  # fmt: skip


def _has_one_seed(one: Compared, names: Container[str]) -> bool:
    """Whether a single run stands for some task of the mean."""
    return any(len(cell.chosen.completed) == 1 for name, cell in one.row.cells.items() if name in names and cell.chosen)


def _untimed(labels: Sequence[str]) -> str:
    return f"; not shown, since runs of theirs were on another device: {', '.join(labels)}" if labels else ""


def _without_mean(labels: Sequence[str]) -> str:
    return f" Left out, without a score in the columns in parentheses: {', '.join(labels)}." if labels else ""
