"""Sweeps on a cluster: each stack is one job, submitted and watched by submitit (Slurm, or local processes)."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from harness.config import RunConfig
from harness.errors import UserError
from harness.records.record import Record, read_record, write_record
from harness.sweeps import jobs
from harness.sweeps.cluster_job import ClusterJob
from harness.sweeps.locks import RunLocks
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run, resolve
from harness.sweeps.sweep import Sweep
from harness.training.device import has_bf16

_POLL_SECONDS = 1.0
_OF_EXECUTOR = {"slurm_max_num_timeout"}  # a parameter of submitit's executor, not of its jobs
# Words of Slurm's refusals and the launcher's option to change. The order counts: "Invalid account or
# account/partition combination" is about the account.
_OPTIONS = {
    "invalid account": "account",
    "partition": "partition",
    "generic resource": "gpus_per_node",
    "gres": "gpus_per_node",
    "qos": "qos",
    "feature": "constraint",
    "node name": "exclude",
    "time limit": "timeout_min",
    "memory": "mem_gb",
    "cpu count": "cpus_per_task",
    "processors": "cpus_per_task",
    "node configuration": "gpus_per_node, cpus_per_task or mem_gb",
}


def run_on_cluster(
    configs: Sequence[RunConfig], *, cluster: str, folder: Path, max_stack: int | None, parameters: Mapping[str, Any]
) -> list[Record]:
    """Submit what is not finished, one job per stack, and wait; the records of all configs, in their order.

    `cluster` is submitit's name of the engine (`slurm`, `local`), `parameters` go to its `update_parameters`.
    The results folder must be visible to the jobs. Jobs outlive this process: if the same command starts again while
    they are queued, their stacks are submitted a second time, and the later jobs find the runs finished.

    Raises `UserError` for parameters that submitit or the cluster refuses.
    """
    try:
        of_jobs = dict(parameters)
        of_executor = {name: of_jobs.pop(name) for name in _OF_EXECUTOR & of_jobs.keys()}
        executor = _submitit().AutoExecutor(folder=folder, cluster=cluster, **of_executor)
        executor.update_parameters(**of_jobs)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"hydra/launcher=submitit_{cluster}: {' '.join(str(error).split())}") from error
    device = "cuda" if parameters.get("gpus_per_node") else "cpu"
    wanted = resolve([pin_precision(config, device) for config in configs], here=False)
    sweep = jobs.prepare_sweep(wanted, max_stack=max_stack, devices=[device])
    stacks = [stack for stack in sweep.stacks if sweep.open(stack)]
    todo, into = counted(len(sweep.open()), "run"), counted(len(stacks), "job")
    if cluster == "slurm":
        from harness.sweeps.slurm_queue import ask_the_queue

        ask_the_queue()
    works = [ClusterJob([run.config for run in stack], sweep.limit, sys.argv[1:]) for stack in stacks]
    submitted = _submit(executor, works, cluster)
    names = f" ({', '.join(job.job_id for job in submitted)})" if submitted else ""
    print(f"{todo} to do in {into} on {cluster}{names}; their logs: {folder}", flush=True)
    _watch(sweep, submitted, stacks)
    return jobs.in_order(
        wanted, [read_record(sweep.results_dir, run.id) or run.record("failed", error="lost") for run in sweep.runs]
    )


def pin_precision(config: RunConfig, device: str) -> RunConfig:
    """The config with the precision in which its job is to compute: the run id covers it, before any job has started.

    `auto` is bf16 for jobs on a GPU; for jobs on a CPU it is what this machine has.
    """
    if config.train.precision != "auto":
        return config
    has_it = device == "cuda" or has_bf16(torch.device("cpu"))
    return replace(config, train=replace(config.train, precision="bf16" if has_it else "fp32"))


def _submit(executor: Any, works: Sequence[ClusterJob], cluster: str) -> list[Any]:
    """The jobs of these works; `UserError` with the cluster's own words where it refuses them."""
    submitit = _submitit()
    try:
        with redirect_stderr(io.StringIO()), executor.batch():  # submitit prints what it then raises
            return [executor.submit(work) for work in works]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, FileNotFoundError) as error:
        words = " ".join(str(error).split())
        raise UserError(
            f"hydra/launcher=submitit_{cluster}: the jobs were refused ({words}); {remedy(words)}"
        ) from error


def remedy(words: str) -> str:
    """Which option of the launcher to change for that refusal."""
    for part, option in _OPTIONS.items():
        if part in words.lower():
            return f"change hydra.launcher.{option}"
    return "change the options of hydra.launcher (--cfg hydra shows them) or try again"


def _watch(sweep: Sweep, submitted: Sequence[Any], stacks: Sequence[list[Run]]) -> None:
    """Report which runs have finished, until every job has ended."""
    waiting, ended = dict(zip(submitted, stacks, strict=True)), {}
    with sweep.progress() as progress, RunLocks(sweep.results_dir) as locks:
        while waiting:
            time.sleep(_POLL_SECONDS)
            ended |= {job: job.exception() for job in waiting.keys() - ended.keys() if job.done()}
            for job in [job for job in waiting if job in ended]:
                how = _end_of(job, ended[job])
                records = _settled(sweep.results_dir, waiting[job], how, locks)
                if records is None:
                    locks.tell_holders((run.id for run in waiting[job]), progress.say)
                    continue
                del waiting[job]
                progress.finish(records)
                if ended[job] is not None:
                    progress.say(how)


def _end_of(job: Any, error: Exception | None) -> str:
    """How a job has ended, for the runs that it left open."""
    if error is None:
        what = "without a record"
    elif isinstance(error, _submitit().core.utils.FailedJobError):
        what = "with an error"
    else:
        what = f"without a result ({job.state.lower()})"
    return f"job {job.job_id} ended {what}; its log: {job.paths.stderr}"


def _settled(results_dir: Path, stack: Sequence[Run], how: str, locks: RunLocks) -> list[Record] | None:
    """The records of a stack whose job has ended: what it left open has failed. None while somebody holds such a run:
    another sweep, or the process of the job, which is known to be dead two minutes later if it was on another host.
    """
    left = [run for run in stack if _is_open(read_record(results_dir, run.id))]
    with locks.hold(run.id for run in left) as held:
        if not held:
            return None
        for run in left:
            if _is_open(read_record(results_dir, run.id)):
                write_record(results_dir, run.record("failed", error=how))
    return [read_record(results_dir, run.id) for run in stack]


def _is_open(record: Record | None) -> bool:
    return record is None or record["status"] == "running"


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError("hydra/launcher=submitit_... needs submitit: pip install submitit") from error
    return submitit
