"""What a job of a cluster does. Loading it takes no torch: before submitit has loaded it, a warning ends the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.config import RunConfig
from harness.interrupts import SIGNALS, Stopped
from harness.sweeps.command import as_typed


@dataclass(frozen=True)
class ClusterJob:
    """Trains the runs of these configs in stacks of at most `max_stack`, as the command with these arguments does.

    submitit calls `checkpoint` when the cluster takes the node away: the job is queued again, and goes on from the
    checkpoint that the stack has written at that signal (`Signals.handled` puts it first).
    """

    configs: Sequence[RunConfig]
    max_stack: int
    arguments: Sequence[str]

    def __call__(self) -> None:
        from harness.sweeps import jobs

        try:
            # Records name the command that was typed, not submitit's.
            with as_typed(self.arguments), SIGNALS.handled():
                jobs.run_all(self.configs, max_stack=self.max_stack)
        except Stopped as stopped:  # submitit's handler does not queue the job again, and says why
            raise stopped.__cause__ from None

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
