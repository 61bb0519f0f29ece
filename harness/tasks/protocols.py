"""Selection protocols: which split selects among runs, and which are reported."""

from __future__ import annotations

from harness.tasks.task import Task

HOLDOUT = "holdout"  # the selection split that the protocol of that name takes from the training rows


def selection_split(protocol: str, task: Task) -> str:
    """The split whose headline score selects among runs: the holdout, or the first official validation set."""
    return HOLDOUT if protocol == "holdout" else task.evaluation_sets[0]


def scored_sets(protocol: str, task: Task) -> tuple[str, ...]:
    """The splits on which a run is scored: the selection split and the evaluation sets."""
    return (HOLDOUT, *task.evaluation_sets) if protocol == "holdout" else task.evaluation_sets
