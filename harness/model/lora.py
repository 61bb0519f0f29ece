"""LoRA (Hu et al. 2022) and IA3 (Liu et al. 2022) for R replicas, next to frozen linear maps that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from harness.errors import UserError
from harness.method_config import IA3Config, LoraConfig
from harness.model.dropout import Dropout, MaskStreams
from harness.model.targets import find_targets, rescaled_at_input


class Lora(nn.Module):
    """`base(x) + s_r dropout(x) A_r B_r` for replica r: `[R * B, ..., in] -> [R * B, ..., out]`, never merged.

    `down [R, in, m]` holds the A and `up [R, m, out]` the B of all replicas, padded with zeros from their `ranks` to
    the largest, m: a padded unit's input, output and gradients are zero, so it never moves. As in the paper B starts at
    zero; A is drawn uniformly from +-1/sqrt(in) by `generators[r]`, which is `peft`'s choice and the released code's.
    `scalings` has the s of each replica: alpha / rank, or alpha / sqrt(rank) (rank-stabilised, Kalajdzievski 2023).
    """

    def __init__(
        self,
        base: nn.Linear,
        ranks: Sequence[int],
        *,
        scalings: Sequence[float],
        dropout: nn.Module,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        device, widest = base.weight.device, max(ranks)
        self.base = base
        self.ranks = tuple(ranks)
        self.dropout = dropout
        self.down = nn.Parameter(torch.zeros(len(ranks), base.in_features, widest, device=device))
        self.up = nn.Parameter(torch.zeros(len(ranks), widest, base.out_features, device=device))
        # A tensor, not numbers: a captured step reads it from the device.
        self.register_buffer("scalings", torch.tensor(scalings, device=device)[:, None, None], persistent=False)
        with torch.no_grad():
            for weight, rank, generator in zip(self.down, ranks, generators, strict=True):
                # Drawn at the replica's own rank: the same numbers alone and padded in a stack.
                values = torch.empty(rank, base.in_features, device=device)
                nn.init.kaiming_uniform_(values, a=math.sqrt(5), generator=generator)
                weight[:, :rank].copy_(values.t())

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        replicas, width, _ = self.down.shape
        up = self.up * self.scalings  # smaller than what it is multiplied with, and still fp32 under autocast
        rows = self.dropout(x)
        if replicas == 1:  # plain products are faster than batches of one
            added = torch.addmm(y.flatten(0, -2), rows.reshape(-1, width) @ self.down.squeeze(0), up.squeeze(0))
        else:
            hidden = torch.bmm(rows.reshape(replicas, -1, width), self.down)
            added = torch.baddbmm(y.reshape(replicas, -1, y.shape[-1]), hidden, up)
        return added.view_as(y)


class Rescaled(nn.Module):
    """A frozen linear map whose output, or with `at_input` its input, each replica multiplies by its own vector.

    `weight [R, out]` or `[R, in]` starts at 1; `[R * B, ..., in] -> [R * B, ..., out]`.
    """

    def __init__(self, base: nn.Linear, replicas: int, *, at_input: bool) -> None:
        super().__init__()
        self.base = base
        self.at_input = at_input
        width = base.in_features if at_input else base.out_features
        self.weight = nn.Parameter(torch.ones(replicas, width, device=base.weight.device))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(self._rescale(x)) if self.at_input else self._rescale(self.base(x))

    def _rescale(self, x: Tensor) -> Tensor:
        replicas, width = self.weight.shape
        return (x.reshape(replicas, -1, width) * self.weight[:, None]).to(x.dtype).view(x.shape)


def insert_lora(
    encoder: PreTrainedModel,
    configs: Sequence[LoraConfig],
    *,
    masks: MaskStreams,
    generators: Sequence[torch.Generator],
) -> None:
    """Put LoRA next to the `target_modules`, lowest layer first; `configs` may differ in rank, alpha and rslora.

    `masks` are the replicas' streams of dropout masks. Raises `UserError` for a target that the encoder lacks and for a
    rank that would not reduce anything.
    """
    first, ranks = configs[0], [config.rank for config in configs]
    for path, linear in find_targets(encoder, first.target_modules).items():
        narrower = min(linear.in_features, linear.out_features)
        if max(ranks) > narrower:
            raise UserError(
                f"method.rank={max(ranks)} is above {narrower}, the width of {path}; give at most {narrower}, "
                "at which nothing is low-rank any more"
            )
        lora = Lora(
            linear,
            ranks,
            scalings=[scaling(config) for config in configs],
            dropout=Dropout(first.dropout, masks),
            generators=generators,
        )
        _replace(encoder, path, lora)


def scaling(config: LoraConfig) -> float:
    """What a LoRA's product is multiplied by."""
    return config.alpha / (math.sqrt(config.rank) if config.rslora else config.rank)


def insert_ia3(encoder: PreTrainedModel, config: IA3Config, replicas: int) -> None:
    """Rescale the `target_modules` at their output, or those of `rescaled_at_input` there: in the paper these are the
    feed-forward activations.
    """
    for path, linear in find_targets(encoder, config.target_modules).items():
        at_input = rescaled_at_input(encoder.config.model_type, path)
        _replace(encoder, path, Rescaled(linear, replicas, at_input=at_input))


def _replace(encoder: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(encoder.get_submodule(parent), leaf, module)
