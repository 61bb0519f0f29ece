"""Dropout with separate masks for each replica."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskStreams:
    """Dropout masks on a CPU, each replica's from its own stream: a run sees the same masks alone and stacked.

    `seeds` has one seed per replica. numpy's generator draws 64 bits in 1.6 ns where torch's takes 2.8 (Zen 5).
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.streams = [np.random.Generator(np.random.PCG64DXSM((seed, 3))) for seed in seeds]

    def draw(self, shape: Sequence[int], rate: float) -> Tensor:
        """int8 of that shape, `[R * B, ...]`: 0 with probability `rate`, else -1 (all bits set).

        One byte per element. Bytes below a threshold drop; 256 * rate is seldom whole, so each draw rounds it up or
        down at random, such that every element's probability is exactly the rate. 650,000 elements cost 0.2 ms, most of
        it for the random bits.
        """
        kept = torch.empty(len(self.streams), math.prod(shape) // len(self.streams), dtype=torch.int8)
        for stream, row in zip(self.streams, kept, strict=True):
            words = stream.integers(-(2**63), 2**63, (len(row) + 7) // 8, dtype=np.int64)
            threshold = min(math.floor(256 * rate + stream.random()), 255)
            # 14 times as fast as `torch.lt`, which does not vectorise bytes with `out`.
            np.less(words.view(np.uint8)[: len(row)], threshold, out=row.numpy().view(np.bool_))
        return kept.sub_(1).view(*shape)  # `less` writes 1 for dropped and 0 for kept; minus one: 0 and -1


def zero_dropped(x: Tensor, kept: Tensor) -> Tensor:
    """`x` where `kept` is -1, zero where it is 0: an AND of the bits, 10 times faster than `masked_fill` on a CPU.

    The last axis of `x` may be longer than that of `kept` by zeros, which stay. The AND is written over the widened
    mask: 1.3 ms for 192 x 170 x 192 in bf16, and 2.1 into memory of its own.
    """
    bits = torch.empty(x.shape, dtype=_BITS[x.element_size()])
    bits[..., : kept.shape[-1]].copy_(kept)
    return bits.bitwise_and_(x.contiguous().view(bits.dtype)).view(x.dtype)


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
    """Zero with probability `rate`, scale the rest by `1 / (1 - rate)`; one byte per element is kept for backward."""

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
