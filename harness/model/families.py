"""Encoder families: how each computes its embeddings, its layers and its pooled output, and where adapters go.

The encoder's own forward is never called: a stack computes some of its layers, starts from stored states, or needs
one token of the last layer only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor, nn
from transformers import PreTrainedModel

from harness.errors import UserError
from harness.model.attention import attention


@dataclass(frozen=True)
class Family:
    """One encoder family, as module paths and the few steps that differ between families.

    `layers` is a path inside the encoder, the other paths are inside a layer. The modules at `attention_end` and
    `feed_forward_end` are the last ones before a residual addition; `Sequential(module, adapter)` in their place is
    the paper's position (dense, dropout, adapter, residual, LayerNorm) and renames no checkpoint key.
    `projections` are the attention's products of one input, in the order in which it calls them: query, key, value.

    `embed(encoder, ids [N, T], token_types [N, T] or None) -> states [N, T, d]`;
    `after_attention(layer, context [N, T, d], x [N, T, d]) -> states [N, T, d]` is all of a layer but its attention.
    """

    layers: str
    attention_end: str
    feed_forward_end: str
    attention: str
    projections: tuple[str, str, str]
    embed: Callable[[PreTrainedModel, Tensor, Tensor | None], Tensor]
    after_attention: Callable[[nn.Module, Tensor, Tensor], Tensor]

    def layers_of(self, encoder: PreTrainedModel) -> nn.ModuleList:
        """The encoder's layers, lowest first."""
        return encoder.get_submodule(self.layers)

    def first_token(self, layer: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
        """What the layer computes for the first token: `[N, T, d] -> [N, 1, d]`, mask `[N, 1, 1, T]` (False hides).

        Exact, since only keys and values need the other tokens. In the last layer of a 6-layer encoder it saves the
        other tokens' query, output and feed-forward products, 14 % of the encoder.
        """
        inner = layer.get_submodule(self.attention)
        query, key, value = (getattr(inner, name) for name in self.projections)
        first = x[:, :1]
        q, k, v = (
            states.unflatten(-1, (-1, inner.attention_head_size)).transpose(1, 2)
            for states in (query(first), key(x), value(x))
        )
        context, _ = attention(inner, q, k, v, mask, dropout=inner.dropout.p if inner.training else 0.0)
        return self.after_attention(layer, context.flatten(2), first)


def pooled(encoder: PreTrainedModel, states: Tensor) -> Tensor:
    """The pre-trained pooler's output if there is one, else the first token's state: `[N, T, d] -> [N, d]`."""
    pooler = getattr(encoder, "pooler", None)
    return states[:, 0] if pooler is None else pooler(states)


def embedding_modules(encoder: PreTrainedModel) -> list[nn.Module]:
    """The modules below the first layer."""
    return [module for name, module in encoder.named_children() if name.startswith("embeddings")]


def _bert_embed(encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
    return encoder.embeddings(input_ids=ids, token_type_ids=token_types)


def _electra_embed(encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
    states = _bert_embed(encoder, ids, token_types)
    # There is no projection where the embeddings are as wide as the layers.
    return encoder.embeddings_project(states) if hasattr(encoder, "embeddings_project") else states


def _distilbert_embed(encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
    return encoder.embeddings(ids)  # the family has no token types


def _bert_after_attention(layer: nn.Module, context: Tensor, x: Tensor) -> Tensor:
    return layer.feed_forward_chunk(layer.attention.output(context, x))


def _distilbert_after_attention(layer: nn.Module, context: Tensor, x: Tensor) -> Tensor:
    attended = layer.sa_layer_norm(layer.attention.out_lin(context) + x)
    return layer.output_layer_norm(layer.ffn(attended) + attended)


_BERT = Family(
    layers="encoder.layer",
    attention_end="attention.output.dropout",
    feed_forward_end="output.dropout",
    attention="attention.self",
    projections=("query", "key", "value"),
    embed=_bert_embed,
    after_attention=_bert_after_attention,
)

FAMILIES: dict[str, Family] = {
    "bert": _BERT,
    "roberta": _BERT,
    "electra": replace(_BERT, embed=_electra_embed),
    "distilbert": Family(
        layers="transformer.layer",
        attention_end="attention.out_lin",  # no dropout follows it in this family
        feed_forward_end="ffn.dropout",
        attention="attention",
        projections=("q_lin", "k_lin", "v_lin"),
        embed=_distilbert_embed,
        after_attention=_distilbert_after_attention,
    ),
}


def get_family(model_type: str) -> Family:
    """The family of a `config.model_type`; `UserError` lists the known ones."""
    if model_type not in FAMILIES:
        raise UserError(
            f"encoder family {model_type!r} is not supported; choose a checkpoint of {', '.join(FAMILIES)}, "
            "or describe the family in harness/model/families.py"
        )
    return FAMILIES[model_type]
