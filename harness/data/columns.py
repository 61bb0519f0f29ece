"""The columns that every source delivers: sentence1[, sentence2], label, idx; for spans also id and article."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, List, Value

from harness.tasks.span import Gold, objects
from harness.tasks.task import Task

# The type of the gold labels in a data set, by kind of task.
LABEL_FEATURES: dict[str, Callable[[Task], Any]] = {
    "classification": lambda task: ClassLabel(names=list(task.kind.labels)),
    "regression": lambda task: Value("float32"),
    "span": lambda task: {"text": List(Value("string")), "start": List(Value("int32"))},
}
# Columns of one kind of task only: what the official evaluation calls a question, and what is held out as a whole.
MORE_FEATURES: dict[str, dict[str, Any]] = {"span": {"id": Value("string"), "article": Value("string")}}


def features(task: Task) -> Features:
    """The schema of a task's rows: texts, gold label, and the row's number `idx`.

    A gold label is a class, a float32 score, or the texts and first characters of the gold answers.
    """
    texts = {column: Value("string") for column in task.columns}
    more = MORE_FEATURES.get(task.kind.name, {})
    return Features({**texts, "label": LABEL_FEATURES[task.kind.name](task), "idx": Value("int32"), **more})


def gold_of(rows: Dataset, task: Task) -> np.ndarray:
    """The gold labels of rows with these columns, `[N]`: class ids, scores, or `harness.tasks.span.Gold`."""
    if task.kind.name != "span":
        return np.asarray(rows["label"])
    return objects(Gold(id, tuple(label["text"])) for id, label in zip(rows["id"], rows["label"], strict=True))
