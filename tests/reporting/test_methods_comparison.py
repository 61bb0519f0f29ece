"""Methods side by side: whom they are compared with, what is more than chance, and which times are comparable."""

import numpy as np
import pytest

from harness.records.record import load_records
from harness.reporting.bootstrap import Bootstrap, Spread
from harness.reporting.compared_methods import compared_methods
from harness.reporting.documents import make_report
from harness.reporting.groups import comparable_groups
from harness.reporting.methods_comparison import _verdict, methods_comparison
from harness.reporting.methods_figure import methods
from harness.reporting.scores import group_scores
from tests.fixtures.make_records import make_record, write_predictions_of

LABELS = np.random.default_rng(7).integers(0, 2, 400)
ACCURACY = {"adapter": 0.80, "bitfit": 0.79, "layernorm": 0.60, "full": 0.90}
TRAINED = {"adapter": None, "bitfit": 40_000, "layernorm": 10_000, "full": None}
SECONDS = {"adapter": 240.0, "bitfit": 60.0, "layernorm": 30.0, "full": 50.0}


def runs(tmp_path, **changes):
    """Three seeds of four methods on two tasks, the adapters in stacks of three; `changes`: entries by method."""
    for task in ("rte", "qnli"):
        for name, accuracy in ACCURACY.items():
            # Predictions are drawn by the seed: of equal seeds, the better method would be right where the other is.
            seeds = (3, 4, 5) if name == "bitfit" else (0, 1, 2)
            records = [make_record(task, name, trained=TRAINED[name], seed=seed) for seed in seeds]
            for record in records:
                record["time"]["train_seconds"] = SECONDS[name]
                record["training"]["stack"] = [record["run_id"]] * (3 if name == "adapter" else 1)
                record["provenance"] |= changes.get(name, {})
            write_predictions_of(tmp_path, records, labels=LABELS, accuracy=accuracy)
    (group,) = comparable_groups(load_records(tmp_path))
    return group_scores(group), Bootstrap(tmp_path)


def by_method(table):
    assert all(len(row) == len(table.header) for row in table.rows)
    return {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_every_method_is_compared_with_the_adapters_and_chance_is_told_from_the_rest(tmp_path):
    table = methods_comparison(*runs(tmp_path))
    rows = by_method(table)
    assert list(rows) == ["LayerNorms only", "BitFit", "Adapters (64)", "Full fine-tuning"]  # by trained parameters
    assert {row["Against"] for name, row in rows.items() if name != "Adapters (64)"} == {"Adapters (64)"}
    assert rows["Adapters (64)"]["Difference"] == rows["Adapters (64)"]["Verdict"] == ""
    assert [row["Verdict"] for row in rows.values()] == ["behind", "inconclusive", "", "ahead"]
    assert rows["BitFit"]["Parameters"] == f"{40_000 / 605_954:.3g}x"
    assert any("3 comparisons together" in note for note in table.notes)


def test_its_numbers_are_those_of_the_records(tmp_path):
    scores, bootstrap = runs(tmp_path)
    rows = by_method(methods_comparison(scores, bootstrap))
    row = {one.label: one for one in scores.methods}
    mean = {name: row[name].mean(scores.counted) for name in rows}
    assert rows["BitFit"]["Mean"].startswith(f"{mean['BitFit']:.1f} [")
    gap = mean["BitFit"] - mean["Adapters (64)"]
    assert rows["BitFit"]["Difference"].replace("−", "-").startswith(f"{gap:+.1f} [")
    assert rows["BitFit"]["RTE difference"][0] in "+−"
    assert rows["Adapters (64)"]["Training (s)"] == "160"  # two tasks, a third of a stack's 240 each
    assert rows["Full fine-tuning"]["Training (s)"] == "100"


def test_of_several_sizes_the_nearest_is_the_one_to_compare_with(tmp_path):
    records = [make_record("rte", score=0.8, size=size) for size in (1, 64, 256)]
    records += [make_record("rte", "full", 0.8), make_record("rte", "bitfit", 0.8, trained=30_000)]
    records += [make_record("rte", {"name": "top_layers", "layers": 1}, 0.8, trained=800_000)]
    (group,) = comparable_groups(records)
    rows = by_method(methods_comparison(group_scores(group), Bootstrap(tmp_path)))
    against = {name: row["Against"] for name, row in rows.items() if row["Against"]}
    assert against == {
        "BitFit": "Adapters (1)",
        "Top layers (1)": "Adapters (64)",
        "Full fine-tuning": "Adapters (256)",
    }
    assert {rows[name]["Verdict"] for name in against} == {"–"}  # no predictions, no intervals


def test_without_adapters_full_fine_tuning_takes_their_place_and_few_methods_have_no_table(tmp_path):
    records = [make_record("rte", name, 0.8, trained=30_000) for name in ("bitfit", "layernorm")]
    records.append(make_record("rte", "full", 0.8))
    (group,) = comparable_groups(records)
    rows = by_method(methods_comparison(group_scores(group), Bootstrap(tmp_path)))
    assert {row["Against"] for row in rows.values()} == {"Full fine-tuning", ""}
    few = [make_record("rte", "full", 0.8), *(make_record("rte", score=0.8, size=size) for size in (8, 64))]
    (group,) = comparable_groups(few)
    assert methods_comparison(group_scores(group), Bootstrap(tmp_path)) is None


@pytest.mark.parametrize(("points", "comparisons", "verdict"), [
    (1.0, 1, "inconclusive"), (2.2, 1, "ahead"), (2.2, 10, "ahead, by itself"), (-2.2, 10, "behind, by itself"),
    (-4.0, 10, "behind"),
])  # fmt: skip
def test_many_comparisons_need_more_than_one(points, comparisons, verdict):
    draws = np.random.default_rng(0).standard_normal(20_000)
    assert _verdict(Spread(draws - draws.mean() + points), comparisons) == verdict


def test_a_method_without_a_score_in_some_column_is_named(tmp_path):
    table = methods_comparison(*runs(tmp_path))
    assert not any("Left out" in note for note in table.notes)
    records = [*load_records(tmp_path), make_record("rte", "ia3", 0.8, trained=14_000)]
    (group,) = comparable_groups(records)
    scores, bootstrap = group_scores(group), Bootstrap(tmp_path)
    table = methods_comparison(scores, bootstrap)
    assert "IA3" not in by_method(table)
    assert table.notes[0] == "Left out, without a score in the columns in parentheses: IA3 (QNLI)."
    assert table.notes[0] in methods(scores, bootstrap).caption


def test_times_on_another_device_are_left_out(tmp_path):
    scores, bootstrap = runs(tmp_path, full={"device": "another"})
    seconds = {one.row.label: one.seconds for one in compared_methods(scores, bootstrap)}
    assert seconds["Full fine-tuning"] is None and seconds["BitFit"] == 120
    assert by_method(methods_comparison(scores, bootstrap))["Full fine-tuning"]["Training (s)"] == "–"
    figure = methods(scores, bootstrap)
    assert "not shown, since runs of theirs were on another device: Full fine-tuning" in figure.caption
    parameters, time = (points_of(ax) for ax in figure.canvas.axes)
    assert set(parameters) - set(time) == {"Full fine-tuning"}


def points_of(ax):
    """(x, y, low, high) of each method."""
    found = {}
    for container in ax.containers:
        line, _, (bars,) = container
        (low, high), (x,), (y,) = bars.get_segments()[0][:, 1], line.get_xdata(), line.get_ydata()
        found[container.get_label()] = (x, y, low, high)
    return found


def test_the_figure_shows_means_and_intervals_at_parameters_and_seconds(tmp_path):
    scores, bootstrap = runs(tmp_path)
    found = {one.row.label: one for one in compared_methods(scores, bootstrap)}
    parameters, time = (points_of(ax) for ax in methods(scores, bootstrap).canvas.axes)
    assert set(parameters) == set(time) == set(found)
    for label, one in found.items():
        assert parameters[label] == pytest.approx((one.trained, one.mean, *one.interval))
        assert time[label] == pytest.approx((one.seconds, one.mean, *one.interval))
    low, high = found["BitFit"].interval
    assert low < found["BitFit"].mean < high
    narrow = found["BitFit"].spread.interval()
    assert high - low > narrow[1] - narrow[0]  # seeds count


def test_methods_at_one_budget_stand_side_by_side(tmp_path):
    trained = {"bitfit": 606_000, "lora": 609_000, "layernorm": 10_000}
    records = [make_record("rte", name, 0.8, trained=number) for name, number in trained.items()]
    records += [make_record("rte", score=0.8), make_record("rte", "full", 0.8)]
    (group,) = comparable_groups(records)
    figure = methods(group_scores(group), Bootstrap(tmp_path))
    places = {one.get_label(): float(one[0].get_xdata()[0]) for one in figure.canvas.axes[0].containers}
    budget = sorted((places[label], label) for label in places if 100_000 < places[label] < 1_000_000)
    assert [label for _, label in budget] == ["Adapters (64)", "BitFit", "LoRA"]
    (first, _), (second, _), (third, _) = budget
    assert second / first == pytest.approx(third / second) and second / first > 1.05
    assert second == pytest.approx(607_000, rel=0.01)
    assert places["LayerNorms only"] == 10_000
    assert "methods within a tenth of each other stand side by side" in figure.caption


def test_the_report_has_table_page_and_figure(tmp_path):
    runs(tmp_path)
    files = make_report(load_records(tmp_path), Bootstrap(tmp_path)).files
    assert "# Methods compared" in files["tables/methods_compared.md"]
    (compared,) = [part for part in files["report.html"].split("<table")[1:] if "<caption>Methods compared: " in part]
    assert "RTE difference" in compared and ">inconclusive</td>" in compared
    paper = files["tables/methods_compared.tex"]
    assert r"\label{tab:methods-compared}" in paper
    assert "{Verdict}" in paper and "inconclusive" in paper and "RTE difference" not in paper
    assert "figures/methods.svg" in files
    assert "Methods: score against trained parameters and training time" in files["report.html"]
