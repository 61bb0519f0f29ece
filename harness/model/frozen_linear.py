"""A frozen product in bf16, its bias added by the product itself.

On a CPU torch first writes the bias into every row of the result and then reads it back to add the product. oneDNN adds
it to its sums in fp32, before they are rounded: 12.4 and 10.9 ms for 1,696 tokens from 384 to 1,536 numbers, 0.74 and
0.60 ms for 384 tokens and 384 numbers (AMD EPYC, one thread beside others). Weights packed beforehand, once for each
direction, would save another 5 to 7 % and take three times the memory: 384 tokens from 384 to 1,536 numbers take 2.55
ms and 2.32 packed, their gradient 2.48 and 2.32; 1,696 tokens 10.4 and 9.8, and 10.3 and 9.5.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenLinear(nn.Linear):
    """`linear` with weights that no longer train, in bf16; the parameters remain those of `linear`."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not _onednn_has_bf16():
            return F.linear(x, self.weight, self.bias)
        return _Product.apply(x, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """`x W^T + b` in bf16 for x of any type; only x has a gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = x.dtype
        # The operation of torch.compile's CPU backend.
        return torch.ops.mkldnn._linear_pointwise(x.to(weight.dtype), weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return (gradient @ weight).to(ctx.dtype), None, None


def _onednn_has_bf16() -> bool:
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
