"""Trackio: a run per run, under its id, in the group of its sweep."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from contextvars import Context

from harness.records.record import flatten
from harness.records.schema import Record
from harness.tracker_config import TrackioConfig
from harness.tracking.tracker import Rows, TrackedRun


class RunTracker:
    """A run of the project. An interrupted run that starts again shows its first steps twice."""

    def __init__(self, run: TrackedRun, settings: TrackioConfig) -> None:
        import trackio

        def start() -> trackio.Run:
            return trackio.init(
                settings.project, name=run.id, group=run.group, space_id=settings.space, config=dict(run.settings),
                resume="allow", embed=False, auto_log_cpu=False, auto_log_gpu=False,
            )  # fmt: skip

        # Trackio ends the run before when a run begins, which it looks up in the context.
        with redirect_stdout(io.StringIO()):
            self._run = Context().run(start)

    def log(self, rows: Rows) -> None:
        for step, values in rows:
            self._run.log(dict(values), step=step)

    def close(self, status: str, record: Record | None) -> None:
        if record is not None:
            shown = {key: value for key, value in record.items() if key != "config" and value is not None}
            self._run.log({f"record/{name}": value for name, value in flatten(shown).items()})
        self._run.log({"status": status})
        with redirect_stdout(io.StringIO()):
            self._run.finish()
