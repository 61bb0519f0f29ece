"""Selection protocols: which split selects among runs, and which are reported."""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UserError
from harness.tasks.glue import TASKS
from harness.tasks.task import Task

HOLDOUT = "holdout"  # the selection split that the protocol of that name takes from the training rows
SELECT_APART = ("holdout", "test")  # protocols whose selection split is not reported


def task_under(protocol: str, task: Task) -> Task:
    """The task as runs of a protocol see it, and as their records carry it.

    Under `test` the validation split selects, the labelled test split is the evaluation set and nothing is predicted
    without gold labels; the other protocols leave a task as it is. `UserError` where the task lacks a split.
    """
    if protocol != "test":
        _need(protocol, task, "validation")
        return task
    if task.name in TASKS:
        raise UserError(
            f"protocol=test reports a test split with gold labels, and {task.title}'s has none; use protocol=paper or "
            "protocol=holdout"
        )
    _need(protocol, task, "validation")
    _need(protocol, task, "test")
    return replace(task, evaluation_sets=("test",), test_sets=(), selection_set="validation")


def selection_split(protocol: str, task: Task) -> str:
    """The split whose headline score selects among runs: the holdout, or the (first) validation set."""
    return HOLDOUT if protocol == "holdout" else task.selection_set or task.evaluation_sets[0]


def scored_sets(protocol: str, task: Task) -> tuple[str, ...]:
    """The splits on which a run is scored: the selection split and the evaluation sets."""
    selecting = selection_split(protocol, task)
    return task.evaluation_sets if selecting in task.evaluation_sets else (selecting, *task.evaluation_sets)


def _need(protocol: str, task: Task, split: str) -> None:
    """`UserError` if a task with rows of its own, or without any test set, has no such split."""
    if split == "test" and task.kind.name == "span":
        raise UserError(f"protocol={protocol} needs a test split with gold answers, and {task.title} has none; use "
                        "protocol=paper or protocol=holdout")  # fmt: skip
    if task.reading is None or task.reading.has(split):
        return
    instead = ", or use protocol=paper or protocol=holdout" if split == "test" else ""
    remedy = "" if task.reading.is_whole else f"task.files.{split}, or "
    raise UserError(
        f"protocol={protocol} needs a {split} split, and task {task.name} has none; give {remedy}"
        f"task.split.{split}=0.1, which takes it from the training rows{instead}"
    )
