"""Modules that hold R replicas over one shared encoder: Linear and LayerNorm with a leading replica axis, dropout,
and the flat rows in which the trained parameters of each replica lie.

A stack of R replicas runs on one batch of `R * B` rows, replica 0's B rows first. Frozen modules of the encoder see
an ordinary batch; the modules below split it into `[R, B * T, d]` and give every replica its own weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
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


class ReplicatedBias(nn.Module):
    """A frozen linear map with a bias of its own for each of R replicas: `[R * B, ..., in] -> [R * B, ..., out]`.

    weight `[out, in]` as in nn.Linear, bias `[R, out]`.
    """

    def __init__(self, linear: nn.Linear, replicas: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach(), requires_grad=False)
        self.bias = nn.Parameter(linear.bias.detach().float().expand(replicas, -1).clone())

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight)
        return (y.view(len(self.bias), -1, y.shape[-1]) + self.bias[:, None].to(y.dtype)).view_as(y)


class MaskStreams:
    """Dropout masks on a CPU, each replica's from a stream of its own: a run meets the same masks alone and stacked.

    `seeds` has one seed a replica. numpy's generator draws 64 bits in 1.6 ns where torch's takes 2.8 (Zen 5).
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.streams = [np.random.Generator(np.random.PCG64DXSM((seed, 3))) for seed in seeds]

    def draw(self, shape: Sequence[int], rate: float) -> Tensor:
        """int8 of that shape, `[R * B, ...]`: 0 with probability `rate`, else -1 (all bits set).

        One byte an element. A threshold of 256ths cannot be the rate, so each draw takes one of the two next to it,
        at random such that every element's probability is exact. 590,000 elements cost 0.14 ms.
        """
        kept = torch.empty(len(self.streams), math.prod(shape) // len(self.streams), dtype=torch.int8)
        for stream, row in zip(self.streams, kept, strict=True):
            words = stream.integers(-(2**63), 2**63, (len(row) + 7) // 8, dtype=np.int64)
            threshold = min(math.floor(256 * rate + stream.random()), 255)
            torch.lt(torch.from_numpy(words).view(torch.uint8)[: len(row)], threshold, out=row.view(torch.bool))
        return kept.sub_(1).view(*shape)


def zero_dropped(x: Tensor, kept: Tensor) -> Tensor:
    """`x` where `kept` is -1, zero where it is 0: an AND of the bits, 10 times faster than `masked_fill` on a CPU."""
    bits = _BITS[x.element_size()]
    return (x.contiguous().view(bits) & kept.to(bits)).view(x.dtype)


_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


class Dropout(nn.Module):
    """Dropout that takes its masks from `masks` on a CPU; elsewhere it is torch's own fused dropout."""

    def __init__(self, p: float, masks: MaskStreams) -> None:
        super().__init__()
        self.p = p
        self.masks = masks

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return _Dropped.apply(x, self.p, self.masks) if x.device.type == "cpu" else F.dropout(x, self.p)


class _Dropped(torch.autograd.Function):
    """Zero with probability `rate`, scale the rest by `1 / (1 - rate)`; one byte an element is kept for backward."""

    @staticmethod
    def forward(ctx, x: Tensor, rate: float, masks: MaskStreams) -> Tensor:
        kept = masks.draw(x.shape, rate)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - rate)
        return zero_dropped(x, kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return zero_dropped(gradient, kept).mul_(ctx.scale), None, None


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
    if isinstance(owner, (nn.LayerNorm, ReplicatedLayerNorm, ReplicatedBias)):
        return False
    replicated = isinstance(owner, ReplicatedLinear)
    return parameter.dim() - int(replicated) >= 2


def _shaped(rows: Tensor, shape: torch.Size, replicas: int) -> Tensor:
    """`[R, n]` seen as a parameter: `[R, ...]`, or `[...]` where a plain module is the only replica."""
    if shape[0] == replicas and math.prod(shape[1:]) == rows.shape[1]:
        return rows.unflatten(1, shape[1:]) if len(shape) > 1 else rows[:, 0]
    return rows[0].view(shape)
