"""What an encoder family is: how it computes embeddings, layers and their end, and where adapters go.

The encoder's own forward is never called: a stack computes some of its layers, starts from stored states, or needs
one token of the last layer only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from harness.model.attention import attention


class Family:
    """BERT; other families are subclasses.

    `layers` is a path inside the encoder, the other paths are inside a layer. The modules at `attention_end` and
    `feed_forward_end` are the last ones before a residual addition; `Sequential(module, adapter)` in their place is
    the paper's position: after the sub-layer, dropout included, and before the residual.
    `projections` are the attention's products of one input, in the order in which it calls them: query, key, value,
    or one product of all three. `fuses`: nothing else is multiplied by them, so that frozen ones can run as one.
    """

    layers = "encoder.layer"
    attention_end = "attention.output.dropout"
    feed_forward_end = "output.dropout"
    attention = "attention.self"
    projections: tuple[str, ...] = ("query", "key", "value")
    fuses = True
    calls_interface = True  # layers call transformers' attention interface, which is given the project's own

    def layers_of(self, encoder: PreTrainedModel) -> nn.ModuleList:
        """The encoder's layers, lowest first."""
        return encoder.get_submodule(self.layers)

    def longest_input(self, config: PretrainedConfig) -> int:
        """The number of tokens that the position embeddings cover."""
        return config.max_position_embeddings

    def set_dropout(self, encoder: PreTrainedModel, rate: float, make: Callable[[], nn.Module]) -> None:
        """Put `make()` where the family's code drops without an `nn.Dropout` of its own."""

    def embed(self, encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
        """ids `[N, T]` and token types `[N, T]` or None -> the input of the first layer, `[N, T, d]`."""
        return encoder.embeddings(input_ids=ids, token_type_ids=token_types)

    def shared(self, encoder: PreTrainedModel, keep: Tensor, replicas: int) -> Any:
        """What all layers of one forward share, from keep `[N, T]` (False at padding); here a mask `[N, 1, 1, T]`."""
        return keep[:, None, None, :]

    def run(self, layer: nn.Module, x: Tensor, shared: Any) -> Tensor:
        """One layer: `[N, T, d] -> [N, T, d]`."""
        return layer(x, shared)

    def first_token(self, layer: nn.Module, x: Tensor, shared: Any) -> Tensor:
        """What the layer computes for the first token: `[N, T, d] -> [N, 1, d]`.

        Exact, since only keys and values need the other tokens. In the last layer of a 6-layer encoder it saves the
        other tokens' query, output and feed-forward products, 14 % of the encoder.
        """
        inner = layer.get_submodule(self.attention)
        query, key, value = (getattr(inner, name) for name in self.projections)
        first = x[:, :1]
        q, k, v = (split_heads(states, inner.attention_head_size) for states in (query(first), key(x), value(x)))
        context, _ = attention(inner, q, k, v, shared, dropout=inner.dropout.p if inner.training else 0.0)
        return self.after_attention(layer, context.flatten(2), first)

    def after_attention(self, layer: nn.Module, context: Tensor, x: Tensor) -> Tensor:
        """All of a layer but its attention: context `[N, T, d]` and the layer's input `[N, T, d]` -> its output."""
        return layer.feed_forward_chunk(layer.attention.output(context, x))

    def final_norm(self, encoder: PreTrainedModel) -> nn.Module:
        """What follows the last layer, `[N, T, d] -> [N, T, d]`; nothing where a layer ends in its own LayerNorm."""
        return _NOTHING


_NOTHING = nn.Identity()


def split_heads(states: Tensor, head_size: int) -> Tensor:
    """`[N, T, heads * size] -> [N, heads, T, size]`."""
    return states.unflatten(-1, (-1, head_size)).transpose(1, 2)


def embedding_modules(encoder: PreTrainedModel) -> list[nn.Module]:
    """The modules below the first layer."""
    return [module for name, module in encoder.named_children() if name.startswith("embeddings")]


def mean_over_tokens(states: Tensor, keep: Tensor) -> Tensor:
    """The mean over the tokens that are not padding, in fp32: `[N, T, d]` and keep `[N, T]` -> `[N, 1, d]`."""
    kept = keep[..., None]
    return torch.where(kept, states.float(), 0).sum(1, keepdim=True) / kept.sum(1, keepdim=True)
