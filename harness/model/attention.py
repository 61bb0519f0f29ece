"""Attention and fused frozen projections, without the non-arithmetic overhead.

transformers' attention interface is given torch's fused attention, except on a CPU where that is slower. With dropout
torch has no fused kernel there, copies scores between dtypes and draws its masks with `bernoulli_`. Without, its fused
kernel is slow for short texts, and in bf16 its backward for all: 16 texts of 24 tokens with MiniLM's heads, forward and
backward, 10.9 ms fused and 1.3 ms here in bf16, 3.8 and 1.9 ms in fp32; 8 texts of 384 tokens, 106 and 55 ms in bf16,
99 and 150 ms in fp32 (AMD EPYC, two threads).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

from harness.model.dropout import MaskStreams, zero_dropped

NAME = "harness"
_MOST_PADDING = 1 / 6  # of the keys, up to which padding them is faster than padding their weights
_SHORT = 64  # keys up to which fp32 without dropout is faster here than in torch's fused kernel


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """transformers' attention interface.

    Shapes: query `[N, heads, Tq, d]`, key and value `[N, heads, T, d]`, mask `[N, 1, 1, T]` or `[N, 1, Tq, T]` (True
    keeps) -> `[N, Tq, heads, d]`. `dropout` is the rate at which attention weights are dropped; on a CPU the masks are
    those of `module.dropout`. A `layer_prefix` of the module (prefix tuning) goes before its keys and values.
    """
    prefix = getattr(module, "layer_prefix", None)
    if prefix is not None:
        key, value, attention_mask = prefix.extend(key, value, attention_mask)
    # What peft adds to a frozen bf16 product is fp32 in some of its types; autocast's bf16 holds for all three.
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    if query.device.type == "cpu" and (dropout > 0 or dtype == torch.bfloat16 or key.shape[2] <= _SHORT):
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        flat = [states.flatten(0, 1).to(dtype) for states in (query, key, value)]
        masks = module.dropout.masks if dropout > 0 else None
        context = _Attention.apply(*flat, attention_mask, scaling, dropout, masks).view_as(query)
    else:
        context = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
        )
    return context.transpose(1, 2), None


def biased_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    bias: Tensor | None,
    scaling: float,
) -> Tensor:
    """Attention with `bias`, `[N or 1, heads, Tq, T]`, added to its scores: the plain formula, for every device.

    Other shapes as in `attention`, but -> `[N, Tq, heads * d]`. Weights go through `module.dropout`. A `layer_prefix`
    of the module has no position, and no bias.
    """
    prefix = getattr(module, "layer_prefix", None)
    if prefix is not None:
        key, value, mask = prefix.extend(key, value, mask)
        bias = None if bias is None else F.pad(bias, (key.shape[2] - bias.shape[3], 0))
    scores = query @ key.mT * scaling
    scores = scores if bias is None else scores + bias
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return (module.dropout(weights) @ value).transpose(1, 2).flatten(2)


class _Attention(torch.autograd.Function):
    """softmax(scale * q k^T + mask) with weights dropped at `rate`, times v, in the dtype of its `[N * heads, T, d]`.

    Softmax accumulates in fp32 inside torch's kernel. Only the weights, and one byte per weight where some are dropped,
    are kept for backward.
    """

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, rate: float,
                masks: MaskStreams | None):  # fmt: skip
        heads = 1 if mask is None else len(query) // len(mask)
        rows, keys = query.shape[:2], key.shape[1]
        # The scale 1 / (1 - rate) goes to the values, which are fewer than the weights.
        key, value = _padded(key), _padded(value * (1 / (1 - rate)) if rate else value)
        if mask is None and key.shape[1] == keys:
            scores = torch.bmm(query, key.mT).mul_(scaling)
        else:
            lowest = torch.finfo(query.dtype).min
            mask = torch.ones(1, 1, 1, keys, dtype=torch.bool) if mask is None else mask
            bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, lowest)
            bias = F.pad(bias, (0, key.shape[1] - keys), value=-torch.inf)
            bias = bias.expand(-1, heads, -1, -1).reshape(-1, *bias.shape[2:])
            scores = torch.baddbmm(bias, query, key.mT, alpha=scaling)
        weights = _softmax(scores)
        kept = masks.draw((*rows, keys), rate) if rate else None
        ctx.save_for_backward(query, key, value, weights, kept)
        ctx.keys, ctx.scaling, ctx.rate = keys, scaling, rate
        return torch.bmm(weights if kept is None else zero_dropped(weights, kept), value)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        query, key, value, weights, kept = ctx.saved_tensors
        gradient = gradient.contiguous()
        to_weights = torch.bmm(gradient, value.mT)
        dropped = weights if kept is None else zero_dropped(weights, kept)
        to_value = _scaled_bmm(dropped.mT, gradient, 1 / (1 - ctx.rate))
        to_weights = to_weights if kept is None else zero_dropped(to_weights, kept)
        to_scores = _softmax_backward(to_weights, weights)
        to_query, to_key = _scaled_bmm(to_scores, key, ctx.scaling), _scaled_bmm(to_scores.mT, query, ctx.scaling)
        return to_query, to_key[:, : ctx.keys], to_value[:, : ctx.keys], None, None, None, None


def _padded(states: Tensor) -> Tensor:
    """Keys or values `[N, T, d]` with zeros up to whole vectors of weights, where that is little.

    Softmax and its gradient then pad and cut no weights. 8 texts of 170 tokens with MiniLM's heads, forward and
    backward in bf16: 24.3 ms without and 21.6 with it; 64 texts of 12 tokens, padded to 32: 4.3 and 5.5 ms, since all
    products are larger (AMD EPYC, one thread beside others).
    """
    keys = states.shape[1]
    missing = -keys % _lanes(states)
    return F.pad(states, (0, 0, 0, missing)) if 0 < missing < _MOST_PADDING * keys else states


def _scaled_bmm(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """`scale * left @ right`, scaled by oneDNN in fp32, before sums are rounded.

    1536 x 53 x 53 by 53 x 32 in bf16: 2.4 ms, and 2.8 with a multiplication afterwards and twice its rounding error.
    """
    return torch.baddbmm(right.new_zeros(1, 1, 1), left, right, beta=0, alpha=scale)


def _softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis, which torch's CPU kernel vectorises only in whole vectors.

    bf16, 1536 x 12 x 12, two cores: 1.03 ms as it is, 0.37 ms padded to 32 and cut; backward 0.62 and 0.18 ms (Zen 5).
    """
    keys = scores.shape[-1]
    return _to_whole_vectors(scores, -torch.inf).softmax(-1)[..., :keys].contiguous()


def _softmax_backward(gradient: Tensor, weights: Tensor) -> Tensor:
    """The gradient of the scores by torch's own kernel, which is private.

    The public formula, `w * (g - (g * w).sum(-1, keepdim=True))`, takes 20.0 ms instead of 8.8 for 1536 x 64 x 64 in
    fp32 (bf16, 1536 x 12 x 12: 0.75 and 0.56 ms), and in bf16 its largest rounding error is three times as large.
    """
    keys = weights.shape[-1]
    padded = _to_whole_vectors(weights, 0.0)
    result = torch._softmax_backward_data(_to_whole_vectors(gradient, 0.0), padded, -1, weights.dtype)
    return result[..., :keys].contiguous()


def _to_whole_vectors(x: Tensor, value: float) -> Tensor:
    """The last axis padded to a multiple of 64 bytes."""
    missing = -x.shape[-1] % _lanes(x)
    return F.pad(x, (0, missing), value=value) if missing else x


def _lanes(x: Tensor) -> int:
    """Numbers of the type of `x` in one vector of 64 bytes."""
    return 64 // x.element_size()


AttentionInterface.register(NAME, attention)  # layers look their attention up by name


class _Projection(nn.Module):
    """One of several frozen projections of the same input that run as one product; the first one called computes."""

    def __init__(self, shared: nn.Linear, parts: int, index: int, results: list[Tensor]) -> None:
        super().__init__()
        self.shared, self.parts, self.index, self.results = shared, parts, index, results

    def forward(self, x: Tensor) -> Tensor:
        if self.index == 0:
            self.results[:] = self.shared(x).chunk(self.parts, dim=-1)
        result = self.results[self.index]
        self.results[self.index] = None
        return result


def fuse_frozen_projections(owner: nn.Module, names: tuple[str, ...]) -> None:
    """Let `owner`'s frozen projections of one input run as one product: one cast, one gradient of the input.

    They must be called with the same input in the order of `names`; trained ones are left alone, and of a wrapper
    (LoRA, IA3) its frozen `base` is meant. The first call keeps the results for the others, so a forward cannot run
    inside another one of the same module: no checkpointing.
    """
    wrappers = [getattr(owner, name) for name in names]
    places = [
        (module, "base") if hasattr(module, "base") else (owner, name)
        for name, module in zip(names, wrappers, strict=True)
    ]
    modules = [getattr(*place) for place in places]
    frozen = all(not parameter.requires_grad for module in modules for parameter in module.parameters())
    if not frozen or any(type(module) is not nn.Linear for module in modules):
        return
    shared = nn.Linear(modules[0].in_features, sum(module.out_features for module in modules), device="meta")
    shared.weight = nn.Parameter(torch.cat([module.weight for module in modules]), requires_grad=False)
    shared.bias = nn.Parameter(torch.cat([module.bias for module in modules]), requires_grad=False)
    results: list[Tensor] = [None] * len(modules)
    for index, place in enumerate(places):
        setattr(*place, _Projection(shared, len(modules), index, results))
