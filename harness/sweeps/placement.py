"""Where the stacks of a sweep run, and how large they may be."""

from __future__ import annotations

import torch

from harness.errors import UserError
from harness.training.device import pick_device

# Replicas per stack: beyond these a step is bound by arithmetic and only its memory grows. On two CPU cores stacks of
# 4 and 8 are 1.54 and 1.58 times as fast as runs alone (CoLA), and six runs of RTE's long rows already hold 17 GB.
MAX_STACK = {"cpu": 4, "cuda": 32, "mps": 4}
# Tokens of a step with the longest rows, all replicas together: on a CPU those of two runs of 32 x 384.
STACK_TOKENS = {"cpu": 24_576, "cuda": 131_072, "mps": 24_576}


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
