"""A Hydra launcher that trains the jobs of a sweep as stacks of replicas: `hydra/launcher=stacked`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from harness import launcher


@dataclass
class StackedLauncherConfig:
    _target_: str = "hydra_plugins.harness_stacked.StackedLauncher"
    max_stack: int | None = None
    devices: list[str] | None = None


ConfigStore.instance().store(group="hydra/launcher", name="stacked", node=StackedLauncherConfig, provider="harness")


class StackedLauncher(Launcher):
    """Receives all jobs of a sweep at once and trains compatible ones in one pass.

    `max_stack` bounds the runs of a stack (null: 8 on a CPU, 32 on a GPU), `devices` names torch devices, one
    process each (null: all visible GPUs). Each job returns its score (see `score_of`).
    """

    def __init__(self, max_stack: int | None = None, devices: list[str] | None = None) -> None:
        self.max_stack = max_stack
        self.devices = list(devices) if devices else None
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        jobs = [self._job(overrides, initial_job_idx + index) for index, overrides in enumerate(job_overrides)]
        configs = [launcher.to_config(job) for job in jobs]
        records = launcher.run_all(configs, max_stack=self.max_stack, devices=self.devices)
        returns = []
        for overrides, job, record in zip(job_overrides, jobs, records, strict=True):
            done = JobReturn(overrides=list(overrides), cfg=job, status=JobStatus.COMPLETED)
            done.return_value = launcher.score_of(record)
            returns.append(done)
        return returns

    def _job(self, overrides: Sequence[str], index: int) -> DictConfig:
        job = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(job):
            job.hydra.job.id = str(index)
            job.hydra.job.num = index
        return job
