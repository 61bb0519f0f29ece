"""Figures from records alone: which are drawn, and that the drawn numbers are those of the records."""

import numpy as np
import pytest

from harness.records.record import load_records
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.comparison import differences
from harness.reporting.drawings import draw, figure_files
from harness.reporting.figure_style import panels, series
from harness.reporting.figures import figures
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores
from tests.fixtures.make_records import adapter_parameters, make_record, write_all, write_predictions_of


def drawn(records):
    (group,) = comparable_groups(records)
    return {figure.name: figure for figure in figures(group_scores(group))}


def adapter(size=64, **fields):
    return {"name": "adapter", "bottleneck_size": size, "activation": "gelu", "init_std": 0.01} | fields


def spans(layers=6, per_layer=0.02):
    """Every removed layer costs the same."""
    return [
        {
            "first": first,
            "last": last,
            "scores": {"validation": {"f1": 0.9, "accuracy": 0.8 - per_layer * (last - first + 1)}},
        }
        for first in range(layers)
        for last in range(first, layers)
    ]


@pytest.fixture
def tradeoff():
    records = []
    for task, full in (("mrpc", 0.86), ("cola", 0.30), ("rte", 0.60)):
        records.append(make_record(task, "full", full, rate=5e-5))
        records += [
            make_record(task, score=full - loss, size=size) for size, loss in ((1, 0.06), (8, 0.02), (64, 0.01))
        ]
        records += [
            make_record(task, {"name": "top_layers", "layers": k}, full - 0.03 * (3 - k), trained=1_000_000 * k)
            for k in (1, 2, 3)
        ]
        records.append(make_record(task, {"name": "layernorm"}, full - 0.08, trained=10_000))
    return records


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


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
    labels = [text.get_text() for text in figure.canvas.legends[0].get_texts()]
    assert sorted(labels) == ["Adapters", "LayerNorms only", "Top layers"]
    for words in ("all-MiniLM-L6-v2", "local", "3,668", "Seeds per point: 1", "median over CoLA, MRPC, RTE"):
        assert words in figure.caption


def test_bands_of_the_tradeoff_are_percentiles_over_the_tasks():
    losses = {"mrpc": 0.01, "cola": 0.02, "rte": 0.05, "sst2": 0.10}
    records = [make_record(task, "full", 0.8) for task in losses]
    records += [make_record(task, score=0.8 - loss, size=size) for task, loss in losses.items() for size in (1, 8, 64)]
    (ax,) = drawn(records)["tradeoff"].canvas.axes
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    low, middle, high = np.percentile([-1, -2, -5, -10], (20, 50, 80))
    assert (heights.min(), heights.max()) == (pytest.approx(low), pytest.approx(high))
    np.testing.assert_allclose(lines_of(ax)["Adapters"].get_ydata(), [middle] * 3)


def test_by_task_has_a_panel_per_task(tradeoff):
    panels = drawn(tradeoff)["tradeoff_by_task"].canvas.axes
    assert [ax.get_title() for ax in panels] == ["CoLA", "MRPC", "RTE"]
    np.testing.assert_allclose(lines_of(panels[1])["Adapters"].get_ydata(), [-6, -2, -1], atol=1e-6)


def test_a_task_in_which_a_point_is_missing_is_left_out(tradeoff):
    kept = [
        r
        for r in tradeoff
        if not (r["config"]["task"]["name"] == "rte" and r["config"]["method"]["name"] == "layernorm")
    ]
    caption = drawn(kept)["tradeoff"].caption
    assert "median over CoLA, MRPC;" in caption
    assert "CoLA 8,551 / 1,043; MRPC 3,668 / 408." in caption and "RTE" not in caption


def test_legends_are_in_the_same_order_in_both_tradeoff_figures(tradeoff):
    first, second = (drawn(tradeoff)[name].canvas for name in ("tradeoff", "tradeoff_by_task"))
    orders = [[text.get_text() for text in canvas.legends[0].get_texts()] for canvas in (first, second)]
    assert orders[0] == orders[1] == ["Adapters", "LayerNorms only", "Top layers"]


def test_ticks_are_at_round_steps():
    _, (ax,) = panels(1)
    for top in (1.7, 4.0, 3.3, 88.0):
        ax.set_ylim(0, top)
        first, second = ax.get_yticks()[:2]
        assert f"{second - first:e}"[0] in "125"


def test_families_of_one_method_are_curves_of_their_own():
    records = [make_record("mrpc", "full", 0.8)]
    records += [
        make_record("mrpc", {"name": "adapter", "bottleneck_size": size, "activation": name}, 0.7)
        for size in (1, 8, 64)
        for name in ("gelu", "relu")
    ]
    (ax,) = drawn(records)["tradeoff"].canvas.axes
    assert set(lines_of(ax)) == {"Adapters (gelu)", "Adapters (relu)"}


def test_the_papers_points_are_marked_for_bert_only(tradeoff):
    def marks(title):
        for record in tradeoff:
            record["encoder"]["title"] = title
        return [text.get_text() for text in drawn(tradeoff)["tradeoff"].canvas.axes[0].texts]

    assert not marks("all-MiniLM-L6-v2")
    assert "paper: adapters (64), MNLI-m" in marks("google-bert/bert-base-uncased")


def test_the_heatmap_shows_the_change_of_accuracy(tradeoff):
    figure = drawn([make_record("mrpc", adapter(), 0.8, spans=spans(), majority=0.68)])["ablation"]
    ax = figure.canvas.axes[0]
    change = ax.images[0].get_array()
    assert np.ma.masked_invalid(change).count() == 21
    np.testing.assert_allclose(change[0, 5], -12.0)
    np.testing.assert_allclose(change[3, 3], -2.0)
    assert np.isnan(np.ma.filled(change, np.nan)[3, 2])
    texts = {text.get_text() for text in ax.texts}
    assert {"−12", "−2.0"} <= texts
    assert ax.get_title() == "MRPC, accuracy 80.0 with all"
    headline = figure.canvas.axes[1]
    assert headline.get_title() == "MRPC, F1 80.0 with all"
    np.testing.assert_allclose(headline.images[0].get_array()[3, 3], 10.0)
    assert "MRPC accuracy undefined; MRPC F1 68.0" in figure.caption


def test_the_ablation_ranks_an_undefined_score_below_a_negative_one():
    def run(score, **fields):
        spans = [{"first": 0, "last": 0, "scores": {"validation": {"spearman": 0.1, "pearson": 0.1}}}]
        return make_record("stsb", adapter(), score, spans=spans, **fields)

    figure = drawn([run(None, rate=1e-4), run(-0.2, rate=1e-3)])["ablation"]
    assert figure.canvas.axes[0].get_title() == "STS-B, Spearman −20.0 with all"
    assert "ablation" not in drawn([run(None)])  # there is nothing that a change could be relative to


def test_the_ablation_selects_on_the_selection_split():
    records = [
        holdout(scores, rate=rate, spans=spans()) for rate, scores in {1e-3: (0.9, 0.7), 1e-2: (0.8, 0.85)}.items()
    ]
    figure = drawn(records)["ablation"]
    assert figure.canvas.axes[0].get_title() == "MRPC, accuracy 70.0 with all"
    assert "Seeds per point: 1;" in figure.caption


def test_gains_are_seen_in_the_heatmap_next_to_large_losses():
    changed = spans()
    changed[0]["scores"]["validation"]["accuracy"] = 0.81
    ax = drawn([make_record("mrpc", adapter(), 0.8, spans=changed)])["ablation"].canvas.axes[0]
    image = ax.images[0]
    red, green, blue, _ = image.cmap(image.norm(1.0))
    assert red - blue > 0.3  # a gain of one point is a color, whatever the losses are
    red, green, blue, _ = image.cmap(image.norm(-6.0))
    assert red == green == blue < 0.8
    assert "+1.0" in {text.get_text() for text in ax.texts}


def test_one_setting_against_the_score():
    stds = {1e-7: 0.8, 1e-3: 0.82, 1.0: 0.5}
    sizes = {8: 0.80, 64: 0.84, 256: 0.82}
    records = [make_record("mrpc", adapter(32, init_std=std), stds[std], seed=seed) for std in stds for seed in (0, 1)]
    rates = (1e-4, 1e-3, 1e-2)
    records += [make_record("mrpc", score=sizes[size], size=size, rate=rate) for size in sizes for rate in rates]
    found = drawn(records)
    assert set(found) == {"init_scale", "sizes", "learning_rates"}
    (ax,) = found["init_scale"].canvas.axes
    (line,) = [container.lines[0] for container in ax.containers]
    assert list(line.get_ydata()) == [80, 82, 50]
    assert list(line.get_xdata()) == list(stds)
    (ax,) = found["sizes"].canvas.axes
    assert list(ax.containers[0].lines[0].get_xdata()) == [8, 64, 256]
    assert list(ax.containers[0].lines[0].get_ydata()) == [80, 84, 82]
    curves = found["learning_rates"].canvas.axes[0].containers
    assert [list(curve.lines[0].get_xdata()) for curve in curves] == [list(rates)] * 3
    assert sorted(list(curve.lines[0].get_ydata()) for curve in curves) == [[80] * 3, [82] * 3, [84] * 3]


def holdout(scores, **fields):
    """A run by (selection score, reported score) of MRPC."""
    selection, reported = scores
    by_set = {"holdout": selection, "validation": reported}
    return make_record("mrpc", score=by_set, protocol={"name": "holdout", "fraction": 0.1, "seed": 0}, **fields)


def test_the_learning_rate_figure_selects_on_the_selection_split():
    by_rate = {1e-4: [(0.8, 0.6), (0.7, 0.9)], 1e-3: [(0.75, 0.7), (0.9, 0.5)], 1e-2: [(0.6, 0.65), (0.5, 0.8)]}
    records = [
        holdout(scores, rate=rate, epochs=epochs)
        for rate, pair in by_rate.items()
        for epochs, scores in zip((3, 5), pair, strict=True)
    ]
    figure = drawn(records)["learning_rates"]
    (ax,) = figure.canvas.axes
    assert list(ax.containers[0].lines[0].get_ydata()) == [60, 50, 65]
    ring = lines_of(ax)["chosen"]
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([1e-3], [50])
    assert "chosen on held-out training rows, reported on the official validation set" in figure.caption


def test_methods_keep_their_series_where_a_panel_lacks_some():
    rates = (1e-4, 1e-3, 1e-2)
    records = [make_record("mrpc", "full", rate=rate) for rate in rates]
    records += [make_record(task, size=64, rate=rate) for task in ("mrpc", "rte") for rate in rates]
    first, second = drawn(records)["learning_rates"].canvas.axes
    colors = [{one.get_label(): one.lines[0].get_color() for one in ax.containers} for ax in (first, second)]
    assert set(colors[0]) == {"Full fine-tuning", "Adapters (64)"}
    assert colors[1] == {"Adapters (64)": colors[0]["Adapters (64)"]}


def test_every_curve_is_drawn_and_differs_from_the_others():
    styles = series([f"method {i}" for i in range(20)])
    assert len(set(styles.values())) == len(styles) == 20


def test_an_undefined_score_is_marked_and_not_left_out():
    scores = {1e-7: 0.8, 1e-2: 0.7, 1.0: None}
    records = [make_record("stsb", adapter(init_std=std), score) for std, score in scores.items()]
    (ax,) = drawn(records)["init_scale"].canvas.axes
    assert list(ax.containers[0].lines[0].get_xdata()) == [1e-7, 1e-2]
    assert list(lines_of(ax)["undefined (constant prediction)"].get_xdata()) == [1.0]


def test_two_points_are_no_curve():
    assert drawn([make_record("mrpc", "full", 0.9), *(make_record("mrpc", size=size) for size in (8, 64))]) == {}


def test_synthetic_data_are_named_in_the_caption():
    records = [make_record("mrpc", size=size, source="synthetic") for size in (1, 8, 64)]
    assert "synthetic data (NOT GLUE)" in drawn(records)["sizes"].caption


def test_files_are_the_same_for_the_same_records(tradeoff, tmp_path):
    boards = [group_scores(group) for group in comparable_groups(tradeoff)]
    files = figure_files(draw(boards, Bootstrap(tmp_path)))
    assert {"figures/tradeoff.svg", "figures/tradeoff.png", "figures/README.md"} <= set(files)
    assert files["figures/tradeoff.png"].startswith(b"\x89PNG")
    assert "![Score against trained parameters](tradeoff.png)" in files["figures/README.md"]
    assert figure_files(draw(boards, Bootstrap(tmp_path))) == files
    assert "figures/paired_differences.png" not in files  # there are no predictions


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
    dotted = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert dotted == [-0.4, -0.8]  # the gaps that the paper reports, on the side of the loss
    reach = [tuple(bar.lines[2][0].get_segments()[0][:, 0]) for bar in ax.containers]
    assert reach == [pytest.approx(one.bounds) for one in expected]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["MRPC", "RTE", "Mean (2)"]
    assert "CoLA" not in figure.caption
