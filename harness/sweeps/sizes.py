"""How many runs of a stack train at once: as many as its checkpoint holds, or as many as fit into memory.

A checkpoint is of no use to another composition, so that a stack goes on in that in which it started, however much
memory there is by then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from harness.sweeps.checkpoints import checkpointed_runs
from harness.sweeps.progress import counted
from harness.sweeps.resolve import Run
from harness.sweeps.starts import KILLS, start_of
from harness.training.available import Available, available_memory
from harness.training.device import memory_remedy

SHARE = 0.8  # of what is available; the rest is for what an estimate misses, up to a fifth of a large stack


@dataclass
class Sizes:
    """`growths` has by run id the bytes by which 1, 2, ... runs of its stack at once are expected to grow what the
    process holds; a run that is not in it is taken to fit. `most` is the size of the last stack that was halved.
    """

    results_dir: Path
    growths: Mapping[str, Sequence[int]] = field(default_factory=dict)
    available: Callable[[torch.device], Available | None] = available_memory
    most: int = sys.maxsize

    def next(self, runs: Sequence[Run], device: torch.device, say: Callable[[str], None] = print) -> int:
        """How many of these runs, from the first on, train at once; `say` gets a line where that has changed.

        Only for whoever holds the locks of the runs: without them, a process that trains looks like a killed one.
        """
        start = start_of(self.results_dir, runs)
        if start is not None and start.was_killed_too_often:
            say(_killed(runs[0], len(start.runs)))
            self.most = (len(start.runs) + 1) // 2
            return self.most
        return self.expected(runs, device, say)

    def expected(self, runs: Sequence[Run], device: torch.device, say: Callable[[str], None] = print) -> int:
        """`next`, as far as it can be told without the locks of the runs."""
        count, first = min(len(runs), self.most), runs[0]
        start = start_of(self.results_dir, runs)
        held = checkpointed(self.results_dir, runs)
        if start is not None and start.halved:
            count = min(count, len(start.runs))
            held = held if held <= len(start.runs) else 0  # a checkpoint of the whole stack no longer counts
        if held:
            return held
        growths = self.growths.get(first.id, ())[:count]
        there = self.available(device) if growths else None
        if there is None:
            return count
        fitting = fitting_runs(growths, there)
        if fitting < len(growths):
            say(f"{shortage(growths[-1], there)}: {first.task.title} trains {counted(fitting, 'run')} at once")
        return fitting


def checkpointed(results_dir: Path, runs: Sequence[Run]) -> int:
    """How many of these runs, from the first on, a checkpoint holds as a stack."""
    held = checkpointed_runs(results_dir, runs[0].id)
    return len(held) if held == [run.id for run in runs[: len(held)]] else 0


def fitting_runs(growths: Sequence[int], there: Available) -> int:
    """How many runs at once are expected to fit, at least one."""
    return max([1, *(count for count, growth in enumerate(growths, 1) if fits(growth, there))])


def shortage(growth: int, there: Available) -> str:
    """Both figures, as the beginning of a line."""
    return f"memory: {growth / 1e9:.1f} GB are expected to be needed, {there.size / 1e9:.1f} GB are {there.where}"


def fits(growth: int, there: Available) -> bool:
    """Whether so many bytes are expected to fit."""
    return growth <= SHARE * there.size


def _killed(run: Run, count: int) -> str:
    name = f"{run.task.title} {run.config.method.name}"
    if count == 1:
        return f"{name} was killed {KILLS} times: if memory was the reason, {memory_remedy(run.config.train)}"
    return f"{name} x{count} was killed {KILLS} times: continuing with {(count + 1) // 2} at once"
