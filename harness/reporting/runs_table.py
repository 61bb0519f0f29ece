"""One row per run of any status, with every key of its record: `runs.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from harness.records.choice import choice_score
from harness.records.record import canonical, flatten, task_of
from harness.reporting.groups import Group
from harness.reporting.method_variant import SIZE, MethodVariant

# Columns that have a name of their own; every other one is the dotted name of its record key.
SHORT_NAMES = {
    "config.task.name": "task",
    "config.method.name": "method",
    f"config.method.{SIZE}": SIZE,
    "config.train.learning_rate": "learning_rate",
    "config.train.epochs": "epochs",
    "config.train.seed": "seed",
    "parameters.trained": "trained",
    "parameters.trained_fraction": "trained_fraction",
}
LEFT_OUT = ("training.history", "training.stack", "grid.tried", "parameters.groups.")  # not one value per run
FIRST = ("run_id", "status", "degenerate", "group", "label", *SHORT_NAMES.values(), "headline", "score", "choice_score")


def runs_table(groups: Iterable[Group]) -> pd.DataFrame:
    """One row per run of any status, flat columns: what it is, its score, then every key of its record. A run without
    an encoder has one in each group.

    `score` is the headline metric on the task's first evaluation set in the metric's own range, `choice_score` that
    on the selection split; `group` and `label` are the section and the row that the run belongs to.
    """
    rows = []
    for group in groups:
        for record in group.records:
            task = task_of(record)
            flat = {SHORT_NAMES.get(name, name): value for name, value in flatten(record).items()}
            own = {
                "group": group.title,
                "label": group.labels[MethodVariant.of(record["config"]["method"])],
                "headline": task.headline,
                "score": flat.get(f"scores.{task.evaluation_sets[0]}.{task.headline}"),
                "choice_score": choice_score(record),
            }
            row = dict.fromkeys(FIRST) | flat | own
            rows.append({name: _cell(value) for name, value in row.items() if not name.startswith(LEFT_OUT)})
    return to_frame(rows)


def _cell(value: Any) -> Any:
    """One value per cell: lists as JSON."""
    return canonical(value) if isinstance(value, list) else value


def to_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a frame in which whole numbers stay whole next to missing ones (`64`, not `64.0`, in a CSV)."""
    frame = pd.DataFrame(rows)

    def is_whole(name: str) -> bool:
        found = [row[name] for row in rows if row.get(name) is not None]
        return bool(found) and all(isinstance(value, int) and not isinstance(value, bool) for value in found)

    return frame.astype({name: "Int64" for name in frame if is_whole(name)})
