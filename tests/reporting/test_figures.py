"""Figures from records alone: which are drawn, and that the drawn numbers are those of the records."""

import numpy as np
import pytest

from harness.records.record import load_records
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.comparison import differences
from harness.reporting.drawings import draw, figure_files
from harness.reporting.figure_style import COLUMN, PAGE, name_parameters, name_rates, panels, series
from harness.reporting.figures import figures
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores, method_rows
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
    """Lines by label, those with error bars too."""
    lines = {bars.get_label(): bars.lines[0] for bars in ax.containers}
    return lines | {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def legend_of(figure):
    return [text.get_text() for text in figure.canvas.legends[0].get_texts()]


def hollow_of(ax):
    """The places of hollow points; the one of the legend has none."""
    hollow = [line for line in ax.get_lines() if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    return [place for line in hollow for place in line.get_xdata()]


def bars_of(container):
    """The ends of vertical error bars, those without a bar left out."""
    return [tuple(segment[:, 1]) for segment in container.lines[2][0].get_segments() if len(segment)]


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


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((4e-5, 1.2e-3), [5e-5, 1e-4, 2e-4, 5e-4, 1e-3]), ((1e-7, 1.0), [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1])],
)
def test_log_ticks_are_at_1_2_and_5_or_at_powers_of_ten(ends, expected):
    _, (ax,) = panels(1)
    ax.set_xlim(*ends)
    name_rates(ax, "learning rate")
    ticks = [tick for tick in ax.get_xticks() if ends[0] <= tick <= ends[1] * (1 + 1e-9)]
    assert ticks == pytest.approx(expected)
    texts = ax.xaxis.get_major_formatter().format_ticks(ticks)
    assert texts[:2] == (["5e-5", "1e-4"] if ends[0] == 4e-5 else ["1e-7", "1e-6"])


def test_parameters_are_counted_in_thousands_and_millions():
    _, (ax,) = panels(1)
    ax.set_xlim(8e4, 3e6)
    name_parameters(ax)
    texts = ax.xaxis.get_major_formatter().format_ticks([1e5, 2e5, 1e6])
    assert texts == ["100k", "200k", "1M"]


def test_figures_have_the_widths_of_a_two_column_paper(tradeoff):
    found = drawn(tradeoff)
    assert found["tradeoff"].canvas.get_figwidth() == COLUMN
    assert found["tradeoff_by_task"].canvas.get_figwidth() == PAGE


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


def test_learning_curves_have_a_line_per_cell_and_thin_ones_per_seed():
    records = [make_record("mrpc", "full", seed=seed) for seed in (0, 1)]
    for record, losses in zip(records, ((0.6, 0.4, 0.2), (0.8, 0.4, 0.4)), strict=True):
        record["training"]["history"] = [{"epoch": i, "loss": loss} for i, loss in enumerate(losses, 1)]
    (ax,) = drawn(records)["learning_curves"].canvas.axes
    assert list(lines_of(ax)["Full fine-tuning"].get_ydata()) == pytest.approx([0.7, 0.4, 0.3])
    assert [list(line.get_ydata()) for line in ax.get_lines()[:2]] == [[0.6, 0.4, 0.2], [0.8, 0.4, 0.4]]
    assert ax.get_ylim() == pytest.approx((0, 1.05 * 0.8))
    assert all(tick == int(tick) for tick in ax.get_xticks())


def with_losses(record, means, every=200):
    """575 steps, three epochs."""
    record["config"]["train"]["epochs"] = 3
    record["training"]["losses"] = {"every": every, "means": means}
    return record


def test_losses_of_every_few_steps_are_drawn_at_the_middle_of_their_steps():
    records = [with_losses(make_record("mrpc", "full", seed=seed), [0.6, 0.4, 0.2 + seed]) for seed in (0, 1)]
    figure = drawn(records)["learning_curves"]
    assert figure.caption.startswith("Mean training loss of every hundredth of a run, for")
    (ax,) = figure.canvas.axes
    line = lines_of(ax)["Full fine-tuning"]
    assert list(line.get_xdata()) == pytest.approx([100 * 3 / 575, 300 * 3 / 575, 487.5 * 3 / 575])
    assert list(line.get_ydata()) == pytest.approx([0.6, 0.4, 0.7])
    del records[1]["training"]["losses"]  # by an older version
    records[0]["training"]["history"].append({"epoch": 2, "loss": 0.3})
    records[1]["training"]["history"].append({"epoch": 2, "loss": 0.4})
    (ax,) = drawn(records)["learning_curves"].canvas.axes
    assert list(lines_of(ax)["Full fine-tuning"].get_ydata()) == pytest.approx([0.5, 0.35])


def test_many_losses_have_a_band_from_the_lowest_to_the_highest_seed():
    records = [
        with_losses(make_record("mrpc", "full", seed=seed), [0.5 + seed / 10] * 96, every=6) for seed in (0, 1, 2)
    ]
    figure = drawn(records)["learning_curves"]
    assert "the chosen config of each cell; bands: its seeds. " in figure.caption
    (ax,) = figure.canvas.axes
    (line,), (band,) = ax.get_lines(), ax.collections
    assert len(line.get_xdata()) == 96 and line.get_marker() in ("", "None")
    assert list(line.get_ydata()) == pytest.approx([0.6] * 96)
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.5, 0.7))
    assert "the chosen config of each cell. " in drawn(records[:1])["learning_curves"].caption  # a single seed


def test_scores_of_every_epoch_have_panels_of_their_own():
    records = [with_losses(make_record("mrpc", "full", 0.9), [0.6, 0.4, 0.2])]
    records += [with_losses(make_record("rte", size=64), [0.6, 0.4, 0.2])]
    records[0]["training"]["history"] = [
        {"epoch": epoch, "loss": 0.5, "scores": {"validation": {"f1": score, "accuracy": 0.1}}}
        for epoch, score in ((1, 0.7), (2, None))
    ] + [{"epoch": 3, "loss": 0.4}]
    figure = drawn(records)["learning_curves"]
    assert [ax.get_title() for ax in figure.canvas.axes] == ["MRPC", "RTE", "MRPC"]
    ax = figure.canvas.axes[2]
    assert ax.get_ylabel() == "F1 × 100, selection split"
    (line,) = ax.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 3], pytest.approx([70, 90]))
    assert "Scores: on the selection split" in figure.caption


def test_panels_share_a_label_that_is_the_same_in_all(tradeoff):
    canvas = drawn(tradeoff)["tradeoff_by_task"].canvas
    assert {ax.get_xlabel() + ax.get_ylabel() for ax in canvas.axes} == {""}
    assert canvas.get_supxlabel() == "trained parameters (log scale)"
    assert canvas.get_supylabel() == "score − full fine-tuning (points)"


def test_two_points_are_no_curve():
    assert drawn([make_record("mrpc", "full", 0.9), *(make_record("mrpc", size=size) for size in (8, 64))]) == {}


def test_synthetic_data_are_named_in_the_caption():
    records = [make_record("mrpc", size=size, source="synthetic") for size in (1, 8, 64)]
    assert "synthetic data (NOT GLUE)" in drawn(records)["sizes"].caption


def test_files_are_the_same_for_the_same_records(tradeoff, tmp_path):
    boards = [group_scores(group) for group in comparable_groups(tradeoff)]
    files = figure_files(draw(boards, Bootstrap(tmp_path)))
    kinds = ("svg", "png", "pdf")
    assert {"figures/README.md", *(f"figures/tradeoff.{kind}" for kind in kinds)} <= set(files)
    pdf = files["figures/tradeoff.pdf"]
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf and b"ModDate" not in pdf
    assert b"FontFile2" in pdf  # TrueType, which every publisher takes
    assert b"date" not in files["figures/tradeoff.svg"].lower()
    assert files["figures/tradeoff.png"].startswith(b"\x89PNG")
    assert "![Score against trained parameters](tradeoff.png)" in files["figures/README.md"]
    assert "[tradeoff.pdf](tradeoff.pdf)" in files["figures/README.md"]
    assert b"Points: mean over" not in files["figures/tradeoff.svg"]  # a paper sets its own caption
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
