"""Bootstrap intervals: the metrics against those of the runs, pairing, coverage, and the paper's claims."""

import numpy as np
import pytest

from harness.commands import report
from harness.records.predictions import read_gold, read_predictions, write_gold, write_predictions
from harness.reporting.bootstrap import RESAMPLES, Bootstrap, difference, interval, mean_of
from harness.reporting.comparison import comparison_tables, intervals_table, verdict
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores
from harness.tasks.glue import TASKS
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
    low, high = interval(Bootstrap(tmp_path).distribution(row.candidate(board.columns[0]), "validation"))
    points = row.entries["RTE"].points
    assert low < points < high
    # Two nearly independent seeds of accuracy 0.8 on 400 rows: 1.96 * sqrt(0.16 / 800) = 2.8 points either side.
    assert 4.0 < high - low < 7.5


def test_differences_are_paired(tmp_path):
    board = scores_of(tmp_path)
    bootstrap = Bootstrap(tmp_path)
    full, adapters = (bootstrap.distribution(row.candidate(board.columns[0]), "validation") for row in board.methods)
    assert len(full) == RESAMPLES
    again = Bootstrap(tmp_path).distribution(board.methods[1].candidate(board.columns[0]), "validation")
    assert (difference(adapters, again) == 0).all()  # the same run meets the same resamples
    assert interval(difference(adapters, full))[0] < interval(difference(adapters, full))[1]
    assert (mean_of([full, adapters]) == (full + adapters) / 2).all()
    assert mean_of([full, None]) is mean_of([]) is difference(full, None) is interval(None) is None


@pytest.mark.parametrize(
    ("adapters", "full", "words"),
    [(0.97, 0.80, "confirmed"), (0.60, 0.95, "denied"), (0.80, 0.80, "inconclusive")],
)
def test_the_report_confirms_or_denies_the_papers_claim(tmp_path, adapters, full, words):
    board = scores_of(tmp_path, adapters=adapters, full=full)
    (table,) = comparison_tables(board, Bootstrap(tmp_path))
    assert [line[0] for line in table.rows] == ["RTE", "Mean (1)"]
    assert all(text.count("[") == 1 for text in table.rows[0][2:])
    claims = [note for note in table.notes if note.startswith("'Within")]
    assert len(claims) == 2 and all(words in claim for claim in claims)
    gap = board.methods[1].entries["RTE"].points - board.methods[0].entries["RTE"].points
    assert table.rows[0][-1].startswith(f"{gap:+.1f} [".replace("-", "−"))
    for row, text in zip((board.methods[0], board.methods[1]), table.rows[0][2:4], strict=True):
        low, high = interval(Bootstrap(tmp_path).distribution(row.candidate(board.columns[0]), "validation"))
        assert text == f"{row.entries['RTE'].text} [{low:.1f}, {high:.1f}]"


def test_verdicts():
    assert verdict((-0.3, 0.2), 0.4).startswith("confirmed")
    assert verdict((-0.5, 0.2), 0.4).startswith("inconclusive")
    assert verdict((-0.9, -0.5), 0.4).startswith("denied")
    assert verdict((-0.9, -0.1), 0.4).startswith("inconclusive")  # below zero, not below the margin
    assert verdict(None, 0.4).startswith("cannot")


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
    assert table.rows[0][-1].count("−") == 3 and "-" not in table.rows[0][-1]
    assert all("−0." in note and "-0" not in note for note in table.notes if note.startswith("'Within"))


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
    assert any("cannot be judged" in note for note in table.notes)
    assert {line[4] for line in intervals_table(board, Bootstrap(tmp_path)).rows} == {"–"}


def test_a_constant_prediction_of_a_correlation_has_no_interval(tmp_path):
    record = make_record("stsb", score=None)
    labels = np.linspace(0, 5, 50).astype(np.float32)
    record["predictions"] = {"gold": write_gold(tmp_path, TASKS["stsb"], {"validation": labels})}
    write_predictions(tmp_path, record["run_id"], {"validation": np.full(50, 2.5, np.float32)})
    write_all(tmp_path, [record])
    (group,) = comparable_groups(report.load_records(tmp_path))
    (cell,) = group.cells.values()
    assert Bootstrap(tmp_path).distribution(cell.chosen, "validation") is None
