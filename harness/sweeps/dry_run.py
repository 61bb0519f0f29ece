"""What a command would do: its runs as stacks, what is finished already, and the time and memory to expect.

Every config is resolved as for a real run. Nothing is written, and only a few batches are trained, to measure the pace
of stacks for which the results folder has no records.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from harness.errors import UserError
from harness.records.method_title import ALWAYS_SHOWN, short_number
from harness.records.record import FINISHED, canonical, flatten, read_record, runs_folder
from harness.sweeps.cluster import pin_precision
from harness.sweeps.expectation import Expectations, Expected, StackNeeds
from harness.sweeps.fit import fit, parts, place
from harness.sweeps.placement import default_devices, devices_title, share_of_threads, stack_limits
from harness.sweeps.precision_lines import precision_lines
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run, budget_lines, resolve
from harness.sweeps.run_lines import method_words, varying_settings
from harness.sweeps.session import Launch
from harness.sweeps.sizes import Sizes
from harness.sweeps.stacks import make_stacks
from harness.sweeps.sweep import lacks_files

# What becomes of a run, by the state of its record; one without a record is to do.
_KEPT = FINISHED
_REPEATED = {"failed": "failed before", "interrupted": "interrupted", "lacking": "without all that is asked for"}
_SHORT = {"method.bottleneck_size": "size", "method.rank": "rank", "train.learning_rate": "lr"}
_TITLE = "dry run: nothing is trained to its end, nothing is written"
_BASES = {
    "recorded": "from records of the same kind",
    "measured": "from a few batches measured now",
    "scaled": "scaled from a measured stack of the same method",
    "baseline": "not known; no encoder, little memory",
    "unknown": "not known until records exist, since the jobs run on other machines",
}


@dataclass(frozen=True)
class _Stack:
    """A stack with the state of each of its runs: that of its record, or `new`."""

    runs: list[Run]
    states: list[str]

    def those(self, *states: str) -> list[Run]:
        return [run for run, state in zip(self.runs, self.states, strict=True) if state in states]

    @property
    def open(self) -> list[Run]:
        return self.those("new", *_REPEATED)

    def parts(self, sizes: Sizes, device: torch.device) -> list[_Stack]:
        """The stacks in which what is open would train now; what is kept stays with the first."""
        states = dict(zip((run.id for run in self.runs), self.states, strict=True))
        groups = parts(sizes, self.open, device) or [[]]
        groups[0] = [run for run in self.runs if run not in self.open] + groups[0]
        return [_Stack(group, [states[run.id] for run in group]) for group in groups]


@dataclass(frozen=True)
class Outlook:
    """What a plan comes to: the runs to do, and their seconds as far as they are known."""

    runs: int
    seconds: float


def print_plan(launches: Sequence[Launch], title: str = _TITLE) -> Outlook:
    """Resolve what one or more commands on one results folder would launch, and print the plan.

    Raises `UserError` where a real run would.
    """
    results_dir, first = launches[0].configs[0].results_dir, launches[0]
    _check_writable(Path(results_dir))
    stacks, devices, seen = [], ["cpu"], set()
    for launch in launches:
        runs, devices, limits = _resolved(launch)
        unseen = {run.id: run for run in runs if run.id not in seen}
        seen |= unseen.keys()
        for group in make_stacks(unseen.values(), *limits):
            stacks.append(_Stack(group, [_state(results_dir, run) for run in group]))
    device = torch.device(devices[0])
    needs = StackNeeds(device, first.device_type)
    notes = []
    if first.cluster is None:
        if first.devices is None or first.processes is not None:
            groups = [stack.runs for stack in stacks], [stack.open for stack in stacks if stack.open]
            devices = place(devices, first.processes, *groups, needs)
        notes += precision_lines([run for stack in stacks for run in stack.open], results_dir, device)
        sizes, about_memory = fit(results_dir, [stack.open for stack in stacks if stack.open], needs, devices)
        notes += about_memory
        stacks = [part for stack in stacks for part in stack.parts(sizes, device)]
    records = [read_record(results_dir, path.stem) for path in sorted(runs_folder(results_dir).glob("*.json"))]
    expectations = Expectations(records, needs, measure=first.cluster is None)
    opened = [stack.open for stack in stacks if stack.open]
    with share_of_threads(devices):
        expected = iter(expectations.of(opened))
    where = f"jobs on {first.cluster}" if first.cluster else f"device: {devices_title(devices)}"
    plan = [(stack, next(expected) if stack.open else None) for stack in stacks]
    print(title)
    for line in (*_lines(plan, where, len(devices), results_dir), *notes):
        print(line)
    seconds = [one.seconds or 0.0 for _, one in plan if one is not None]
    return Outlook(sum(len(stack.open) for stack, _ in plan), _shared_seconds(seconds, len(devices)))


def _resolved(launch: Launch) -> tuple[list[Run], list[str], tuple[int, int | None]]:
    """The runs of a launch, the devices that share their stacks here, and `stack_limits`."""
    if launch.cluster is None:
        runs = resolve(launch.configs)
        devices = launch.devices or default_devices(runs[0].config.device)
        return runs, devices, stack_limits(launch.max_stack, devices[0])
    kind = launch.device_type
    runs = resolve([pin_precision(config, kind) for config in launch.configs], here=False)
    return runs, ["cpu"], stack_limits(launch.max_stack, kind)


def _check_writable(folder: Path) -> None:
    """`UserError` if the results folder cannot be made or written; tried without writing."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise UserError(f"results_dir={str(folder)!r} cannot be written ({existing}); choose another one")


def _state(results_dir: str, run: Run) -> str:
    record = read_record(results_dir, run.id)
    if record is None:
        return "new"
    if record["status"] in FINISHED:
        return "lacking" if lacks_files(results_dir, run, record) else record["status"]
    return "failed" if record["status"] == "failed" and record["error"] != "interrupted" else "interrupted"


def _lines(
    plan: Sequence[tuple[_Stack, Expected | None]], where: str, processes: int, results_dir: str
) -> Iterator[str]:
    runs = [run for stack, _ in plan for run in stack.runs]
    opened = sum(len(stack.open) for stack, _ in plan)
    known = [expected for _, expected in plan if expected is not None]
    varying = varying_settings([run.record("planned") for run in runs])
    first = runs[0]
    yield f"{counted(len(runs), 'run')}: {opened} to do in {counted(len(known), 'stack')}{_done(plan)}"
    yield f"data: {first.data_title}"
    encoder = next((run.checkpoint.title for run in runs if run.checkpoint is not None), "none")
    yield f"encoder: {encoder} | {where} | records: {results_dir}/runs"
    yield from budget_lines(runs)
    yield ""
    texts = []
    for stack, expected in plan:
        for state in _KEPT:
            if kept := stack.those(state):
                texts.append((state, counted(len(kept), "run"), "kept", "", members(kept, varying)))
        if expected is not None:
            number = f"stack {1 + sum(text[0].startswith('stack') for text in texts)}"
            size = counted(len(stack.open), "run")
            texts.append((number, size, _time(expected.seconds), _memory(expected), members(stack.open, varying)))
    widths = [max(len(text[column]) for text in texts) for column in range(4)]
    for text in texts:
        yield "  ".join([*(part.ljust(width) for part, width in zip(text, widths, strict=False)), text[4]])
    if known:
        yield ""
        yield _total(known, processes)
        for basis, count in Counter(expected.basis for expected in known).items():
            yield f"time of {counted(count, 'stack')}: {_BASES[basis]}"


def _done(plan: Sequence[tuple[_Stack, Expected | None]]) -> str:
    """`; 3 completed are kept, 1 failed before is repeated`."""
    states = Counter(state for stack, _ in plan for state in stack.states)
    kept = [f"{states[state]} {state}" for state in _KEPT if states[state]]
    again = [f"{states[state]} {words}" for state, words in _REPEATED.items() if states[state]]
    parts = [f"kept: {', '.join(kept)}"] * bool(kept) + [f"repeated: {', '.join(again)}"] * bool(again)
    return "".join(f"; {part}" for part in parts)


def members(runs: Sequence[Run], varying: Sequence[str]) -> str:
    """`MRPC adapter  size 8,64  lr 3e-4,1e-3  seed 0,1`: the values of runs of one task and method.

    Where not every combination of the values is there, each run is named by its own.
    """
    config = runs[0].identity
    shown = ALWAYS_SHOWN.get(config["method"]["name"])
    settings = [flatten(run.identity) for run in runs]
    fields = [f"method.{shown}", *varying, "train.learning_rate", "train.seed"]
    fields = [field for field in fields if field in settings[0]]
    labels = [_SHORT.get(field, field.rpartition(".")[2]) for field in fields]
    rows = [[_value(one[field]) for field in fields] for one in settings]
    columns = [list(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
    name = " ".join([runs[0].task.title, *method_words(config["method"])])
    if math.prod(map(len, columns)) == len(runs):
        return "  ".join(
            [name, *(f"{label} {','.join(column)}" for label, column in zip(labels, columns, strict=True))]
        )
    return f"{name}  {'/'.join(labels)} {', '.join(map('/'.join, rows))}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return short_number(value) if is_number else canonical(value)


def _total(known: Sequence[Expected], processes: int) -> str:
    seconds = [expected.seconds for expected in known if expected.seconds is not None]
    shared = f" by {processes} processes" if processes > 1 else ""
    least = "at least " if len(seconds) < len(known) else ""
    peak = _memory(max(known, key=lambda expected: expected.peak_bytes or 0))
    expected = _time(_shared_seconds(seconds, processes))
    time = f"{least}{expected} of training and evaluation{shared}" if seconds else "time not known"
    return f"in total: {time}; at most {peak} at once{' in each process' if processes > 1 else ''}"


def _shared_seconds(seconds: Sequence[float], processes: int) -> float:
    """How long so many processes take for stacks of so many seconds each, which they begin with the longest."""
    return max(sum(seconds) / processes, max(seconds, default=0.0))


def _time(seconds: float | None) -> str:
    return "time not known" if seconds is None else str(timedelta(seconds=math.ceil(seconds)))


def _memory(expected: Expected) -> str:
    return "-" if expected.peak_bytes is None else f"{expected.peak_bytes / 1e9:.1f} GB"
