"""Every score on a line of its own, for pandas, seaborn and R: `tables/scores_long.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from harness.reporting.bootstrap import Bootstrap
from harness.reporting.candidates import Cell, Score
from harness.reporting.groups import Group
from harness.reporting.runs_table import to_frame
from harness.reporting.scores import Scores
from harness.tasks.task import Task

MAJORITY = "majority"


def long_frame(boards: Sequence[Scores], bootstrap: Bootstrap) -> pd.DataFrame:
    """One line per task, evaluation set, method variant and metric, in points.

    `mean`, `std` and `n` are over the seeds of the chosen config; `low` and `high` bound the headline metric over the
    evaluation rows. `method`, `size` and `label` name the variant; `is_best_size` is set for the size that was chosen
    for the task. The constant baseline is the method `majority`.
    """
    return to_frame([line for scores in boards for line in _lines(scores, bootstrap)])


def _lines(scores: Scores, bootstrap: Bootstrap) -> Iterator[dict[str, Any]]:
    group = scores.group
    best = [cell for family in group.families for cell in group.best_size(family).values()]
    for task in group.tasks:
        yield from _majority(scores, task)
        for cell in group.row_cells(task.name):
            if cell.chosen is not None:
                yield from _of_cell(group, cell, bootstrap, is_best=any(cell is one for one in best))


def _about(group: Group, task: Task, evaluation_set: str, metric: str) -> dict[str, Any]:
    key = group.key
    return {
        "group": group.title,
        "source": key.source,
        "is_glue": key.is_glue,
        "protocol": group.protocol["name"],
        "task": task.name,
        "evaluation_set": evaluation_set,
        "metric": metric,
        "is_headline": metric == task.headline,
    }


def _majority(scores: Scores, task: Task) -> Iterator[dict[str, Any]]:
    for column in scores.columns:
        points = scores.majority.points(column)
        if column.task.name == task.name and points is not None:
            about = _about(scores.group, task, column.evaluation_set, task.headline)
            yield about | {"method": MAJORITY, "size": None, "label": scores.majority.label, "mean": points}


def _of_cell(group: Group, cell: Cell, bootstrap: Bootstrap, *, is_best: bool) -> Iterator[dict[str, Any]]:
    chosen, task, size = cell.chosen, cell.task, cell.method.size
    for evaluation_set in task.evaluation_sets:
        bounds = bootstrap.interval(chosen, evaluation_set) or (None, None)
        for metric in task.metrics:
            values = [record["scores"].get(evaluation_set, {}).get(metric) for record in chosen.completed]
            score = Score.of([None if value is None else 100 * value for value in values])
            low, high = bounds if metric == task.headline else (None, None)
            yield _about(group, task, evaluation_set, metric) | {
                "method": cell.method.name,
                "size": size,
                "label": group.label_of(cell),
                "mean": score.mean,
                "std": score.std,
                "n": score.seeds,
                "low": low,
                "high": high,
                "is_best_size": None if size is None else is_best,
                "degenerate": chosen.degenerate,
                "trained_percent": None if chosen.trained_fraction is None else 100 * chosen.trained_fraction,
                "learning_rate": chosen.learning_rate,
                "epochs": chosen.epochs,
            }
