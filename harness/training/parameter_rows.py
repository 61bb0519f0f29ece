"""The trained parameters of a stack as flat rows, one per replica, so that torch's own AdamW can step them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from harness.model.lora import Lora, Rescaled
from harness.model.replicas import ReplicatedBias, ReplicatedLayerNorm, ReplicatedLinear


class ParameterRows:
    """The trained parameters of a stack as two flat buffers with one row per replica.

    torch's own AdamW can then give every replica its learning rate, and clipping its own norm.
    The first of `buffers [R, K]` holds what weight decay applies to: matrices. The second holds biases and LayerNorms
    (the released code decays neither) and other vectors of multipliers.
    The modules' parameters become strided views of the buffers and their `.grad` the same views of the gradient
    buffers, in which autograd accumulates: zero the gradients with `zero_grad`, never set them to None.
    Shared parameters must have the leading replica axis, or `replicas` must be 1.
    """

    def __init__(self, module: nn.Module, replicas: int) -> None:
        self.replicas = replicas
        parts: dict[bool, list[tuple[nn.Module, str, nn.Parameter]]] = {True: [], False: []}
        for owner_name, owner in module.named_modules():
            for name, parameter in owner.named_parameters(recurse=False):
                if parameter.requires_grad:
                    parts[_decays(owner, owner_name, parameter)].append((owner, name, parameter))
        self.buffers: list[Tensor] = []
        self.gradients: list[Tensor] = []
        for part in parts.values():
            self._lay_out(part)

    def _lay_out(self, part: Sequence[tuple[nn.Module, str, nn.Parameter]]) -> None:
        device = part[0][2].device if part else None
        width = sum(parameter.numel() for _, _, parameter in part) // self.replicas
        buffer = torch.empty(self.replicas, width, device=device)
        gradient = torch.zeros_like(buffer)
        offset = 0
        for owner, name, parameter in part:
            size = parameter.numel() // self.replicas
            columns = slice(offset, offset + size)
            view = _shaped(buffer[:, columns], parameter.shape, self.replicas)
            view.copy_(parameter.detach())
            replacement = nn.Parameter(view)
            replacement.grad = _shaped(gradient[:, columns], parameter.shape, self.replicas)
            setattr(owner, name, replacement)
            offset += size
        self.buffers.append(buffer)
        self.gradients.append(gradient)

    def groups(self, learning_rates: Iterable[float], weight_decay: float) -> list[dict]:
        """Optimizer parameter groups: for each replica its decayed row and its undecayed row."""
        groups = []
        for replica, learning_rate in enumerate(learning_rates):
            for buffer, gradient, decay in zip(self.buffers, self.gradients, (weight_decay, 0.0), strict=True):
                if buffer.shape[1]:
                    row = nn.Parameter(buffer[replica])
                    row.grad = gradient[replica]
                    groups.append({"params": [row], "lr": learning_rate, "weight_decay": decay})
        return groups

    def zero_grad(self) -> None:
        for gradient in self.gradients:
            gradient.zero_()

    def clip(self, norm: float) -> None:
        """Scale each replica's gradient to at most that global norm; a GPU does not wait for it."""
        total = sum(torch.linalg.vector_norm(gradient, dim=1).square() for gradient in self.gradients).sqrt()
        scale = (norm / (total + 1e-6)).clamp(max=1.0)[:, None]
        if scale.device.type == "cpu" and bool((scale == 1).all()):
            return  # otherwise full fine-tuning would read and write 180 MB for nothing
        for gradient in self.gradients:
            gradient.mul_(scale)


def _decays(owner: nn.Module, owner_name: str, parameter: nn.Parameter) -> bool:
    if isinstance(owner, (nn.LayerNorm, ReplicatedLayerNorm, ReplicatedBias, Rescaled)):
        return False
    # IA3's vectors are multipliers that start at 1; peft keeps them as matrices of one row or column. Not told by
    # their shape: a regression head and an adapter of size 1 have such matrices too, and theirs are decayed.
    if owner_name.endswith(".ia3_l"):
        return False
    replicated = isinstance(owner, (ReplicatedLinear, Lora))
    return parameter.dim() - int(replicated) >= 2


def _shaped(rows: Tensor, shape: torch.Size, replicas: int) -> Tensor:
    """`[R, n]` seen as a parameter: `[R, ...]`, or `[...]` where a plain module is the only replica."""
    if shape[0] == replicas and math.prod(shape[1:]) == rows.shape[1]:
        return rows.unflatten(1, shape[1:]) if len(shape) > 1 else rows[:, 0]
    return rows[0].view(shape)
