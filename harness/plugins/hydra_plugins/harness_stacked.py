"""Hydra launchers that train the jobs of a sweep as stacks of replicas, in this process (`hydra/launcher=stacked`) or
as jobs of a cluster (`submitit_slurm`, and `submitit_local` to try that on one machine).

Hydra loads this module for `--help` too: what imports torch is imported by the method that trains.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from harness.config import RunConfig
from harness.records.record import Record
from harness.sweeps.session import (
    Launch,
    Session,
    checked_configs,
    import_training,
    refuse_two_sizes,
    score_of,
)


@dataclass
class StackedConfig:
    _target_: str = "hydra_plugins.harness_stacked.StackedLauncher"
    max_stack: int | None = None
    devices: list[str] | None = None
    processes: int | None = None


@dataclass
class LocalConfig:
    """One process per stack on this machine, all at once; the names are hydra-submitit-launcher's.

    The folder's name has no job id: submitit makes such a folder after submitting, and a job that starts at once would
    die for want of a place for its log.
    """

    _target_: str = "hydra_plugins.harness_stacked.SubmititLauncher"
    cluster: str = "local"
    submitit_folder: str = "${results_dir}/jobs"
    max_stack: int | None = None
    name: str = "harness"
    timeout_min: int = 60
    cpus_per_task: int | None = None
    gpus_per_node: int | None = None
    mem_gb: float | None = None


@dataclass
class SlurmConfig(LocalConfig):
    """One Slurm job per stack. `signal_delay_s` seconds before its time is over Slurm warns a job, which writes its
    checkpoint and is queued again, up to `max_num_timeout` times.
    """

    cluster: str = "slurm"
    gpus_per_node: int | None = 1
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    array_parallelism: int = 256
    signal_delay_s: int = 90
    max_num_timeout: int = 100
    setup: list[str] | None = None
    additional_parameters: dict[str, Any] = field(default_factory=dict)


for _name, _config in (("stacked", StackedConfig), ("submitit_local", LocalConfig), ("submitit_slurm", SlurmConfig)):
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_config, provider="harness")


def _compose_each_job_once(loader: ConfigLoader) -> None:
    """Let a launcher have what the sweeper composed: sweepers compose every job to check it, and forget it (80 ms)."""
    compose, checked = loader.load_sweep_config, {}

    def load_sweep_config(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        key = tuple(sweep_overrides)
        if key in checked:
            return checked.pop(key)
        checked[key] = compose(master_config, sweep_overrides)
        return checked[key]

    loader.load_sweep_config = load_sweep_config


class _Launcher(Launcher):
    """Hydra's side of a launcher: compose the jobs, train their configs together, return each job's score."""

    config: DictConfig | None = None
    hydra_context: HydraContext | None = None
    session: Session | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.session = task_function
        _compose_each_job_once(hydra_context.config_loader)

    @abstractmethod
    def train(self, configs: list[RunConfig]) -> list[Record]:
        """Train the runs; their records, in the order of the configs."""

    @abstractmethod
    def plan(self, configs: list[RunConfig]) -> Launch:
        """What `train` would do with them."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        composed = [self._job(overrides, initial_job_idx + index) for index, overrides in enumerate(job_overrides)]
        configs = checked_configs(composed)
        refuse_two_sizes(configs, job_overrides)
        if self.session.dry_run:
            self.session.plan(self.plan(configs), self.config.hydra)
            return [_returned(overrides, job, nan) for overrides, job in zip(job_overrides, composed, strict=True)]
        import_training()
        records = self.train(configs)
        self.session.collect(records, composed[0].results_dir)
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)  # where sweepers leave their results
        return [
            _returned(overrides, job, score_of(record))
            for overrides, job, record in zip(job_overrides, composed, records, strict=True)
        ]

    def _job(self, overrides: Sequence[str], index: int) -> DictConfig:
        job = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(job):
            job.hydra.job.id = str(index)
            job.hydra.job.num = index
        return job


def _returned(overrides: Sequence[str], job: DictConfig, score: float) -> JobReturn:
    done = JobReturn(overrides=list(overrides), cfg=job, status=JobStatus.COMPLETED)
    done.return_value = score
    return done


class StackedLauncher(_Launcher):
    """Trains compatible jobs in one pass, on this machine.

    `max_stack` bounds the runs of a stack (null: 4 on a CPU, 32 on a GPU); `devices` names torch devices, each with
    processes of its own (null: all visible GPUs), and `processes` says how many (null: one, but on a CPU as many as it
    has threads, at most 8, as far as stacks and memory go).
    """

    def __init__(
        self, max_stack: int | None = None, devices: list[str] | None = None, processes: int | None = None
    ) -> None:
        self.max_stack, self._processes = max_stack, processes
        self.devices = list(devices) if devices else None

    @property
    def processes(self) -> int | None:
        """As asked for, or else what the command lets a sweep have."""
        return self.session.processes if self._processes is None and self.devices is None else self._processes

    def train(self, configs: list[RunConfig]) -> list[Record]:
        from harness.sweeps.jobs import run_all

        return run_all(configs, max_stack=self.max_stack, devices=self.devices, processes=self.processes)

    def plan(self, configs: list[RunConfig]) -> Launch:
        return Launch(configs, self.max_stack, self.devices, self.processes)


class SubmititLauncher(_Launcher):
    """Submits one job per stack through submitit and waits for them.

    `max_stack` as above (null: 32 where a job has a GPU). The other parameters are submitit's; those that only Slurm
    has are passed on as `slurm_...`.
    """

    def __init__(self, cluster: str, submitit_folder: str, max_stack: int | None = None, **parameters: Any) -> None:
        self.cluster = cluster
        self.folder = Path(submitit_folder)
        self.max_stack = max_stack
        everywhere = {item.name for item in LocalConfig.__dataclass_fields__.values()}
        self.parameters = {
            name if name in everywhere else f"slurm_{name}": value
            for name, value in parameters.items()
            if value is not None
        }

    def train(self, configs: list[RunConfig]) -> list[Record]:
        from harness.sweeps.cluster import run_on_cluster

        return run_on_cluster(
            configs, cluster=self.cluster, folder=self.folder, max_stack=self.max_stack, parameters=self.parameters
        )

    def plan(self, configs: list[RunConfig]) -> Launch:
        device_type = "cuda" if self.parameters.get("gpus_per_node") else "cpu"
        return Launch(configs, self.max_stack, cluster=self.cluster, device_type=device_type)
