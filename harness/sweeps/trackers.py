"""The runs of a stack as their trackers see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.records.record import canonical, flatten
from harness.sweeps.resolve import Run
from harness.tracking.stack_tracking import Tracking
from harness.tracking.tracker import TrackedRun


def tracking_of(runs: Sequence[Run]) -> Tracking:
    """The trackers of these runs, which share their settings."""
    return Tracking([_tracked(run) for run in runs], runs[0].config.tracker)


def _tracked(run: Run) -> TrackedRun:
    config, has_encoder = run.config, run.checkpoint is not None
    settings = {
        name: value if isinstance(value, str | int | float | bool) else canonical(value)
        for name, value in flatten(run.identity).items()
        if value is not None
    }
    return TrackedRun(
        id=run.id,
        group=config.tracker.group or Path(config.results_dir).absolute().name,
        results_dir=Path(config.results_dir),
        settings=settings,
        learning_rate=config.train.learning_rate if has_encoder else None,
        batch_size=config.train.batch_size if has_encoder else None,
    )
