"""`scores_long.csv`: a line per score, as pandas and R want it."""

import pandas as pd
import pytest

from harness.reporting.bootstrap import Bootstrap
from harness.reporting.groups import comparable_groups
from harness.reporting.scores import group_scores
from harness.reporting.scores_long import long_frame
from tests.fixtures.make_records import make_record


@pytest.fixture
def frame(tmp_path):
    records = [make_record("mrpc", size=64, score=score, seed=seed) for seed, score in enumerate((0.80, 0.84))]
    records += [make_record("mrpc", size=8, score=0.7), make_record("mrpc", "full", score=0.9)]
    records += [make_record("mnli", "full", score={"validation_matched": 0.6, "validation_mismatched": 0.5})]
    records += [make_record("rte", "full", status="failed", error="x")]
    boards = [group_scores(group) for group in comparable_groups(records)]
    return long_frame(boards, Bootstrap(tmp_path))


def test_a_line_per_task_set_method_and_metric(frame):
    assert not frame.duplicated(["group", "task", "evaluation_set", "label", "metric"]).any()
    own = frame[frame["method"] != "majority"]
    sets = own.groupby(["task", "label"])["evaluation_set"].apply(set).to_dict()
    assert sets == {
        ("mrpc", "Adapters (8)"): {"validation"},
        ("mrpc", "Adapters (64)"): {"validation"},
        ("mrpc", "Full fine-tuning"): {"validation"},
        ("mnli", "Full fine-tuning"): {"validation_matched", "validation_mismatched"},
    }
    assert set(own.loc[own["task"] == "mrpc", "metric"]) == {"f1", "accuracy"}


def test_scores_are_points_over_the_seeds(frame):
    (line,) = frame[(frame["size"] == 64) & frame["is_headline"]].to_dict("records")
    assert (line["method"], line["metric"], line["n"], line["is_best_size"]) == ("adapter", "f1", 2, True)
    assert (line["mean"], line["std"]) == (pytest.approx(82), pytest.approx(2.8284, abs=1e-4))
    assert pd.isna(line["low"]) and pd.isna(line["high"])  # there are no predictions
    (small,) = frame[(frame["size"] == 8) & frame["is_headline"]].to_dict("records")
    assert (small["is_best_size"], small["n"]) == (False, 1) and pd.isna(small["std"])


def test_the_majority_is_a_method_without_seeds(frame):
    (line,) = frame[(frame["method"] == "majority") & (frame["task"] == "mrpc")].to_dict("records")
    assert line["mean"] == pytest.approx(81.2) and pd.isna(line["n"]) and pd.isna(line["size"])
