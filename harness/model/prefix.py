"""Prefix tuning (Li and Liang 2021): trained keys and values before those of every layer's attention."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from harness.model.families import get_family


class Prefix(nn.Module, ABC):
    """R sets of P virtual tokens: the numbers that `vectors` returns are keys and values of every layer.

    The classifier computes `states` once per forward: `[layers, 2, R, heads, P, d / heads]`.
    """

    def __init__(self, shape: PretrainedConfig) -> None:
        super().__init__()
        self.layout = (shape.num_hidden_layers, 2, shape.num_attention_heads, -1)
        self.states: Tensor | None = None

    @abstractmethod
    def vectors(self) -> Tensor:
        """`[R, P, layers * 2 * d]`."""

    def compute(self) -> None:
        self.states = self.vectors().unflatten(-1, self.layout).permute(2, 3, 0, 4, 1, 5)


class ReplicatedPrefix(Prefix):
    """A prefix of P tokens for each of R replicas, `weight [R, P, layers * 2 * d]`: no network computes it.

    `generators[r]` draws it from a standard normal, as `peft` does. (The paper starts from a network of two layers,
    which it needs for generation and not for classification.)
    """

    def __init__(self, shape: PretrainedConfig, tokens: int, generators: Sequence[torch.Generator]) -> None:
        super().__init__(shape)
        width = shape.num_hidden_layers * 2 * shape.hidden_size
        drawn = [torch.empty(tokens, width).normal_(generator=generator) for generator in generators]
        self.weight = nn.Parameter(torch.stack(drawn))

    def vectors(self) -> Tensor:
        return self.weight


class LayerPrefix:
    """One layer's share of a `Prefix`; the attention function looks for it on its module."""

    def __init__(self, prefix: Prefix, layer: int) -> None:
        self.prefix, self.layer = prefix, layer

    def extend(self, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """key and value `[R * B, heads, T, d]` and mask `[R * B, 1, 1 or Tq, T]` with the virtual tokens before."""
        states = self.prefix.states[self.layer]
        replicas, tokens = states.shape[1], states.shape[3]
        longer = None if mask is None else F.pad(mask, (tokens, 0), value=True)
        return _before(states[0], key, replicas), _before(states[1], value, replicas), longer


def _before(own: Tensor, states: Tensor, replicas: int) -> Tensor:
    """own `[R, heads, P, d]` before the tokens of each of the replica's rows in states `[R * B, heads, T, d]`."""
    whole = states.unflatten(0, (replicas, -1))
    own = own.to(states.dtype)[:, None].expand(-1, whole.shape[1], -1, -1, -1)
    return torch.cat([own, whole], 3).flatten(0, 1)


def insert_prefix(encoder: PreTrainedModel, prefix: Prefix) -> None:
    """Let every layer of the encoder attend to the prefix."""
    encoder.prefix = prefix.to(encoder.device)
    family = get_family(encoder.config.model_type)
    for index, layer in enumerate(family.layers_of(encoder)):
        layer.get_submodule(family.attention).layer_prefix = LayerPrefix(prefix, index)
