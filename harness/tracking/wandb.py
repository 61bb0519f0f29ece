"""Weights & Biases: a run per run, under its id, in the group of its sweep."""

from __future__ import annotations

from harness.records.record import flatten
from harness.records.schema import Record
from harness.tracker_config import WandbConfig
from harness.tracking.tracker import Rows, TrackedRun

_IN_CHARTS = ("config", "training")  # parts of a record that are logged as settings and as values of steps


class RunTracker:
    """A run whose values are drawn over `step`, so that steps may be logged a second time after an interruption."""

    def __init__(self, run: TrackedRun, settings: WandbConfig) -> None:
        import wandb

        self._run = wandb.init(
            project=settings.project, entity=settings.entity, mode=settings.mode, dir=str(run.results_dir), id=run.id,
            name=run.id, group=run.group, tags=run.tags, config=dict(run.settings), resume="allow",
            reinit="create_new", settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )  # fmt: skip
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def log(self, rows: Rows) -> None:
        for step, values in rows:
            self._run.log({"step": step, **values})

    def close(self, status: str, record: Record | None) -> None:
        self._run.summary["status"] = status
        if record is not None:
            shown = {key: value for key, value in record.items() if key not in _IN_CHARTS and value is not None}
            self._run.summary.update({f"record/{name}": value for name, value in flatten(shown).items()})
        self._run.finish(exit_code=0 if status == "completed" else 1)
