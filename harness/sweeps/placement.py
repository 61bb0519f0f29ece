"""Where the stacks of a sweep run, and how large they may be."""

from __future__ import annotations

import torch

from harness.errors import UserError
from harness.training.device import pick_device

# Replicas per stack: beyond these a step is bound by arithmetic and only its memory grows. On two CPU cores stacks of
# 4 and 8 are 1.54 and 1.58 times as fast as runs alone (CoLA), and six runs of RTE's long rows already hold 17 GB.
MAX_STACK = {"cpu": 4, "cuda": 32, "mps": 4}


def default_devices(name: str) -> list[str]:
    """Every visible GPU, or the CPU, for `auto`; else the device of that name."""
    if name == "auto" and torch.cuda.device_count() > 1:
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [str(pick_device(name))]


def stack_limit(max_stack: int | None, device: str) -> int:
    """The most replicas of a stack: `max_stack`, or where it is None `MAX_STACK` of the device."""
    if max_stack is not None and max_stack < 1:
        raise UserError(f"hydra.launcher.max_stack={max_stack} is out of range: it must be at least 1, or null")
    return max_stack or MAX_STACK[torch.device(device).type]
