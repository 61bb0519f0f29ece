"""Metrics against hand-computed values."""

import numpy as np
import pytest

from harness.tasks.glue import TASKS, get_task
from harness.tasks.metrics import METRICS
from harness.training.evaluate_metrics import score


def test_f1_and_accuracy():
    scores, undefined = score(get_task("mrpc"), np.array([1, 1, 0, 1]), np.array([1, 0, 0, 1]))
    assert scores == {"f1": pytest.approx(0.8), "accuracy": 0.75}
    assert undefined == {}


def test_matthews():
    # tp 1, tn 2, fp 1, fn 0: (2 - 0) / sqrt(2 * 1 * 3 * 2)
    scores, _ = score(get_task("cola"), np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))
    assert scores["matthews_correlation"] == pytest.approx(2 / np.sqrt(12))
    constant, _ = score(get_task("cola"), np.array([1, 1, 1, 1]), np.array([1, 0, 0, 0]))
    assert constant["matthews_correlation"] == 0


def test_correlations():
    predictions, gold = np.array([1.0, 2.0, 4.0, 3.5]), np.array([1.0, 3.0, 4.0, 5.0])
    scores, _ = score(get_task("stsb"), predictions, gold)
    assert scores["spearman"] == pytest.approx(0.8)
    assert scores["pearson"] == pytest.approx(np.corrcoef(predictions, gold)[0, 1])


def test_a_constant_prediction_has_no_correlation_and_says_why():
    scores, undefined = score(get_task("stsb"), np.full(4, 2.5), np.array([1.0, 3.0, 4.0, 5.0]))
    assert scores == {"spearman": None, "pearson": None}
    assert undefined == {"spearman": "the predictions are constant", "pearson": "the predictions are constant"}


def test_every_task_scores_its_headline_metric():
    for task in TASKS.values():
        values = np.array([0, 1, 1, 0])
        scores, _ = score(task, values, values)
        assert list(scores) == list(task.metrics)
        assert scores[task.headline] == pytest.approx(1.0)


def test_majority():
    assert get_task("rte").kind.constant(np.array([1, 0, 1]), 2).tolist() == [1, 1]
    assert get_task("stsb").kind.constant(np.array([1.0, 4.0]), 3).tolist() == [2.5, 2.5, 2.5]


# Those of spans: tests/tasks/test_answer_text.py.
@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].kind != "span"])
@pytest.mark.parametrize("labels", [2, 5])
def test_the_vectorised_metrics_are_the_libraries(name, labels):
    metric, rng = METRICS[name], np.random.default_rng(3)
    if metric.labels not in (None, labels):
        return
    if metric.kind == "classification":
        gold = rng.integers(0, labels, (40, 60))
        predictions = np.where(rng.random(gold.shape) < 0.6, gold, rng.integers(0, labels, gold.shape))
        predictions[0], gold[1, :] = 0, 1  # constant sides
    else:
        gold = rng.random((40, 60)).round(1)
        predictions = gold + rng.normal(0, 0.3, gold.shape)
    one_by_one = [metric.compute(ours, theirs) for ours, theirs in zip(predictions, gold, strict=True)]
    assert metric.vectorised(predictions, gold) == pytest.approx(one_by_one, abs=1e-12)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_correlation_with_a_constant_is_nan_in_the_bootstrap(name):
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(METRICS[name].vectorised(np.full((1, 4), 2.0), np.array([[1.0, 2.0, 3.0, 4.0]]))).all()


def test_macro_f1_averages_over_the_labels_that_occur_whatever_their_ids():
    gold, predictions = np.array([[0, 0, 4, 4]] * 2), np.array([[0, 0, 4, 0], [0, 0, 4, 2]])
    metric = METRICS["macro_f1"]
    expected = [(0.8 + 2 / 3) / 2, (1 + 2 / 3 + 0) / 3]
    assert metric.vectorised(predictions, gold) == pytest.approx(expected)
    assert [metric.compute(*rows) for rows in zip(predictions, gold, strict=True)] == pytest.approx(expected)
