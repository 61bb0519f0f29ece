"""Poolings side by side: which groups are compared, row by row, and that the differences are paired."""

import numpy as np
import pytest

from harness.records.record import load_records, write_record
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.comparison import pooling_tables
from harness.reporting.documents import make_report
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores
from tests.fixtures.make_records import make_record, write_predictions_of

LABELS = np.random.default_rng(7).integers(0, 2, 400)


def store(folder, pooling=None, accuracy=0.8, seeds=(0, 1, 2), task="rte", **options):
    records = [make_record(task, seed=seed, suffix=f"-{pooling}", **options) for seed in seeds]
    for record in records:
        if pooling:  # the config of the checkpoint's own pooling does not name it
            record["config"]["model"]["pooling"] = pooling
            record["encoder"]["pooling"] = {"first": "first token"}.get(pooling, pooling)
    write_predictions_of(folder, records, labels=LABELS, accuracy=accuracy)


def tables(folder):
    boards = [group_scores(group) for group in comparable_groups(load_records(folder))]
    return [table for board in boards for table in pooling_tables(board, boards, Bootstrap(folder))]


def test_each_pooling_is_compared_with_the_checkpoints_own(tmp_path):
    store(tmp_path)
    store(tmp_path, "first", 0.7)
    store(tmp_path, "mean", 0.8)
    store(tmp_path, method="full")  # trained with one pooling only
    first, mean = tables(tmp_path)
    assert first.title.startswith("Adapters (64), first token against adapters (64), pooler: all-MiniLM-L6-v2 on GLUE")
    assert first.header == ["Task", "Rows", "Adapters (64), pooler", "Adapters (64), first token", "Difference",
                            "Rows and seeds"]  # fmt: skip
    (line, of_mean) = first.rows
    assert (line[0], of_mean[0]) == ("RTE", "Mean (1)")
    points = [float(line[i].split()[0].replace("−", "-")) for i in (2, 3, 4)]
    assert points[2] == pytest.approx(points[1] - points[0], abs=0.11) and points[2] < -5
    high = float(line[4].split()[-1].rstrip("]").replace("−", "-"))
    assert high < points[2] + 4  # paired: unpaired rows would add 4 points either side
    assert mean.rows[0][4:] == ["+0.0 [0.0, 0.0]", "[0.0, 0.0]"]  # the same draws, so the same predictions


@pytest.mark.parametrize("change", [{"max_train_rows": 100}, {"sha256": "other"}, {"protocol": {"name": "submit"}}])
def test_groups_that_differ_in_more_than_pooling_are_not_compared(tmp_path, change):
    store(tmp_path, "first")
    assert tables(tmp_path) == []  # there is nothing to compare with
    store(tmp_path, **change)
    assert tables(tmp_path) == []


def test_tasks_without_a_score_on_both_sides_make_no_table(tmp_path):
    store(tmp_path, "first", task="rte")
    store(tmp_path, task="qnli")
    write_record(tmp_path, make_record("rte", status="diverged"))
    assert tables(tmp_path) == []


def test_the_comparison_stands_with_the_scores(tmp_path):
    store(tmp_path, accuracy=0.9)
    store(tmp_path, "mean")
    report = make_report(load_records(tmp_path), Bootstrap(tmp_path), with_figures=False)
    title = "Adapters (64), mean against adapters (64), pooler"
    assert title in report.files["tables/glue.md"]
    assert "mean" in report.files["tables/differences.tex"]
