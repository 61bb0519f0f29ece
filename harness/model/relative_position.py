"""MPNet and DeBERTa-v2: attention whose scores depend on the distance between two tokens.

Both are computed here and not by transformers: its code knows no replicas and no first token, and DeBERTa's copies
the keys of all distances for every row.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from harness.model.attention import biased_attention
from harness.model.family import Family, split_heads


class MPNet(Family):
    """MPNet (Song et al. 2020): BERT with a trained number per head and distance, which all layers add to their scores.

    Those numbers belong to the encoder and not to a layer: they move in full fine-tuning only.
    """

    attention_end = "attention.dropout"
    attention = "attention.attn"
    projections = ("q", "k", "v")
    calls_interface = False

    def longest_input(self, config: PretrainedConfig) -> int:
        return config.max_position_embeddings - 2  # positions start after a padding id that its code fixes at 1

    def embed(self, encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
        return encoder.embeddings(ids)  # the family has no token types

    def shared(self, encoder: PreTrainedModel, keep: Tensor, replicas: int) -> tuple[Tensor, Tensor]:
        """The mask, and what is added to the scores, `[1, heads, T, T]`."""
        places = torch.arange(keep.shape[1], device=keep.device)
        buckets = encoder.encoder.relative_position_bucket(places - places[:, None])
        bias = encoder.encoder.relative_attention_bias(buckets).permute(2, 0, 1)
        return keep[:, None, None, :], bias[None]

    def run(self, layer: nn.Module, x: Tensor, shared: tuple[Tensor, Tensor]) -> Tensor:
        return self._run(layer, x, x, shared)

    def first_token(self, layer: nn.Module, x: Tensor, shared: tuple[Tensor, Tensor]) -> Tensor:
        return self._run(layer, x[:, :1], x, shared)

    def _run(self, layer: nn.Module, asking: Tensor, x: Tensor, shared: tuple[Tensor, Tensor]) -> Tensor:
        """The layer for the first tokens of `x`, `asking [N, Tq, d]`."""
        mask, bias = shared
        inner = layer.attention.attn
        products = inner.q(asking), inner.k(x), inner.v(x)
        q, k, v = (split_heads(states, inner.attention_head_size) for states in products)
        bias = bias[:, :, : asking.shape[1]]
        context = biased_attention(inner, q, k, v, mask, bias, inner.attention_head_size**-0.5)
        attended = layer.attention.LayerNorm(layer.attention.dropout(inner.o(context)) + asking)
        return layer.output(layer.intermediate(attended), attended)


class DebertaV2(Family):
    """DeBERTa-v3 (He et al. 2023), of `model_type` deberta-v2: disentangled attention.

    A score is `(q_i k_j + q_i K(i - j) + k_j Q(i - j)) / sqrt(3 d)`, where `K` and `Q` are products of an embedding of
    the distance, in most checkpoints by the very weights of key and query. What a method puts into those therefore
    acts on the distances as well, as it does with transformers' own code.

    **What the head reads** is the first token's state. The encoder has no pooler; that of transformers' classifier
    (`ContextPooler`) is not in the published checkpoints and starts from random numbers. Frozen it would be noise,
    and trained it would be d * d numbers per task that no method here counts as its own.

    **LayerNorms.** The one of the distances' embeddings trains wherever every LayerNorm does: with it, the embeddings
    of distances are those of each replica.
    """

    attention_end = "attention.output.dropout"
    attention = "attention.self"
    projections = ("query_proj", "key_proj", "value_proj")
    fuses = False  # query and key are called with the distances too
    calls_interface = False

    def shared(self, encoder: PreTrainedModel, keep: Tensor, replicas: int) -> tuple[Tensor, Tensor | None]:
        """The mask, and an embedding of each distance from 1 - T to T - 1 per replica, `[R, 2 T - 1, d]`."""
        mask, model = keep[:, None, None, :], encoder.encoder
        if not model.relative_attention:
            return mask, None
        rows = _distances(keep.shape[1], model.position_buckets, model.max_relative_positions, keep.device)
        distances = model.rel_embeddings.weight[rows].expand(replicas, -1, -1)
        return mask, model.LayerNorm(distances) if "layer_norm" in model.norm_rel_ebd else distances

    def run(self, layer: nn.Module, x: Tensor, shared: tuple[Tensor, Tensor | None]) -> Tensor:
        return self._run(layer, x, x, shared)

    def first_token(self, layer: nn.Module, x: Tensor, shared: tuple[Tensor, Tensor | None]) -> Tensor:
        return self._run(layer, x[:, :1], x, shared)

    def _run(self, layer: nn.Module, asking: Tensor, x: Tensor, shared: tuple[Tensor, Tensor | None]) -> Tensor:
        """The layer for the first tokens of `x`, `asking [N, Tq, d]`."""
        mask, distances = shared
        inner = layer.attention.self
        products = inner.query_proj(asking), inner.key_proj(x), inner.value_proj(x)
        q, k, v = (split_heads(states, inner.attention_head_size) for states in products)
        kinds = [kind for kind in ("c2p", "p2c") if kind in inner.pos_att_type]
        scale = (inner.attention_head_size * (1 + len(kinds))) ** -0.5
        bias = None if distances is None or not kinds else scale * _distance_scores(inner, q, k, distances)
        attended = layer.attention.output(biased_attention(inner, q, k, v, mask, bias, scale), asking)
        return layer.output(layer.intermediate(attended), attended)


def _distance_scores(inner: nn.Module, q: Tensor, k: Tensor, distances: Tensor) -> Tensor:
    """`q_i K(i - j) + k_j Q(i - j)`, or one of them: q `[R * B, heads, Tq, d]`, k `[.., T, d]` -> `[.., Tq, T]`."""
    distances = inner.pos_dropout(distances)
    names = ("query_proj", "key_proj") if inner.share_att_key else ("pos_query_proj", "pos_key_proj")
    asking = torch.arange(q.shape[2], device=q.device)
    asked = torch.arange(k.shape[2], device=k.device)
    rows = asking[:, None] - asked + k.shape[2] - 1  # of `distances`, `[Tq, T]`
    parts = []
    if "c2p" in inner.pos_att_type:
        parts.append(_at(q, getattr(inner, names[1])(distances), rows))
    if "p2c" in inner.pos_att_type:
        parts.append(_at(k, getattr(inner, names[0])(distances), rows.T).mT)
    return sum(parts)


def _at(states: Tensor, distances: Tensor, rows: Tensor) -> Tensor:
    """states `[R * B, heads, T, d]` times rows `[T, S]` of distances `[R, D, heads * d]` -> `[R * B, heads, T, S]`."""
    replicas = len(distances)
    vectors = split_heads(distances, states.shape[-1])  # [R, heads, D, d]
    whole = states.unflatten(0, (replicas, -1)).transpose(1, 2)  # [R, heads, B, T, d]
    scores = (whole.flatten(2, 3) @ vectors.mT).unflatten(2, whole.shape[2:4])
    scores = scores.transpose(1, 2).flatten(0, 1)
    return scores.gather(-1, rows.expand(*scores.shape[:2], *rows.shape))


@cache
def _distances(width: int, buckets: int, most: int, device: torch.device) -> Tensor:
    """The rows of the distances from 1 - width to width - 1 in the table of embeddings, `[2 width - 1]`.

    Kept, since a CUDA graph cannot record how they are made.
    """
    with torch.inference_mode(False):  # they are saved for backward passes later
        distance = torch.arange(1 - width, width)
        if buckets > 0:
            distance = make_log_bucket_position(distance, buckets, most).long()
        span = buckets if buckets > 0 else most
        return (distance + span).clamp(0, 2 * span - 1).to(device)
