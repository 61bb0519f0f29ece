"""Selection protocols: which rows choose among the runs of a sweep, and which are reported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.records.record import Record, canonical, task_of
from harness.tasks.protocols import HOLDOUT, choosing_set

if TYPE_CHECKING:  # the reporting side never loads it
    pass


def chosen_on(record: Record) -> str:
    """The evaluation set that chooses among runs like this one."""
    return choosing_set(record["config"]["protocol"]["name"], task_of(record))


def choice_score(record: Record) -> float | None:
    """Headline score on the rows that choose (never on others); None where it is undefined or not reached."""
    headline = task_of(record).headline
    return record.get("scores", {}).get(chosen_on(record), {}).get(headline)


def choosing_rows(record: Record) -> str:
    """Equal for runs of a task whose choice scores are of the same rows, and so can be compared."""
    data, protocol = record["config"]["data"], record["config"]["protocol"]
    if chosen_on(record) == HOLDOUT:
        drawn = {"protocol": protocol, "max_train_rows": data["max_train_rows"]}
    else:
        drawn = {"max_eval_rows": data["max_eval_rows"]}
    return canonical([record["data"]["fingerprint"], chosen_on(record), drawn])


def by_choice(record: Record) -> tuple[bool, float, int, str]:
    """Sort key of runs, best first: undefined scores last, ties to fewer trained parameters, then to the run id."""
    score = choice_score(record)
    return score is None, -(score or 0.0), record["parameters"]["trained"], record["run_id"]


def best_run(runs: Sequence[Record], *, where: Path, remedy: str) -> Record:
    """The first of these runs of one task `by_choice`; `UserError` where their choice scores cannot be compared."""
    if len({choosing_rows(run) for run in runs}) > 1:
        protocols = ", ".join(sorted({run["config"]["protocol"]["name"] for run in runs}))
        raise UserError(
            f"the runs of {task_of(runs[0]).title} in {where} were chosen on different rows (protocols {protocols}, or "
            f"other row limits or data); {remedy}"
        )
    return min(runs, key=by_choice)
