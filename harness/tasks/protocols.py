"""Selection protocols: which split chooses among runs, and which are reported."""

from __future__ import annotations

from harness.tasks.task import Task

HOLDOUT = "holdout"  # the split that the protocol of that name takes from the training rows


def choosing_set(protocol: str, task: Task) -> str:
    """The evaluation set whose headline score chooses: the holdout, or the first official validation set."""
    return HOLDOUT if protocol == "holdout" else task.evaluation_sets[0]


def scored_sets(protocol: str, task: Task) -> tuple[str, ...]:
    """The evaluation sets on which a run is scored."""
    return (HOLDOUT, *task.evaluation_sets) if protocol == "holdout" else task.evaluation_sets
