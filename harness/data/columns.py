"""The columns that every source delivers: sentence1[, sentence2], label, idx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasets import ClassLabel, Features, Value

from harness.tasks.task import Task

# The type of the gold labels in a data set, by kind of task.
LABEL_FEATURES: dict[str, Callable[[Task], Any]] = {
    "classification": lambda task: ClassLabel(names=list(task.kind.labels)),
    "regression": lambda task: Value("float32"),
}


def features(task: Task) -> Features:
    """The schema of a task's rows: texts, gold label (a class or a float32 score), and the row's number `idx`."""
    texts = {column: Value("string") for column in task.columns}
    return Features({**texts, "label": LABEL_FEATURES[task.kind.name](task), "idx": Value("int32")})
