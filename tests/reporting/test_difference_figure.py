"""Paired differences between adapters and full fine-tuning, with their intervals."""

import numpy as np
import pytest

from harness.records.record import load_records
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.comparison import differences
from harness.reporting.figures import figures
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores
from tests.fixtures.drawn import legend_of
from tests.fixtures.make_records import make_record, write_all, write_predictions_of


def test_paired_differences_are_drawn_where_they_lie(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, 300)
    for task in ("rte", "mrpc"):
        write_predictions_of(tmp_path, [make_record(task, "full", seed=1)], labels=labels, accuracy=0.9)
        write_predictions_of(tmp_path, [make_record(task, seed=2)], labels=labels, accuracy=0.7)
    write_all(tmp_path, [make_record("cola", size=size) for size in (8, 64)])  # nothing to be compared with
    (group,) = comparable_groups(load_records(tmp_path))
    scores, bootstrap = group_scores(group), Bootstrap(tmp_path)
    (figure,) = [one for one in figures(scores, bootstrap) if one.name == "paired_differences"]
    (ax,) = figure.canvas.axes
    expected = differences(scores, *scores.pairs[0], bootstrap)
    bars = [bar.lines[0].get_xdata()[0] for bar in ax.containers]
    assert bars == pytest.approx([one.points for one in expected])
    assert legend_of(figure) == ["Adapters (best size)", "full fine-tuning (0)", "one seed", "the paper's gaps"]
    faces = {bar.lines[0].get_markerfacecolor() for bar in ax.containers}
    assert faces == {"white"}  # one seed each
    dotted = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert dotted == [-0.4, -0.8]  # the gaps that the paper reports, on the side of the loss
    reach = [tuple(bar.lines[2][0].get_segments()[0][:, 0]) for bar in ax.containers]
    assert reach == [pytest.approx(one.bounds) for one in expected]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["MRPC", "RTE", "Mean (2)"]
    assert "CoLA" not in figure.caption


def test_gaps_that_the_paper_has_on_glue_are_not_drawn_for_other_tasks(tmp_path):
    task = {"name": "spam", "kind": "classification", "title": "Spam", "labels": ["a", "b"]}
    labels = np.random.default_rng(0).integers(0, 2, 300)
    for method, accuracy in (("full", 0.9), ("adapter", 0.7)):
        write_predictions_of(tmp_path, [make_record(task, method)], labels=labels, accuracy=accuracy)
    (group,) = comparable_groups(load_records(tmp_path))
    found = figures(group_scores(group), Bootstrap(tmp_path))
    (figure,) = [one for one in found if one.name == "paired_differences"]
    assert legend_of(figure) == ["Adapters (64)", "full fine-tuning (0)", "one seed"]
    assert "Dotted" not in figure.caption


def test_differences_show_both_intervals_and_columns_outside_the_mean_below_it(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, 300)
    for task in ("rte", "wnli"):
        for seed in (0, 1):
            write_predictions_of(tmp_path, [make_record(task, "full", seed=seed)], labels=labels, accuracy=0.9)
            write_predictions_of(tmp_path, [make_record(task, seed=seed)], labels=labels, accuracy=0.7 + 0.1 * seed)
    (group,) = comparable_groups(load_records(tmp_path))
    scores, bootstrap = group_scores(group), Bootstrap(tmp_path)
    (figure,) = [one for one in figures(scores, bootstrap) if one.name == "paired_differences"]
    (ax,) = figure.canvas.axes
    heights = dict(zip([one.get_text() for one in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert list(heights) == ["RTE", "Mean (1)", "WNLI"] and sorted(heights.values()) == list(heights.values())
    assert min(np.diff(list(heights.values()))) > 1.5  # set apart
    assert "not in it: WNLI." in figure.caption
    thin = [tuple(line.get_xdata()) for line in ax.get_lines() if line.get_linewidth() == 0.7]
    expected = [one.bounds_with_seeds for one in differences(scores, *scores.pairs[0], bootstrap)]
    assert thin == [pytest.approx(bounds) for bounds in expected]
    assert "white" not in {bar.lines[0].get_markerfacecolor() for bar in ax.containers}
    assert "one seed" not in legend_of(figure)
