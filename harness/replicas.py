"""Modules that hold R replicas over one shared encoder: Linear and LayerNorm with a leading replica axis, dropout,
and the flat rows in which the trained parameters of each replica lie.

A stack of R replicas runs on one batch of `R * B` rows, replica 0's B rows first. Frozen modules of the encoder see
an ordinary batch; the modules below split it into `[R, B * T, d]` and give every replica its own weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReplicatedLinear(nn.Module):
    """R independent affine maps: `[R * B, ..., in] -> [R * B, ..., out]`, weight `[R, in, out]`, bias `[R, out]`."""

    def __init__(self, replicas: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(replicas, in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(replicas, out_features))

    def forward(self, x: Tensor) -> Tensor:
        replicas, in_features, out_features = self.weight.shape
        if replicas == 1:  # one plain product is faster than a batch of one
            y = torch.addmm(self.bias[0], x.reshape(-1, in_features), self.weight[0])
        else:
            y = torch.baddbmm(self.bias[:, None], x.reshape(replicas, -1, in_features), self.weight)
        return y.view(*x.shape[:-1], out_features)


class ReplicatedLayerNorm(nn.Module):
    """R LayerNorms over the last axis in fp32: `[R * B, ..., d] -> [R * B, ..., d]`, weight and bias `[R, d]`."""

    def __init__(self, norm: nn.LayerNorm, replicas: int) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight = nn.Parameter(norm.weight.detach().float().expand(replicas, -1).clone())
        self.bias = nn.Parameter(norm.bias.detach().float().expand(replicas, -1).clone())

    def forward(self, x: Tensor) -> Tensor:
        replicas, width = self.weight.shape
        x = x.float()
        if replicas == 1:
            return F.layer_norm(x, (width,), self.weight[0], self.bias[0], self.eps)
        normed = F.layer_norm(x, (width,), eps=self.eps).view(replicas, -1, width)
        return torch.addcmul(self.bias[:, None], normed, self.weight[:, None]).view_as(x)


class Dropout(nn.Module):
    """Dropout that draws its CPU masks fast (see `draw_dropped`); elsewhere it is torch's own fused dropout."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return _Dropped.apply(x, self.p) if x.device.type == "cpu" else F.dropout(x, self.p)


class _Dropped(torch.autograd.Function):
    """Zero with probability `rate`, scale the rest by `1 / (1 - rate)`; one byte an element is kept for backward."""

    @staticmethod
    def forward(ctx, x: Tensor, rate: float) -> Tensor:
        dropped = draw_dropped(x.shape, rate)
        ctx.save_for_backward(dropped)
        ctx.scale = 1 / (1 - rate)
        return x.masked_fill(dropped, 0).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (dropped,) = ctx.saved_tensors
        return gradient.masked_fill(dropped, 0).mul_(ctx.scale), None


def draw_dropped(shape: torch.Size | tuple[int, ...], rate: float) -> Tensor:
    """Booleans of that shape on the CPU, True with probability `rate` (to 2**-17), from torch's generator.

    Four 16-bit thresholds from each 64-bit draw: 650,000 elements cost 3.0 ms with `bernoulli_` and 0.43 ms so
    (two Zen 5 cores).
    """
    count = math.prod(shape)
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    return (words.view(torch.int16)[:count] < round(rate * 2**16) - 2**15).view(shape)


def replace_modules(root: nn.Module, kind: type[nn.Module], make) -> None:
    """Replace every submodule of exactly that class by `make(module)`, names unchanged."""
    for name, module in list(root.named_modules()):
        if type(module) is kind and name:
            parent, _, leaf = name.rpartition(".")
            setattr(root.get_submodule(parent), leaf, make(module))


def truncated_normal_(tensor: Tensor, std: float, generator: torch.Generator | None) -> None:
    """Fill with a normal of that standard deviation, re-drawn beyond two of them (paper section 3.6)."""
    # trunc_normal_ has no meaning at std 0; the sweep of the initialisation goes down to 1e-7 only.
    nn.init.trunc_normal_(tensor, std=std, a=-2 * std, b=2 * std, generator=generator)


class ParameterRows:
    """The trained parameters of a stack as flat buffers with one row a replica, so that torch's own AdamW can
    give every replica its learning rate and clipping its own norm.

    `decayed [R, K1]` holds matrices, `undecayed [R, K2]` biases and LayerNorms (the released code decays neither).
    The modules' parameters become strided views of the buffers and their `.grad` the same views of the gradient
    buffers, in which autograd accumulates: zero the gradients with `zero_grad`, never set them to None.
    Shared parameters must have the leading replica axis, or `replicas` must be 1.
    """

    def __init__(self, module: nn.Module, replicas: int) -> None:
        self.replicas = replicas
        trained = [
            (owner, name, parameter)
            for owner in module.modules()
            for name, parameter in owner.named_parameters(recurse=False)
            if parameter.requires_grad
        ]
        self.buffers: list[Tensor] = []
        self.gradients: list[Tensor] = []
        for is_decayed in (True, False):
            part = [entry for entry in trained if _decays(*entry, replicas=replicas) is is_decayed]
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
            return  # full fine-tuning reads and writes 180 MB for nothing otherwise
        for gradient in self.gradients:
            gradient.mul_(scale)


def _decays(owner: nn.Module, name: str, parameter: nn.Parameter, *, replicas: int) -> bool:
    if isinstance(owner, (nn.LayerNorm, ReplicatedLayerNorm)):
        return False
    replicated = isinstance(owner, ReplicatedLinear)
    return parameter.dim() - int(replicated) >= 2


def _shaped(rows: Tensor, shape: torch.Size, replicas: int) -> Tensor:
    """`[R, n]` seen as a parameter: `[R, ...]`, or `[...]` where a plain module is the only replica."""
    if shape[0] == replicas and math.prod(shape[1:]) == rows.shape[1]:
        return rows.unflatten(1, shape[1:]) if len(shape) > 1 else rows[:, 0]
    return rows[0].view(shape)
