"""The registry of metrics as `evaluate.Metric` objects: `evaluate.load` needs the network, these do not."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from harness.tasks.metrics import METRICS, Metric, why_undefined
from harness.tasks.task import Task

# What predictions and references are, by kind of task.
_FEATURES = {
    "classification": (datasets.Value("int64"), datasets.Value("int64")),
    "regression": (datasets.Value("float64"), datasets.Value("float64")),
    "span": (datasets.Value("string"), datasets.List(datasets.Value("string"))),
}


class RegisteredMetric(evaluate.Metric):
    """One metric of `harness.tasks.metrics`; `compute` gives {name: value}, with a `reason` where the value is None."""

    def __init__(self, metric: Metric, **options: Any) -> None:
        self.metric = metric
        super().__init__(**options)

    def _info(self) -> evaluate.MetricInfo:
        prediction, reference = _FEATURES[self.metric.kind]
        return evaluate.MetricInfo(
            description=self.metric.description,
            citation="",
            features=datasets.Features({"predictions": prediction, "references": reference}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        value = self.metric.compute(predictions, references)
        result = {self.metric.name: value}
        return result if value is not None else result | {"reason": why_undefined(predictions, references)}


def score(task: Task, predictions: np.ndarray, gold: np.ndarray) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every metric of the task: `({metric: value or None}, {metric: why it is None})`.

    `predictions` and `gold` are `[N]`, answers and gold labels as the task's kind has them.
    """
    predictions, gold = task.kind.compared(predictions, gold)
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name in task.metrics:
        result = RegisteredMetric(METRICS[name], keep_in_memory=True).compute(predictions=predictions, references=gold)
        scores[name] = result[name]
        if result[name] is None:
            reasons[name] = result["reason"]
    return scores, reasons
