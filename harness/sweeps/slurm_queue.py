"""What Slurm's queue says of jobs: submitit asks Slurm's accounting, which small clusters do not have.

Imported only where submitit is installed.
"""

from __future__ import annotations

from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

# A job in any other state, such as one that was preempted, may run again.
_ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
_FORGOTTEN = "ENDED"  # Slurm drops a job from its memory minutes after its end (MinJobAge)
_LONGEST_DELAY = 30  # seconds between two questions, of which each is a load on the controller; the first are faster


class QueueWatcher(SlurmInfoWatcher):
    """Asks `squeue` for the states of this user's jobs. Where it cannot answer, the last answer stands."""

    def _make_command(self) -> list[str] | None:
        if self._registered <= self._finished:
            return None
        return ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i %T"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        text = string if isinstance(string, str) else string.decode()
        states = dict(line.split() for line in text.splitlines() if line.strip())
        return {job: {"JobID": job, "State": states.get(job, self._last(job))} for job in self._registered}

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        return self.get_state(job_id, mode=mode) in _ENDED | {_FORGOTTEN}

    def _last(self, job: str) -> str:
        """The state of a job that the queue no longer has."""
        before = self._info_dict.get(job, {}).get("State")
        return before if before in _ENDED else _FORGOTTEN


def ask_the_queue() -> None:
    """Let submitit's jobs learn their states from the queue."""
    SlurmJob.watcher = QueueWatcher(delay_s=_LONGEST_DELAY)
