"""How many processes and how large stacks fit into the memory that is there when a sweep starts, and what to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from harness.sweeps.expectation import StackNeeds
from harness.sweeps.placement import most_processes
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run
from harness.sweeps.sizes import SHARE, Sizes, checkpointed, fits, fitting_runs, shortage
from harness.training.available import Available, available_memory
from harness.training.device import free_cached_memory, memory_remedy

_PLENTY = 0.4  # of what is available: half of what a stack may use, since others may take memory later
# Bytes of a process forked from the server (`workers.py`) beside those of its stack: half a second after the fork, with
# MiniLM loaded already, it had 0.26 GB of its own.
_PROCESS = 300_000_000


def place(
    devices: Sequence[str],
    processes: int | None,
    stacks: Sequence[Sequence[Run]],
    opened: Sequence[Sequence[Run]],
    needs: StackNeeds,
    available: Callable[[torch.device], Available | None] = available_memory,
) -> list[str]:
    """The devices with one entry for each process that trains: each device as often as `processes` says.

    None: a CPU has one for each thread, but no more than the sweep has stacks, and no more than fit into its memory
    with the largest of those that are `opened` in each; other devices have one.
    """
    count = most_processes(processes, devices[0])
    if processes is None and count > 1:
        count = min(count, sum(stack[0].checkpoint is not None for stack in stacks))
        count = _fitting_processes(count, opened, needs, available) if count > 1 else 1
    return list(devices) * count


def _fitting_processes(
    most: int,
    stacks: Sequence[Sequence[Run]],
    needs: StackNeeds,
    available: Callable[[torch.device], Available | None],
) -> int:
    """How many processes, at most so many, can each train any of these stacks uncut; 1 where memory is not known."""
    there = available(needs.device)
    if there is None:
        return 1
    largest = 0
    for stack in stacks:
        with suppress(Exception):  # as in `fit`
            largest = max(largest, _growths(stack, needs, there.size // most)[-1])
    return max(1, min(most, int(SHARE * there.size) // (largest + _PROCESS)))


def largest_first(
    stacks: Iterable[list[Run]], opened: Callable[[list[Run]], Sequence[Run]], needs: StackNeeds
) -> list[list[Run]]:
    """The stacks by the tokens that their `opened` runs train on, for processes that share them.

    So no process has a long stack left when the others have nothing to do. Counted with the times of the sweeps in
    `results/`, two processes end 0 to 10 % earlier than in the order given (one sweep: 24 %), eight 0 to 22 %.
    """

    def tokens(stack: list[Run]) -> float:
        left = opened(stack)
        with suppress(Exception):  # as in `fit`
            return needs.tokens(left) if left else 0.0
        return 0.0

    return sorted(stacks, key=tokens, reverse=True)


def fit(
    results_dir: str | Path,
    stacks: Sequence[Sequence[Run]],
    needs: StackNeeds,
    devices: Sequence[str],
    available: Callable[[torch.device], Available | None] = available_memory,
) -> tuple[Sizes, list[str]]:
    """The sizes at which these stacks are expected to fit, and lines about those that are cut or do not fit at all.

    `devices` share the stacks; those that are one device share its memory. A stack whose memory cannot be estimated
    is left as it is: whatever is wrong there is wrong in training too, which has a record for it.
    """
    processes = max(Counter(devices).values())
    growths: dict[str, list[int]] = {}
    with_encoder = [stack for stack in stacks if stack[0].checkpoint is not None]
    plenty = available(needs.device) if with_encoder else None
    if plenty is None:
        return Sizes(Path(results_dir)), []
    for stack in with_encoder:
        with suppress(Exception):
            growths[stack[0].id] = _growths(stack, needs, plenty.size // processes)
    free_cached_memory(needs.device)
    there = available(needs.device) if growths else None
    if there is None:
        return Sizes(Path(results_dir)), []
    there = Available(there.size // processes, there.where + (f" for each of {processes}" if processes > 1 else ""))
    allowed, cut, alone = {}, [], []
    for stack in stacks:
        grown, name = growths.get(stack[0].id, []), f"{stack[0].task.title} {stack[0].config.method.name}"
        fitting = fitting_runs(grown, there)
        allowed |= {run.id: grown[:fitting] for run in stack}
        if checkpointed(Path(results_dir), stack):
            continue
        if fitting < len(grown):
            cut.append((grown[-1], f"{name} x{len(grown)}", counted(fitting, "run")))
        if grown and not fits(grown[0], there):
            alone.append((grown[0], f"{name}, one run alone", memory_remedy(stack[0].config.train)))
    lines = []
    if cut:
        most, name, fitting = max(cut)
        others = f" and {counted(len(cut) - 1, 'further stack')}" if len(cut) > 1 else ""
        lines.append(f"{shortage(most, there)} ({name}{others}): cut to {fitting} at once")
    if alone:
        most, name, remedy = max(alone)
        lines.append(f"{shortage(most, there)} ({name}): it starts all the same; should it fail, {remedy}")
    return Sizes(Path(results_dir), allowed, available), lines


def _growths(stack: Sequence[Run], needs: StackNeeds, there: int) -> list[int]:
    """The bytes that 1, 2, ... of the runs need: a bound of them where that many bytes are plainly enough."""
    counts = range(1, len(stack) + 1)
    if needs.bound(stack) <= _PLENTY * there:
        return [needs.bound(stack[:count]) for count in counts]
    return [needs.growth(stack[:count]) for count in counts]


def parts(sizes: Sizes, runs: Sequence[Run], device: torch.device) -> list[list[Run]]:
    """The runs of a stack in the parts in which they are expected to train."""
    left, found = list(runs), []
    while left:
        count = sizes.expected(left, device, say=lambda line: None)
        found.append(left[:count])
        left = left[count:]
    return found
