"""Sweeps on a cluster: each stack is one job, submitted and watched by submitit (Slurm, or processes here)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.errors import UserError
from harness.records.record import Record, read_record
from harness.sweeps import jobs
from harness.sweeps.progress import Progress
from harness.sweeps.resolve import Run, resolve
from harness.sweeps.sweep import MAX_STACK, Sweep

_POLL_SECONDS = 1.0


def run_on_cluster(
    configs: Sequence[RunConfig], *, cluster: str, folder: Path, max_stack: int | None, parameters: Mapping[str, Any]
) -> list[Record]:
    """Submit what is not finished, one job a stack, and wait; the records of all configs, in their order.

    `cluster` is submitit's name of the engine (`slurm`, `local`), `parameters` go to its `update_parameters`.
    The results folder must be one that the jobs see too. Jobs outlive this process: started again while they are
    queued, it submits their stacks a second time, and whichever comes later finds the runs finished.
    """
    try:
        executor = _submitit().AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**parameters)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"hydra/launcher=submitit_{cluster}: {' '.join(str(error).split())}") from error
    wanted = resolve(configs, here=False)
    device = "cuda" if parameters.get("gpus_per_node") else "cpu"
    sweep = jobs.planned(wanted, max_stack=max_stack or MAX_STACK[device], devices=["cpu"])
    stacks = [stack for stack in sweep.stacks if sweep.open(stack)]
    print(f"{len(sweep.open())} runs to do in {len(stacks)} jobs on {cluster}; their logs: {folder}")
    with executor.batch():
        submitted = [executor.submit(_Work([run.config for run in stack], sweep.limit)) for stack in stacks]
    _watch(sweep, submitted, stacks)
    return jobs.noted(wanted, [read_record(sweep.results_dir, run.id) or _lost(run) for run in sweep.runs])


class _Work:
    """What a job does. submitit calls `checkpoint` where the cluster takes the node away: the job is queued again."""

    def __init__(self, configs: list[RunConfig], max_stack: int) -> None:
        self.configs, self.max_stack = configs, max_stack

    def __call__(self) -> None:
        jobs.run_all(self.configs, max_stack=self.max_stack)

    def checkpoint(self) -> Any:
        return _submitit().helpers.DelayedSubmission(_Work(self.configs, self.max_stack))


def _watch(sweep: Sweep, jobs: Sequence[Any], stacks: Sequence[list[Run]]) -> None:
    """Until every job has ended, tell which runs have finished."""
    waiting = dict(zip(jobs, stacks, strict=True))
    with Progress([run.id for run in sweep.open()]) as progress:
        while waiting:
            time.sleep(_POLL_SECONDS)
            ended = [job for job in waiting if job.done()]
            for job in ended:
                stack = waiting.pop(job)
                progress.finish([read_record(sweep.results_dir, run.id) or _lost(run) for run in stack])
                error = job.exception()
                if error is not None:
                    progress.say(f"job {job.job_id} ended with an error; its log: {job.paths.stderr}")


def _lost(run: Run) -> Record:
    return run.record("failed", error="its job ended without a record; see the job's log")


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError("hydra/launcher=submitit_... needs submitit: pip install 'harness[cluster]'") from error
    return submitit
