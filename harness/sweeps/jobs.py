"""From Hydra's jobs to a sweep and back: what the launcher and a single command share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from harness.config import RunConfig
from harness.records.choice import choice_score
from harness.records.record import Record, prepare_results_dir, write_plan
from harness.sweeps.resolve import Run, resolve
from harness.sweeps.sweep import Sweep

# The records of all runs that this process was asked for: the exit code and the closing list of failures.
RECORDS: list[Record] = []


def register_launchers() -> None:
    """Make our launchers known to Hydra, which looks for plugins in the namespace `hydra_plugins` only."""
    sys.path.append(str(Path(__file__).parents[1] / "plugins"))
    plugin = importlib.import_module("hydra_plugins.harness_stacked")
    for launcher in (plugin.StackedLauncher, plugin.SubmititLauncher):
        Plugins.instance().register(launcher)


def to_config(job: DictConfig) -> RunConfig:
    """The run's own part of a composed job config, as dataclasses."""
    parts = {item.name: job[item.name] for item in fields(RunConfig)}
    return RunConfig(
        **{name: OmegaConf.to_object(part) if OmegaConf.is_config(part) else part for name, part in parts.items()}
    )


def run_all(
    configs: Sequence[RunConfig],
    *,
    max_stack: int | None = None,
    devices: list[str] | None = None,
) -> list[Record]:
    """Check all configs, then train what is not finished; their records, in their order."""
    wanted = resolve(configs)
    sweep = planned(wanted, max_stack=max_stack, devices=devices)
    announce(sweep)
    return noted(wanted, sweep.work())


def planned(wanted: Sequence[Run], *, max_stack: int | None, devices: list[str] | None) -> Sweep:
    """A sweep over the different ones of these runs, noted in their results folder, which is made ready."""
    results_dir = wanted[0].config.results_dir
    runs = list({run.id: run for run in wanted}.values())
    prepare_results_dir(results_dir)
    sweep = Sweep(runs, results_dir=results_dir, max_stack=max_stack, devices=devices)
    write_plan(results_dir, [run.id for run in runs])
    return sweep


def noted(wanted: Sequence[Run], records: Sequence[Record]) -> list[Record]:
    """The records of these runs, in their order; all are kept for the exit status."""
    by_id = {record["run_id"]: record for record in records}
    RECORDS.extend(by_id.values())
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
        f"{opened} runs to do in {stacks} passes" + (f" ({done} of {len(sweep.runs)} are done)" if done else "")
        + f": {', '.join(tasks)}; method {', '.join(methods)}"
    )  # fmt: skip
    print(f"data: {first.data.name} ({first.data.why}){'' if first.data.is_glue else ' - NOT GLUE'}")
    print(f"encoder: {first.checkpoint.title} | device: {', '.join(sweep.devices)} | records: {sweep.results_dir}/runs")


def score_of(record: Record) -> float:
    """What a sweeper sees: the score on the rows that choose; NaN where there is none."""
    score = choice_score(record)
    return float("nan") if score is None else score
