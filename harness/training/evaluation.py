"""Scores of a trained stack on its evaluation sets, whole and without some of its adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.data.batches import Encoded
from harness.model.adapter import without_adapters
from harness.model.classifier import Classifier
from harness.tasks.task import Task
from harness.training.loop import predict


def evaluate(
    classifier: Classifier, task: Task, splits: dict[str, Encoded], *, bf16: bool, max_tokens: int | None = None
) -> list[dict[str, dict[str, Any]]]:
    """For each replica, by the names of `splits`: `scores`, `undefined`, `constant` (whether all predictions are one),
    `finite` (whether the outputs are) and, where they are, `predictions [N]`. `max_tokens` is that of `predict`.
    """
    results = [no_results() for _ in range(classifier.replicas)]
    for name, split in splits.items():
        gold = split.gold_labels
        outputs = predict(classifier, split, bf16=bf16, max_tokens=max_tokens)
        for result, logits in zip(results, outputs, strict=True):
            if np.isfinite(logits).all():
                enter_scores(result, task, name, split.answers(task.kind, logits), gold)
                continue
            result["finite"][name] = False
            result["scores"][name] = dict.fromkeys(task.metrics)
            result["undefined"][name] = dict.fromkeys(task.metrics, "the outputs are not finite")
            result["constant"][name] = True
    return results


def no_results() -> dict[str, dict[str, Any]]:
    """What `evaluate` finds for a replica, before any split is scored."""
    return {name: {} for name in ("scores", "undefined", "constant", "finite", "predictions")}


def enter_scores(
    result: dict[str, dict[str, Any]], task: Task, name: str, predictions: np.ndarray, gold: np.ndarray
) -> None:
    """Score the answers `[N]` to the rows of one split, and enter them under its name."""
    result["finite"][name] = True
    result["predictions"][name] = predictions
    from harness.training.evaluate_metrics import score  # `evaluate` takes 0.6 s to import, which only scores need

    result["scores"][name], reasons = score(task, predictions, gold)
    if reasons:
        result["undefined"][name] = reasons
    result["constant"][name] = task.kind.is_constant(predictions)


def evaluate_spans(
    classifier: Classifier, task: Task, splits: dict[str, Encoded], *, bf16: bool, max_tokens: int | None = None
) -> list[dict[str, Any]]:
    """The scores of a single replica without the adapters of every contiguous span of layers (section 3.6).

    An entry holds `first` and `last`, layers counted from 0, and `scores` by evaluation set.
    """
    entries = []
    for first in range(len(classifier.layers)):
        for last in range(first, len(classifier.layers)):
            with without_adapters(classifier.encoder, first, last):
                (result,) = evaluate(classifier, task, splits, bf16=bf16, max_tokens=max_tokens)
            entries.append({"first": first, "last": last, "scores": result["scores"]})
    return entries


def majority(task: Task, train_gold: np.ndarray, gold: Mapping[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """Scores by evaluation set of the constant answer that the training labels `[N]` suggest (`Kind.constant`).

    `gold` holds the gold labels `[N]` by evaluation set.
    """
    from harness.training.evaluate_metrics import score  # as above

    return {name: score(task, task.kind.constant(train_gold, len(values)), values)[0] for name, values in gold.items()}
