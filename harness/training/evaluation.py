"""Scores of a trained stack on its evaluation sets, whole and without some of its adapters."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.data.batches import Encoded
from harness.model.adapter import without_adapters
from harness.model.classifier import Classifier
from harness.tasks import metrics
from harness.tasks.task import Task
from harness.training.loop import predict


def evaluate(
    classifier: Classifier, task: Task, splits: dict[str, Encoded], *, bf16: bool
) -> list[dict[str, dict[str, Any]]]:
    """For each replica, by the names of `splits`: `scores`, `undefined`, `constant` (whether all predictions are one)
    and, where the outputs are finite, `predictions [N]`.
    """
    results = [{"scores": {}, "undefined": {}, "constant": {}, "predictions": {}} for _ in range(classifier.replicas)]
    for name, split in splits.items():
        references = split.labels.cpu().numpy()
        for result, logits in zip(results, predict(classifier, split, bf16=bf16), strict=True):
            if not np.isfinite(logits).all():
                result["scores"][name] = dict.fromkeys(task.metrics)
                result["undefined"][name] = dict.fromkeys(task.metrics, "the outputs are not finite")
                result["constant"][name] = True
                continue
            predictions = decide(task, logits)
            result["predictions"][name] = predictions
            result["scores"][name], reasons = metrics.score(task, predictions, references)
            if reasons:
                result["undefined"][name] = reasons
            result["constant"][name] = bool(np.ptp(predictions) == 0)
    return results


def decide(task: Task, logits: np.ndarray) -> np.ndarray:
    """Logits `[N, outputs]` -> class ids, or scores in float64, `[N]`."""
    return logits[:, 0].astype(np.float64) if task.is_regression else logits.argmax(-1)


def evaluate_spans(
    classifier: Classifier, task: Task, splits: dict[str, Encoded], *, bf16: bool
) -> list[list[dict[str, Any]]]:
    """For each replica: the scores without the adapters of every contiguous span of layers (section 3.6).

    An entry holds `first` and `last`, layers counted from 0, and `scores` by evaluation set.
    """
    layers = len(classifier.layers)
    entries: list[list[dict[str, Any]]] = [[] for _ in range(classifier.replicas)]
    for first in range(layers):
        for last in range(first, layers):
            with without_adapters(classifier.encoder, first, last):
                results = evaluate(classifier, task, splits, bf16=bf16)
            for entry, result in zip(entries, results, strict=True):
                entry.append({"first": first, "last": last, "scores": result["scores"]})
    return entries


def majority(task: Task, train: Encoded, splits: dict[str, Encoded]) -> dict[str, dict[str, float | None]]:
    """Scores of the constant prediction of the training majority (regression: the training mean) by evaluation set."""
    train_labels = train.labels.cpu().numpy()
    scores = {}
    for name, split in splits.items():
        constant = metrics.majority_prediction(task, train_labels, len(split))
        scores[name], _ = metrics.score(task, constant, split.labels.cpu().numpy())
    return scores
