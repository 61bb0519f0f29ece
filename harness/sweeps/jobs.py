"""From Hydra's jobs to a sweep and back: what the launchers and a single command share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config import RunConfig
from harness.errors import UserError
from harness.records.choice import choice_score
from harness.records.record import Record, prepare_results_dir, write_plan
from harness.sweeps.hydra_errors import unknown_key
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run, resolve
from harness.sweeps.sweep import Sweep


class Session:
    """One command: the task function that Hydra calls for a job and hands to launchers, and what its jobs came to.

    `records` holds the record of every run that was asked for, by id, and `results_dir` the folder where they lie;
    `refused` the errors of single jobs.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.results_dir = ""
        self.refused: list[Exception] = []

    def __call__(self, job: DictConfig) -> float:
        """Train one job: a single run, or one of a sweep under a launcher that is not ours."""
        try:
            records = run_all([to_config(job)])
        except (UserError, OmegaConfBaseException) as error:
            self.refused.append(error)  # raised here, Hydra would print its overrides first
            return float("nan")
        self.collect(records, job.results_dir)
        return score_of(records[0])

    def collect(self, records: Iterable[Record], results_dir: str) -> None:
        """Keep these records for the exit status and for what is said at the end."""
        self.results_dir = results_dir
        self.records |= {record["run_id"]: record for record in records}

    @property
    def failures(self) -> list[Record]:
        return [record for record in self.records.values() if record["status"] != "completed"]


def register_launchers() -> None:
    """Make our launchers known to Hydra, which looks for plugins in the namespace `hydra_plugins` only."""
    folder = str(Path(__file__).parents[1] / "plugins")
    if folder not in sys.path:
        sys.path.append(folder)
    plugin = importlib.import_module("hydra_plugins.harness_stacked")
    for launcher in (plugin.StackedLauncher, plugin.SubmititLauncher):
        Plugins.instance().register(launcher)


def to_config(job: DictConfig) -> RunConfig:
    """The run's own part of a composed job config, as dataclasses.

    Raises `UserError` for a key that was added with a plus and that nothing reads.
    """
    _refuse_unknown_keys(job)
    parts = {item.name: job[item.name] for item in fields(RunConfig)}
    return RunConfig(
        **{name: OmegaConf.to_object(part) if OmegaConf.is_config(part) else part for name, part in parts.items()}
    )


def _refuse_unknown_keys(job: DictConfig) -> None:
    """Hydra lets `+key=value` past a schema; fields of type dict, such as `method.options`, take any key."""
    sections = {"": RunConfig}
    for item in fields(RunConfig):
        if OmegaConf.is_config(job[item.name]):
            sections[item.name] = OmegaConf.get_type(job, item.name)
    for section, schema in sections.items():
        known = [item.name for item in fields(schema)]
        part = job[section] if section else job
        for name in part:
            if name not in known and (section, name) != ("", "hydra"):
                raise UserError(unknown_key(f"{section}.{name}".lstrip("."), known))


def run_all(
    configs: Sequence[RunConfig], *, max_stack: int | None = None, devices: list[str] | None = None
) -> list[Record]:
    """Check all configs, then train what is not finished; their records, in their order."""
    wanted = resolve(configs)
    sweep = prepare_sweep(wanted, max_stack=max_stack, devices=devices)
    announce(sweep)
    return in_order(wanted, sweep.work())


def prepare_sweep(wanted: Sequence[Run], *, max_stack: int | None, devices: list[str] | None) -> Sweep:
    """A sweep over the different ones of these runs; makes its results folder and writes its plan there."""
    results_dir = wanted[0].config.results_dir
    runs = list({run.id: run for run in wanted}.values())
    prepare_results_dir(results_dir)
    sweep = Sweep(runs, results_dir=results_dir, max_stack=max_stack, devices=devices)
    write_plan(results_dir, [run.id for run in runs])
    return sweep


def in_order(wanted: Sequence[Run], records: Iterable[Record]) -> list[Record]:
    """The records of these runs, one for each, in their order."""
    by_id = {record["run_id"]: record for record in records}
    return [by_id[run.id] for run in wanted]


def announce(sweep: Sweep) -> None:
    """Say what is going to be done: runs, data, encoder, device, folder."""
    first: Run = sweep.runs[0]
    opened = len(sweep.open())
    tasks = list(dict.fromkeys(run.task.title for run in sweep.runs))
    methods = list(dict.fromkeys(run.config.method.name for run in sweep.runs))
    stacks = sum(bool(sweep.open(stack)) for stack in sweep.stacks)
    done = len(sweep.runs) - opened
    print(
        f"{counted(opened, 'run')} to do in {counted(stacks, 'stack')}"
        + (f" ({done} of {len(sweep.runs)} are done)" if done else "")
        + f": {', '.join(tasks)}; method {', '.join(methods)}"
    )
    print(f"data: {first.data.name} ({first.data.why}){'' if first.data.is_glue else ' - NOT GLUE'}")
    device = ", ".join(sweep.devices)
    print(f"encoder: {first.checkpoint.title} | device: {device} | records: {sweep.results_dir}/runs", flush=True)


def score_of(record: Record) -> float:
    """What a sweeper sees: the score on the selection split; NaN where there is none."""
    score = choice_score(record)
    return float("nan") if score is None else score
