"""How runs of a task rank: by their headline score on the selection split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.records.record import Record, canonical, task_of
from harness.tasks.protocols import HOLDOUT, selection_split


def chosen_on(record: Record) -> str:
    """The selection split of a run."""
    return selection_split(record["config"]["protocol"]["name"], task_of(record))


def choice_score(record: Record) -> float | None:
    """The headline score on the selection split (never on another); None where it is undefined or was not reached."""
    task = task_of(record)
    split = selection_split(record["config"]["protocol"]["name"], task)
    return record.get("scores", {}).get(split, {}).get(task.headline)


def selection_rows(record: Record) -> str:
    """Equal for runs of a task whose selection splits hold the same rows, so that their scores can be compared."""
    data, protocol = record["config"]["data"], record["config"]["protocol"]
    if chosen_on(record) == HOLDOUT:
        drawn = {"protocol": protocol, "max_train_rows": data["max_train_rows"]}
    else:
        drawn = {"max_eval_rows": data["max_eval_rows"]}
    return canonical([record["data"]["fingerprint"], chosen_on(record), drawn])


def by_choice(record: Record) -> tuple[bool, float, int, str]:
    """Sort key, best run first: undefined scores come last, ties go to fewer trained parameters, then to the run id."""
    score = choice_score(record)
    return score is None, -(score or 0.0), record["parameters"]["trained"], record["run_id"]


def best_run(runs: Sequence[Record], *, where: Path, remedy: str) -> Record:
    """The first by `by_choice` of these runs of one task; `UserError` if their selection splits hold different rows."""
    if len({selection_rows(run) for run in runs}) > 1:
        protocols = ", ".join(sorted({run["config"]["protocol"]["name"] for run in runs}))
        raise UserError(
            f"the runs of {task_of(runs[0]).title} in {where} were chosen on different rows (protocols {protocols}, or "
            f"other row limits or data); {remedy}"
        )
    return min(runs, key=by_choice)
