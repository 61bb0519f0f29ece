"""Scores of a trained stack on its evaluation sets, whole and without some of its adapters."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.data.batches import Encoded
from harness.model.adapter import without_adapters
from harness.model.classifier import Classifier
from harness.tasks.task import Task
from harness.training.evaluate_metrics import score
from harness.training.loop import predict


def evaluate(
    classifier: Classifier, task: Task, splits: dict[str, Encoded], *, bf16: bool
) -> list[dict[str, dict[str, Any]]]:
    """For each replica, by the names of `splits`: `scores`, `undefined`, `constant` (whether all predictions are one),
    `finite` (whether the outputs are) and, where they are, `predictions [N]`.
    """
    names = ("scores", "undefined", "constant", "finite", "predictions")
    results = [{name: {} for name in names} for _ in range(classifier.replicas)]
    for name, split in splits.items():
        gold = split.gold_labels
        for result, logits in zip(results, predict(classifier, split, bf16=bf16), strict=True):
            result["finite"][name] = bool(np.isfinite(logits).all())
            if not result["finite"][name]:
                result["scores"][name] = dict.fromkeys(task.metrics)
                result["undefined"][name] = dict.fromkeys(task.metrics, "the outputs are not finite")
                result["constant"][name] = True
                continue
            predictions = split.answers(task.kind, logits)
            result["predictions"][name] = predictions
            result["scores"][name], reasons = score(task, predictions, gold)
            if reasons:
                result["undefined"][name] = reasons
            result["constant"][name] = task.kind.is_constant(predictions)
    return results


def evaluate_spans(
    classifier: Classifier, task: Task, splits: dict[str, Encoded], *, bf16: bool
) -> list[dict[str, Any]]:
    """The scores of a single replica without the adapters of every contiguous span of layers (section 3.6).

    An entry holds `first` and `last`, layers counted from 0, and `scores` by evaluation set.
    """
    entries = []
    for first in range(len(classifier.layers)):
        for last in range(first, len(classifier.layers)):
            with without_adapters(classifier.encoder, first, last):
                (result,) = evaluate(classifier, task, splits, bf16=bf16)
            entries.append({"first": first, "last": last, "scores": result["scores"]})
    return entries


def majority(task: Task, train: Encoded, splits: dict[str, Encoded]) -> dict[str, dict[str, float | None]]:
    """Scores by evaluation set of the constant answer that the training labels suggest (`Kind.constant`)."""
    train_gold = train.gold_labels
    scores = {}
    for name, split in splits.items():
        constant = task.kind.constant(train_gold, split.rows)
        scores[name], _ = score(task, constant, split.gold_labels)
    return scores
