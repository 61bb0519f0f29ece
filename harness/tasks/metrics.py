"""GLUE's metrics as `evaluate.Metric` subclasses in code: `evaluate.load` needs the network, these do not."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from harness.tasks.task import Task


class _GlueMetric(evaluate.Metric):
    """Base: predictions and references are class ids, or scores for the correlations."""

    value_type = "int64"
    description = ""

    def _info(self) -> evaluate.MetricInfo:
        value = datasets.Value(self.value_type)
        return evaluate.MetricInfo(
            description=self.description,
            citation="",
            features=datasets.Features({"predictions": value, "references": value}),
        )


class Accuracy(_GlueMetric):
    description = "Share of equal labels, in [0, 1]."

    def _compute(self, predictions, references) -> dict[str, Any]:
        return {"accuracy": float(np.mean(np.asarray(predictions) == np.asarray(references)))}


class F1(_GlueMetric):
    description = "F1 of label 1, in [0, 1]; 0 where label 1 is neither predicted nor present."

    def _compute(self, predictions, references) -> dict[str, Any]:
        return {"f1": float(sklearn_metrics.f1_score(references, predictions, zero_division=0))}


class MatthewsCorrelation(_GlueMetric):
    description = "Matthews correlation, in [-1, 1]; 0 by convention where the predictions are constant."

    def _compute(self, predictions, references) -> dict[str, Any]:
        return {"matthews_correlation": float(sklearn_metrics.matthews_corrcoef(references, predictions))}


class _Correlation(_GlueMetric):
    value_type = "float64"
    name_of_score = ""

    def _compute(self, predictions, references) -> dict[str, Any]:
        for what, values in (("predictions", predictions), ("references", references)):
            if len(values) < 2 or np.ptp(values) == 0:
                return {self.name_of_score: None, "reason": f"the {what} are constant"}
        return {self.name_of_score: float(self.correlate(predictions, references))}


class Pearson(_Correlation):
    description = "Pearson correlation, in [-1, 1]; None with a `reason` where a side is constant."
    name_of_score = "pearson"

    def correlate(self, predictions, references) -> float:
        return stats.pearsonr(predictions, references).statistic


class Spearman(_Correlation):
    description = "Spearman rank correlation, in [-1, 1]; None with a `reason` where a side is constant."
    name_of_score = "spearman"

    def correlate(self, predictions, references) -> float:
        return stats.spearmanr(predictions, references).statistic


METRICS: dict[str, type[_GlueMetric]] = {
    "accuracy": Accuracy,
    "f1": F1,
    "matthews_correlation": MatthewsCorrelation,
    "pearson": Pearson,
    "spearman": Spearman,
}


def score(
    task: Task, predictions: np.ndarray, references: np.ndarray
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every metric of the task: `({metric: value or None}, {metric: why it is None})`.

    `predictions` and `references` are `[N]` class ids, or scores for a regression task.
    """
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name in task.metrics:
        metric = METRICS[name](keep_in_memory=True)
        result = metric.compute(predictions=predictions, references=references)
        scores[name] = result[name]
        if result[name] is None:
            reasons[name] = result["reason"]
    return scores, reasons


def majority_prediction(task: Task, train_labels: np.ndarray, count: int) -> np.ndarray:
    """The constant prediction `[count]`: the most frequent training label (lowest id of equals) or the mean score."""
    if task.is_regression:
        return np.full(count, float(np.mean(train_labels)))
    return np.full(count, int(np.argmax(np.bincount(train_labels))))
