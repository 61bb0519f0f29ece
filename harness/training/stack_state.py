"""Everything that a stack in training needs to go on, as tensors and JSON values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from harness.model.dropout import MaskStreams
from harness.training.parameter_rows import ParameterRows

if TYPE_CHECKING:
    from harness.training.loop import Training

# Of `Training`; its losses are a tensor, and where replicas diverged follows from them.
_PROGRESS = ("step", "recorded", "padding_shares", "evaluations", "seconds")


class Saved(NamedTuple):
    """A state: tensors on the CPU by name, and values that JSON gives back as they were."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


@dataclass(frozen=True)
class StackState:
    """A stack between two steps, by references to what training changes: `state` reads it, `restore` sets it.

    `losses [R, steps]` on the device. Frozen weights, the plan of an epoch and frozen states are no part of it: they
    follow from the config.
    """

    training: Training
    losses: Tensor
    rows: ParameterRows
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    masks: MaskStreams

    @property
    def shape(self) -> dict[str, Any]:
        """Equal for stacks of which one can take the other's state."""
        return {"steps": self.losses.shape[1], "parameters": [list(buffer.shape) for buffer in self.rows.buffers]}

    def state(self) -> Saved:
        """The state; its tensors share memory with the stack's on a CPU, so write them before the next step."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"parameters.{index}": buffer for index, buffer in enumerate(self.rows.buffers)}
        for row, moments in optimizer["state"].items():
            tensors |= {f"optimizer.{row}.{name}": moment for name, moment in moments.items()}
        tensors["losses"] = self.losses[:, : self.training.step]
        tensors["random.cpu"] = torch.get_rng_state()
        if self.losses.device.type != "cpu":
            tensors["random.device"] = torch.get_device_module(self.losses.device).get_rng_state()
        values = {name: getattr(self.training, name) for name in _PROGRESS}
        values |= {
            "groups": optimizer["param_groups"],
            "schedule": self.schedule.state_dict(),
            "masks": [stream.bit_generator.state for stream in self.masks.streams],
        }
        return Saved({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, values)

    @torch.no_grad()
    def restore(self, saved: Saved) -> None:
        """Set the state of a stack of the same `shape`. Parameters keep their place in memory (see `GraphedStep`)."""
        tensors, values = saved
        self.training.is_between_steps = False
        for index, buffer in enumerate(self.rows.buffers):
            buffer.copy_(tensors[f"parameters.{index}"])
        moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, row, moment = name.split(".")
                moments[int(row)][moment] = tensor
        self.optimizer.load_state_dict({"state": dict(moments), "param_groups": values["groups"]})
        self.schedule.load_state_dict(values["schedule"])
        for stream, state in zip(self.masks.streams, values["masks"], strict=True):
            stream.bit_generator.state = state
        torch.set_rng_state(tensors["random.cpu"])
        if "random.device" in tensors:
            torch.get_device_module(self.losses.device).set_rng_state(tensors["random.device"])
        losses = tensors["losses"]
        self.losses[:, : losses.shape[1]] = losses.to(self.losses.device)
        if values["recorded"]:
            self.training.record_losses(losses[:, : values["recorded"]].numpy())
        for name in _PROGRESS:
            setattr(self.training, name, values[name])
        self.training.seconds_before = self.training.seconds
        self.training.is_between_steps = True
