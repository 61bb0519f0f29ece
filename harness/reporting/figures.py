"""The figures of the paper from run records alone; each is left out where a group has too few runs for it."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib

from harness.reporting.ablation_figure import ablation
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.curves_figure import learning_curves
from harness.reporting.difference_figure import paired_differences
from harness.reporting.figure_style import STYLE, Figure
from harness.reporting.methods_figure import methods
from harness.reporting.scores import Scores
from harness.reporting.setting_figures import init_scale, learning_rates, sizes
from harness.reporting.span_figure import spans
from harness.reporting.tradeoff_figure import tradeoff, tradeoff_by_task, tradeoff_percentiles


def figures(scores: Scores, bootstrap: Bootstrap | None = None) -> Iterator[Figure]:
    """Every figure that the records of a group suffice for; intervals need the bootstrap."""
    with matplotlib.rc_context(STYLE):
        if bootstrap is not None and (figure := paired_differences(scores, bootstrap)) is not None:
            yield figure
        for compare in (tradeoff, tradeoff_percentiles, tradeoff_by_task, methods):
            if (figure := compare(scores, bootstrap)) is not None:
                yield figure
        for draw in (spans, ablation, init_scale, learning_rates, sizes, learning_curves):
            if (figure := draw(scores)) is not None:
                yield figure
