"""Where the stacks of a sweep run, in how many processes, and how large they may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from harness.errors import UserError
from harness.training.device import pick_device

# Replicas per stack: beyond these a step is bound by arithmetic and only its memory grows. On two CPU cores stacks of
# 4 and 8 are 1.54 and 1.58 times as fast as runs alone (CoLA), and six runs of RTE's long rows already hold 17 GB.
MAX_STACK = {"cpu": 4, "cuda": 32, "mps": 4}
# Tokens of a step with the longest rows, all replicas together: on a CPU those of two runs of 32 x 384.
STACK_TOKENS = {"cpu": 24_576, "cuda": 131_072, "mps": 24_576}
# Processes that share a CPU where nobody says how many: more were not measured, and each holds a stack.
_MOST_PROCESSES = 8


def default_devices(name: str) -> list[str]:
    """Every visible GPU, or the CPU, for `auto`; else the device of that name."""
    if name == "auto" and torch.cuda.device_count() > 1:
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [str(pick_device(name))]


def stack_limits(max_stack: int | None, device: str) -> tuple[int, int | None]:
    """The most replicas of a stack and the most tokens of a step with the longest rows, where `max_stack` is None.

    Otherwise `max_stack`, and None: any number of tokens.
    """
    if max_stack is not None and max_stack < 1:
        raise UserError(f"hydra.launcher.max_stack={max_stack} is out of range: it must be at least 1, or null")
    kind = torch.device(device).type
    return (MAX_STACK[kind], STACK_TOKENS[kind]) if max_stack is None else (max_stack, None)


def most_processes(processes: int | None, device: str) -> int:
    """The most processes that may share a device: as many as asked for, or (None) one for each thread of a CPU.

    Products and elementwise operations of a step are small, so that one thread each for two stacks trains more rows
    than two threads for one stack and then the other.
    """
    if processes is not None and processes < 1:
        raise UserError(f"hydra.launcher.processes={processes} is out of range: it must be at least 1, or null")
    if processes is None:
        return min(torch.get_num_threads(), _MOST_PROCESSES) if torch.device(device).type == "cpu" else 1
    return processes


def threads_of_each(devices: Sequence[str]) -> int:
    """The threads of a process, where there is one for each entry of `devices`, of those that this process has."""
    return max(1, torch.get_num_threads() // max(Counter(devices).values()))


@contextmanager
def share_of_threads(devices: Sequence[str]) -> Iterator[None]:
    """Compute with the threads that each of these processes will have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(threads_of_each(devices))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def devices_title(devices: Sequence[str]) -> str:
    """`cuda:0, cuda:1`, and of several processes `cpu (2 processes)`."""
    counts = Counter(devices)
    return ", ".join(name + (f" ({count} processes)" if count > 1 else "") for name, count in counts.items())
