"""The trade-off: differences to full fine-tuning against trained parameters, on the mean and by task."""

import numpy as np
import pytest

from harness.records.record import load_records
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.comparison import differences
from harness.reporting.figures import figures
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores, method_rows
from tests.fixtures.drawn import bars_of, drawn, hollow_of, legend_of, lines_of
from tests.fixtures.make_records import adapter_parameters, make_record, write_predictions_of


def test_the_tradeoff_shows_differences_to_full_fine_tuning_against_trained_parameters(tradeoff):
    figure = drawn(tradeoff)["tradeoff"]
    (ax,) = figure.canvas.axes
    lines = lines_of(ax)
    assert {"Adapters", "Top layers"} <= set(lines)
    np.testing.assert_allclose(lines["Adapters"].get_ydata(), [-6, -2, -1], atol=1e-6)
    np.testing.assert_allclose(lines["Adapters"].get_xdata(), [adapter_parameters(size, 2) for size in (1, 8, 64)])
    np.testing.assert_allclose(lines["Top layers"].get_ydata(), [-6, -3, 0], atol=1e-6)
    assert ax.get_xscale() == "log"
    assert "trained parameters" in ax.get_xlabel() and "points" in ax.get_ylabel()
    assert legend_of(figure) == ["Adapters", "LayerNorms only", "Top layers", "full fine-tuning (0)", "one seed"]
    for words in ("all-MiniLM-L6-v2", "local", "3,668", "Seeds per point: 1", "mean over CoLA, MRPC, RTE"):
        assert words in figure.caption
    drawn_methods = (
        "Drawn: Full fine-tuning, Adapters (1), Adapters (8), Adapters (64), LayerNorms only, Top layers (1)"
    )
    assert drawn_methods in figure.caption
    assert "bootstrap" not in figure.caption and not any(map(bars_of, ax.containers))  # there are no predictions


def test_thin_lines_of_the_tradeoff_are_the_tasks(tradeoff):
    for record in tradeoff:
        if record["config"]["task"]["name"] == "rte" and record["config"]["method"]["name"] == "adapter":
            record["scores"]["validation"]["accuracy"] -= 0.03
    (ax,) = drawn(tradeoff)["tradeoff"].canvas.axes
    thin = [list(line.get_ydata()) for line in ax.get_lines() if line.get_alpha() == 0.4 and len(line.get_xdata()) == 3]
    for expected in ([-6, -2, -1], [-9, -5, -4]):  # of CoLA and of RTE
        assert any(np.allclose(line, expected) for line in thin)
    np.testing.assert_allclose(lines_of(ax)["Adapters"].get_ydata(), [-7, -3, -2], atol=1e-6)


def test_the_zero_line_is_full_fine_tuning(tradeoff):
    for figure in (drawn(tradeoff)[name] for name in ("tradeoff", "tradeoff_percentiles", "tradeoff_by_task")):
        assert "full fine-tuning (0)" in legend_of(figure)
        assert all(set(lines_of(ax)["full fine-tuning (0)"].get_ydata()) == {0} for ax in figure.canvas.axes)


def test_points_of_one_seed_are_hollow(tradeoff):
    more = [r for r in tradeoff if r["config"]["method"].get("bottleneck_size") != 8]
    second = [make_record(**again(record), seed=1) for record in more]
    found = drawn([*tradeoff, *second])
    (ax,) = found["tradeoff"].canvas.axes
    assert hollow_of(ax) == [adapter_parameters(8, 2)]
    assert "hollow: a single seed on either side" in found["tradeoff"].caption
    assert [hollow_of(ax) for ax in found["tradeoff_by_task"].canvas.axes] == [[adapter_parameters(8, 2)]] * 3
    every = [*tradeoff, *(make_record(**again(record), seed=1) for record in tradeoff)]
    assert "one seed" not in legend_of(drawn(every)["tradeoff"])
    assert "hollow" not in drawn(every)["tradeoff"].caption


def again(record):
    """The arguments that make a record of the same config."""
    config = record["config"]
    task, rate = config["task"]["name"], config["train"]["learning_rate"]
    score, trained = next(iter(record["scores"]["validation"].values())), record["parameters"]["trained"]
    return {"task": task, "method": config["method"], "score": score, "rate": rate, "trained": trained}


def test_bars_of_the_tradeoff_are_intervals_of_paired_differences(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, 300)
    for seed, task in enumerate(("rte", "sst2")):
        write_predictions_of(tmp_path, [make_record(task, "full", seed=seed)], labels=labels, accuracy=0.9)
        for size, accuracy in ((8, 0.7), (64, 0.75), (256, 0.8)):
            write_predictions_of(tmp_path, [make_record(task, size=size)], labels=labels, accuracy=accuracy)
    (group,) = comparable_groups(load_records(tmp_path))
    scores, bootstrap = group_scores(group), Bootstrap(tmp_path)
    found = {one.name: one for one in figures(scores, bootstrap)}
    rows = {row.label: row for row in method_rows(group, scores.columns).values()}
    expected = [
        differences(scores, rows[f"Adapters ({size})"], rows["Full fine-tuning"], bootstrap) for size in (8, 64, 256)
    ]
    (ax,) = found["tradeoff"].canvas.axes
    assert bars_of(ax.containers[0]) == [pytest.approx(ones[-1].bounds) for ones in expected]
    assert lines_of(ax)["Adapters"].get_ydata() == pytest.approx([ones[-1].points for ones in expected])
    for place, panel in enumerate(found["tradeoff_by_task"].canvas.axes):
        assert bars_of(panel.containers[0]) == [pytest.approx(ones[place].bounds) for ones in expected]
    assert "95% bootstrap interval" in found["tradeoff"].caption


def test_bands_of_the_tradeoff_are_percentiles_over_the_tasks():
    losses = {"mrpc": 0.01, "cola": 0.02, "rte": 0.05, "sst2": 0.10}
    records = [make_record(task, "full", 0.8) for task in losses]
    records += [make_record(task, score=0.8 - loss, size=size) for task, loss in losses.items() for size in (1, 8, 64)]
    (ax,) = drawn(records)["tradeoff_percentiles"].canvas.axes
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    low, middle, high = np.percentile([-1, -2, -5, -10], (20, 50, 80))
    assert (heights.min(), heights.max()) == (pytest.approx(low), pytest.approx(high))
    np.testing.assert_allclose(lines_of(ax)["Adapters"].get_ydata(), [middle] * 3)


def test_percentiles_are_of_accuracy_as_in_the_paper():
    records = [make_record(task, "full", 0.8) for task in ("mrpc", "stsb")]
    records += [make_record(task, size=size, score=0.7) for task in ("mrpc", "stsb") for size in (1, 8, 64)]
    for record in records:
        if record["config"]["method"]["name"] == "adapter" and "accuracy" in record["scores"]["validation"]:
            record["scores"]["validation"]["accuracy"] = 0.5
    found = drawn(records)
    (ax,) = found["tradeoff_percentiles"].canvas.axes
    np.testing.assert_allclose(lines_of(ax)["Adapters"].get_ydata(), [-20] * 3)  # −30 of MRPC, −10 of STS-B
    assert "accuracy (STS-B: the headline metric) minus" in found["tradeoff_percentiles"].caption
    np.testing.assert_allclose(lines_of(found["tradeoff"].canvas.axes[0])["Adapters"].get_ydata(), [-10] * 3)


def test_by_task_has_a_panel_per_task(tradeoff):
    panels = drawn(tradeoff)["tradeoff_by_task"].canvas.axes
    assert [ax.get_title() for ax in panels] == ["CoLA", "MRPC", "RTE"]
    np.testing.assert_allclose(lines_of(panels[1])["Adapters"].get_ydata(), [-6, -2, -1], atol=1e-6)


def test_panels_of_tasks_share_axes_that_hold_the_points_and_bars_of_all_of_them(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, 30)
    for task, accuracy in (("sst2", 0.9), ("rte", 0.3)):  # the first panel holds the zero line
        write_predictions_of(tmp_path, [make_record(task, "full")], labels=labels, accuracy=0.9)
        for size in (1, 8, 64):
            write_predictions_of(tmp_path, [make_record(task, size=size)], labels=labels, accuracy=accuracy)
    (group,) = comparable_groups(load_records(tmp_path))
    found = {one.name: one for one in figures(group_scores(group), Bootstrap(tmp_path))}
    first, last = found["tradeoff_by_task"].canvas.axes
    assert (first.get_xlim(), first.get_ylim()) == (last.get_xlim(), last.get_ylim())
    assert last.get_ylim()[0] < last.dataLim.y0 < first.dataLim.y0


def test_the_mean_is_over_all_columns_that_both_have_and_names_the_methods_that_lack_some(tradeoff):
    kept = [
        r
        for r in tradeoff
        if not (r["config"]["task"]["name"] == "rte" and r["config"]["method"].get("bottleneck_size") == 8)
    ]
    found = drawn(kept)
    (ax,) = found["tradeoff"].canvas.axes
    np.testing.assert_allclose(lines_of(ax)["Adapters"].get_ydata(), [-6, -1], atol=1e-6)
    for name in ("tradeoff", "tradeoff_percentiles"):
        caption = found[name].caption
        assert "over CoLA, MRPC, RTE;" in caption
        assert "Left out, without a score in every column: Adapters (8) (2 of 3)." in caption
        assert "Adapters (1), Adapters (64), LayerNorms only" in caption
    by_task = [lines_of(ax)["Adapters"].get_xdata() for ax in found["tradeoff_by_task"].canvas.axes]
    assert list(map(len, by_task)) == [3, 3, 2]


def test_wnli_is_not_in_the_tradeoff(tradeoff):
    more = [make_record("wnli", "full", 0.5, rate=5e-5), *(make_record("wnli", size=size) for size in (1, 8, 64))]
    found = drawn([*tradeoff, *more])
    assert "mean over CoLA, MRPC, RTE;" in found["tradeoff"].caption and "WNLI" not in found["tradeoff"].caption
    assert [ax.get_title() for ax in found["tradeoff_by_task"].canvas.axes] == ["CoLA", "MRPC", "RTE"]


def test_legends_are_in_the_same_order_in_all_tradeoff_figures(tradeoff):
    found = drawn(tradeoff)
    orders = [legend_of(found[name])[:3] for name in ("tradeoff", "tradeoff_percentiles", "tradeoff_by_task")]
    assert orders == [["Adapters", "LayerNorms only", "Top layers"]] * 3


def test_families_of_one_method_are_curves_of_their_own():
    records = [make_record("mrpc", "full", 0.8)]
    records += [
        make_record("mrpc", {"name": "adapter", "bottleneck_size": size, "activation": name}, 0.7)
        for size in (1, 8, 64)
        for name in ("gelu", "relu")
    ]
    (ax,) = drawn(records)["tradeoff"].canvas.axes
    assert {name for name in lines_of(ax) if "full" not in name} - {"one seed"} == {
        "Adapters (gelu)",
        "Adapters (relu)",
    }


def test_the_papers_points_are_marked_for_bert_only(tradeoff):
    def marks(title):
        for record in tradeoff:
            record["encoder"]["title"] = title
        figure = drawn(tradeoff)["tradeoff_percentiles"]
        texts = [text.get_text() for text in figure.canvas.axes[0].texts]
        assert bool(texts) == ("paper" in legend_of(figure)) == ("Crosses: what the paper reports." in figure.caption)
        return texts

    assert not marks("all-MiniLM-L6-v2")
    assert not marks("distilbert/distilbert-base-uncased")
    assert "adapters (64), MNLI-m" in marks("google-bert/bert-base-uncased")
