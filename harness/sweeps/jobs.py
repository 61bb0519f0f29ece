"""From configs to a sweep and back to records: what the launchers and a single command share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from harness.config import RunConfig
from harness.records.record import Record, prepare_results_dir, write_plan
from harness.sweeps.expectation import StackNeeds
from harness.sweeps.fit import fit, largest_first, parts, place
from harness.sweeps.placement import devices_title, most_processes
from harness.sweeps.precision_lines import precision_lines
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run, budget_lines, resolve
from harness.sweeps.sweep import Sweep
from harness.sweeps.workers import start_server


def run_all(
    configs: Sequence[RunConfig],
    *,
    max_stack: int | None = None,
    devices: list[str] | None = None,
    processes: int | None = None,
) -> list[Record]:
    """Check all configs, then train what is not finished; their records, in their order.

    `processes` share each device (None: see `fit.place`; one each where `devices` are given).
    """
    wanted = resolve(configs)
    sweep = prepare_sweep(wanted, max_stack=max_stack, devices=devices)
    opened = [stack for stack in map(sweep.open, sweep.stacks) if stack]
    needs = StackNeeds(torch.device(sweep.devices[0]))
    if devices is None or processes is not None:
        if len(opened) > 1 and most_processes(processes, sweep.devices[0]) > 1:
            start_server()  # which imports while this process looks at rows and encoder
        sweep.devices = place(sweep.devices, processes, sweep.stacks, opened, needs)
    if len(sweep.devices) > 1:
        sweep.stacks = largest_first(sweep.stacks, sweep.open, needs)
    sweep.sizes, about_memory = fit(sweep.results_dir, opened, needs, sweep.devices)
    announce(sweep, repeated=len(wanted) - len(sweep.runs))
    for line in about_memory:
        print(line, flush=True)
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


def announce(sweep: Sweep, *, repeated: int = 0) -> None:
    """Say what is going to be done: runs, data, encoder, device, folder.

    `repeated` combinations of the command describe a run that another one describes, too.
    """
    first: Run = sweep.runs[0]
    opened = len(sweep.open())
    tasks = list(dict.fromkeys(run.task.title for run in sweep.runs))
    methods = list(dict.fromkeys(run.config.method.name for run in sweep.runs))
    device = torch.device(sweep.devices[0])
    stacks = sum(len(parts(sweep.sizes, sweep.open(stack), device)) for stack in sweep.stacks)
    done = len(sweep.runs) - opened
    print(
        f"{counted(opened, 'run')} to do in {counted(stacks, 'stack')}"
        + (f" ({done} of {len(sweep.runs)} are done)" if done else "")
        + f": {', '.join(tasks)}; method {', '.join(methods)}"
    )
    if repeated:
        ignoring = [run.config.method.name for run in sweep.runs if run.checkpoint is None]
        why = f": {ignoring[0]} ignores the options of model and train" if ignoring else ""
        print(f"{counted(repeated, 'combination')} left out, the same run as another{why}")
    print(f"data: {first.data_title}")
    encoder = next((run.checkpoint.title for run in sweep.runs if run.checkpoint), "none")
    where = devices_title(sweep.devices)
    print(f"encoder: {encoder} | device: {where} | records: {sweep.results_dir}/runs", flush=True)
    for line in (*budget_lines(sweep.runs), *precision_lines(sweep.open(), sweep.results_dir, device)):
        print(line, flush=True)
