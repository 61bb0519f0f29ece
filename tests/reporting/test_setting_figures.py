"""Scores against one setting, and the heatmap of removed layers."""

import numpy as np
import pytest

from harness.reporting.figure_style import series
from tests.fixtures.drawn import adapter, drawn, hollow_of, lines_of, spans
from tests.fixtures.make_records import make_record


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


def test_the_scale_of_the_heatmap_is_centred_at_no_change():
    (image,) = drawn([make_record("mrpc", adapter(), 0.8, spans=spans())])["ablation"].canvas.axes[0].images
    assert image.norm(0.0) == 0.5 and min(image.cmap(image.norm(0.0))) > 0.99
    assert (image.norm.vmin, image.norm.vmax) == (pytest.approx(-12), 1)


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
    containers = found["learning_rates"].canvas.axes[0].containers
    curves = [one for one in containers if len(one.lines[0].get_xdata()) > 1]
    assert len(containers) == 6  # every method, those with a single rate too
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
    assert not ring.get_clip_on()  # whole at the edge of a panel
    assert "chosen on held-out training rows, reported on the official validation set" in figure.caption


def test_every_method_is_in_the_learning_rate_figure_and_choices_among_several_are_ringed():
    records = [make_record("mrpc", "full", score, rate=rate) for rate, score in ((1e-5, 0.7), (1e-4, 0.8))]
    records += [make_record("mrpc", size=8, score=0.75, rate=3e-4, seed=seed) for seed in (0, 1)]
    records += [make_record("mrpc", size=64, score=0.9, rate=1e-3)]
    records += [make_record("rte", size=64, rate=1e-3)]  # nothing to choose from
    figure = drawn(records)["learning_rates"]
    (ax,) = figure.canvas.axes
    assert ax.get_title() == "MRPC (F1)"
    places = {bars.get_label(): list(bars.lines[0].get_xdata()) for bars in ax.containers}
    assert places == {"Full fine-tuning": [1e-5, 1e-4], "Adapters (8)": [3e-4], "Adapters (64)": [1e-3]}
    rings = [line for line in ax.get_lines() if line.get_label() == "chosen"]
    assert [list(ring.get_xdata()) for ring in rings] == [[1e-4]]
    assert hollow_of(ax) == [1e-5, 1e-4, 1e-3]
    assert "Drawn: Full fine-tuning, Adapters (8), Adapters (64)." in figure.caption


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
    cross = lines_of(ax)["undefined (constant prediction)"]
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([1.0], [0.0])
    assert cross.get_transform() == ax.get_xaxis_transform()  # on the axis: no value could be read from it
    assert lines_of(ax)["the paper's 0.01"].get_xdata() == [1e-2, 1e-2]


def test_labels_of_many_sizes_have_room():
    (ax,) = drawn([make_record("mrpc", size=2**i) for i in range(10)])["sizes"].canvas.axes
    assert list(ax.get_xticks()) == [1, 4, 16, 64, 256]
    assert list(ax.containers[0].lines[0].get_xdata()) == [2**i for i in range(10)]
    (ax,) = drawn([make_record("mrpc", size=size) for size in (8, 64, 256)])["sizes"].canvas.axes
    assert list(ax.get_xticks()) == [8, 64, 256]
