"""Bootstrap intervals: the metrics against those of the runs, pairing, seeds, selection."""

import numpy as np
import pytest

from harness.commands import report
from harness.records.predictions import read_gold, read_predictions, write_gold, write_predictions
from harness.reporting.bootstrap import RESAMPLES, Bootstrap, difference, interval, mean_of, spread_of
from harness.reporting.comparison import comparison_tables, intervals_table
from harness.reporting.groups import comparable_groups
from harness.reporting.resampled import resampled_scores, row_counts
from harness.reporting.scores import group_scores
from harness.tasks.glue import TASKS
from harness.tasks.metrics import METRICS
from tests.fixtures.make_records import make_record, write_all, write_predictions_of


def test_predictions_and_labels_come_back_as_they_were(tmp_path):
    stsb, scores = TASKS["stsb"], np.array([0.1, 4.9999], np.float32)
    write_predictions(
        tmp_path, "run", {"validation": stsb.kind.compact(scores), "test.idx": np.array([7, 9], np.int32)}
    )
    assert read_predictions(tmp_path, "run")["validation"].tolist() == scores.tolist()
    assert read_predictions(tmp_path, "run")["test.idx"].tolist() == [7, 9]
    key = write_gold(tmp_path, stsb, {"validation": scores})
    assert key == write_gold(tmp_path, stsb, {"validation": scores})
    assert key != write_gold(tmp_path, stsb, {"validation": scores + 1})
    assert read_gold(tmp_path, key)["validation"].tolist() == scores.tolist()
    (tmp_path / "predictions/broken.npz").write_bytes(b"PK\x03\x04 cut")
    assert read_predictions(tmp_path, "broken") is None
    assert read_predictions(tmp_path, "absent") is None


def scores_of(folder, *, rows=400, full=0.8, adapters=0.8):
    """The board of one task: two seeds of adapters, two of full fine-tuning, of those accuracies."""
    labels = np.random.default_rng(9).integers(0, 2, rows)
    for method, accuracy, first in (("adapter", adapters, 0), ("full", full, 10)):
        runs = [make_record("rte", method, seed=first + seed) for seed in (0, 1)]
        write_predictions_of(folder, runs, labels=labels, accuracy=accuracy)
    records = report.load_records(folder)
    (group,) = comparable_groups(records)
    return group_scores(group)


def test_an_interval_is_as_wide_as_the_binomial_says(tmp_path):
    board = scores_of(tmp_path)
    row = board.methods[0]
    low, high = Bootstrap(tmp_path).interval(row.candidate(board.columns[0]), "validation")
    points = row.entries["RTE"].points
    assert low < points < high
    # Two nearly independent seeds of accuracy 0.8 on 400 rows: 1.96 * sqrt(0.16 / 800) = 2.8 points either side.
    assert 4.0 < high - low < 7.5


def test_differences_are_paired(tmp_path):
    board = scores_of(tmp_path)
    bootstrap = Bootstrap(tmp_path)
    full, adapters = (bootstrap.spread(row.candidate(board.columns[0]), "validation") for row in board.methods)
    assert full.rows.shape == full.seeds.shape == (RESAMPLES,)
    again = Bootstrap(tmp_path).spread(board.methods[1].candidate(board.columns[0]), "validation")
    same = difference(adapters, again)  # the same runs meet the same resamples and the same draws of seeds
    assert (same.rows == 0).all() and (same.seeds == 0).all()
    low, high = interval(difference(adapters, full))
    assert low < high < low + 20
    mean = mean_of([full, adapters])
    assert (mean.rows == (full.rows + adapters.rows) / 2).all()
    assert mean.seeds == pytest.approx((full.seeds + adapters.seeds) / 2)
    assert mean_of([full, None]) is mean_of([]) is difference(full, None) is interval(None) is None


def test_the_comparison_shows_both_intervals(tmp_path):
    board = scores_of(tmp_path, adapters=0.97, full=0.8)
    (table,) = comparison_tables(board, Bootstrap(tmp_path))
    assert [line[0] for line in table.rows] == ["RTE", "Mean (1)"]
    assert all(text.count("[") == 1 for text in table.rows[0][2:])
    gap = board.methods[1].entries["RTE"].points - board.methods[0].entries["RTE"].points
    assert table.rows[0][-2].startswith(f"{gap:+.1f} [".replace("-", "−"))
    for row, text in zip((board.methods[0], board.methods[1]), table.rows[0][2:4], strict=True):
        low, high = Bootstrap(tmp_path).interval(row.candidate(board.columns[0]), "validation")
        assert text == f"{row.entries['RTE'].text} [{low:.1f}, {high:.1f}]"


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].kind != "span"])
def test_scores_on_resamples_are_those_of_the_resampled_rows(name):
    metric, rng, rows = METRICS[name], np.random.default_rng(5), 50
    if metric.kind == "classification":
        gold = rng.integers(0, 2, rows)
        predictions = np.stack([np.where(rng.random(rows) < p, gold, 1 - gold) for p in (0.6, 0.9)])
    else:
        gold = rng.random(rows).round(1)  # with ties
        predictions = (gold + rng.normal(0, 0.3, (2, rows))).round(1)
    counts = row_counts(rows, 7)
    assert (counts.sum(axis=1) == rows).all()
    scores = resampled_scores(name, predictions, gold, 7)
    assert scores.shape == (2, RESAMPLES)
    for i in range(0, RESAMPLES, 400):
        drawn = np.repeat(np.arange(rows), counts[i])
        expected = [metric.compute(one[drawn], gold[drawn]) for one in predictions]
        assert scores[:, i] == pytest.approx(expected, abs=1e-6)


def test_resamples_do_not_depend_on_the_batch(monkeypatch):
    whole = row_counts(40, 1)
    monkeypatch.setattr("harness.reporting.resampled._BATCH_VALUES", 333)
    assert (row_counts.__wrapped__(40, 1) == whole).all()


def test_the_variance_of_seeds_is_not_too_small_and_not_counted_twice():
    rng, whole = np.random.default_rng(0), np.array([70.0, 72.0, 74.0])
    apart = spread_of(np.tile(whole[:, None], RESAMPLES), whole, "a")  # seeds differ, rows do not
    assert apart.draws.var() == pytest.approx(np.var(whole, ddof=1) / 3, rel=0.1)
    # Seeds that are equally good and err on different rows: the rows hold all of it.
    noise = rng.normal(0, 2, (3, RESAMPLES))
    same = spread_of(72 + noise, 72 + rng.normal(0, 2, 3), "a")
    assert same.doubled == pytest.approx(4 / 3, rel=0.1)
    assert same.draws.var() < 2 * same.rows.var()
    alone = spread_of(72 + noise[:1], np.array([72.0]), "a")
    assert alone.seeds is alone.interval_with_seeds() is None
    assert mean_of([apart, alone]).seeds is None


def test_few_seeds_widen_the_interval_as_students_quantiles_do():
    rng = np.random.default_rng(1)
    values = rng.normal(70, 2, 3)
    spread = spread_of(np.tile(values[:, None], RESAMPLES), values, "a")
    low, high = spread.interval_with_seeds()
    error = values.std(ddof=1) / np.sqrt(3)
    assert (high - low) / 2 == pytest.approx(4.30 * error, rel=0.05)  # t of two degrees of freedom
    many = mean_of([spread] * 50)  # a hundred degrees of freedom
    assert many.freedom == pytest.approx(100)


def test_the_selection_split_is_resampled_where_its_predictions_are_stored(tmp_path):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 300)
    rates = (1e-3, 2e-3)
    for seed, rate in enumerate(rates):  # nearly as good as each other: another sample would choose the other
        write_predictions_of(tmp_path, [make_record("rte", rate=rate, seed=seed)], labels=labels, accuracy=0.8)
    (group,) = comparable_groups(report.load_records(tmp_path))
    (cell,) = group.cells.values()
    bootstrap = Bootstrap(tmp_path)
    spread = bootstrap.spread(cell.chosen, "validation")
    selected = bootstrap.selected(spread, cell.candidates, "validation")
    assert selected.rows.mean() == pytest.approx(spread.rows.mean())
    both = np.stack([bootstrap.scores(c.completed, "validation", "accuracy")[0] for c in cell.candidates])
    best = both.max(axis=0)  # protocol paper: one resample selects and is reported
    assert selected.rows == pytest.approx(best - best.mean() + spread.rows.mean())
    assert bootstrap.selected(spread, [cell.chosen], "validation") is spread
    (tmp_path / "predictions" / f"{cell.candidates[0].completed[0]['run_id']}.npz").unlink()
    assert Bootstrap(tmp_path).selected(spread, cell.candidates, "validation") is None


def test_each_data_version_and_encoder_has_intervals_of_its_own(tmp_path):
    labels = np.random.default_rng(9).integers(0, 2, 400)
    for accuracy, other in ((0.9, {}), (0.6, {"fingerprint": "d1"}), (0.75, {"sha256": "f" * 16})):
        write_predictions_of(tmp_path, [make_record("rte", **other)], labels=labels, accuracy=accuracy)
    groups = comparable_groups(report.load_records(tmp_path))
    assert len(groups) == 3
    bootstrap = Bootstrap(tmp_path)
    candidates = [group_scores(group).methods[0].cells["rte"].chosen for group in groups]
    assert len({candidate.key for candidate in candidates}) == 1  # the same config
    for candidate in candidates:
        low, high = bootstrap.interval(candidate, "validation")
        assert low < 100 * candidate.score().mean < high


def test_a_score_in_a_metric_that_cannot_be_resampled_has_no_interval(tmp_path, monkeypatch):
    board = scores_of(tmp_path)
    monkeypatch.setattr("harness.reporting.bootstrap.METRICS", {})
    assert Bootstrap(tmp_path).interval(board.methods[0].candidate(board.columns[0]), "validation") is None


def test_negative_bounds_have_the_minus_sign_of_the_points(tmp_path):
    board = scores_of(tmp_path, adapters=0.6, full=0.95)
    (table,) = comparison_tables(board, Bootstrap(tmp_path))
    assert table.rows[0][-2].count("−") == 3 and "-" not in table.rows[0][-2]


def test_row_counts_need_no_gold_labels(tmp_path):
    write_all(tmp_path, [make_record("rte"), make_record("rte", "full")])
    (group,) = comparable_groups(report.load_records(tmp_path))
    assert {line[5] for line in intervals_table(group_scores(group), Bootstrap(tmp_path)).rows} == {"277"}


def test_without_predictions_there_are_scores_and_no_intervals(tmp_path):
    write_all(tmp_path, [make_record("rte"), make_record("rte", "full")])
    (group,) = comparable_groups(report.load_records(tmp_path))
    board = group_scores(group)
    (table,) = comparison_tables(board, Bootstrap(tmp_path))
    assert not any("[" in text for line in table.rows for text in line)
    assert all("missing: " in note and "gold labels" in note for note in table.verdicts)
    assert {line[4] for line in intervals_table(board, Bootstrap(tmp_path)).rows} == {"–"}


def test_a_constant_prediction_of_a_correlation_has_no_interval(tmp_path):
    record = make_record("stsb", score=None)
    labels = np.linspace(0, 5, 50).astype(np.float32)
    record["predictions"] = {"gold": write_gold(tmp_path, TASKS["stsb"], {"validation": labels})}
    write_predictions(tmp_path, record["run_id"], {"validation": np.full(50, 2.5, np.float32)})
    write_all(tmp_path, [record])
    (group,) = comparable_groups(report.load_records(tmp_path))
    (cell,) = group.cells.values()
    assert Bootstrap(tmp_path).spread(cell.chosen, "validation") is None
