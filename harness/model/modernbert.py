"""ModernBERT: LayerNorms before the sub-layers, rotary positions, no biases, attention in windows in most layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

from harness.model.attention import attention
from harness.model.family import Family

# By the kind of a layer's attention: its mask, and the rotation (cosines, sines) of its queries and keys.
Shared = dict[str, tuple[Tensor, tuple[Tensor, Tensor]]]


class ModernBert(Family):
    """ModernBERT (Warner et al. 2024).

    **Where adapters go.** The paper puts an adapter after the projection back to the model's width and before the
    residual addition (section 2.1): here after `Wo` of the attention, its dropout included, and after `Wo` of the
    feed-forward sub-layer. The place is the same as in BERT; what differs is the LayerNorm that reads the sum. BERT's
    belongs to the same sub-layer, ModernBERT's to the next one, after the last layer `final_norm`.

    **Which LayerNorms train with them.** All, as in BERT, and they correspond one to one. In both encoders each sum is
    read through exactly one LayerNorm: the embeddings through that of the embeddings (which is why the first layer
    has no `attn_norm`), the sum after an attention through `mlp_norm`, the sum after a feed-forward sub-layer through
    the next layer's `attn_norm` or `final_norm`. For L layers these are 2 L + 1 LayerNorms in both. They have no
    biases here, so that each is d numbers instead of 2 d. One thing differs: BERT's LayerNorm also scales what the
    residual connection carries on, and ModernBERT's only what the next sub-layer reads.

    `top_layers` trains `final_norm`, as BERT's last layer holds its last LayerNorm; the checkpoint has no pooler.
    Dropout, of which the published checkpoints use none, is where the family's code has a rate for it: embeddings,
    attention weights, the attention's output and the gated hidden units.
    """

    layers = "layers"
    attention_end = "attn.out_drop"
    feed_forward_end = "mlp.Wo"  # no dropout follows it in this family
    attention = "attn"
    projections = ("Wqkv",)
    fuses = False  # they are one product already

    def set_dropout(self, encoder: PreTrainedModel, rate: float, make: Callable[[], nn.Module]) -> None:
        for layer in encoder.layers:
            layer.attn.attention_dropout, layer.attn.dropout, layer.attn.out_drop = rate, make(), make()

    def embed(self, encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
        return encoder.embeddings(ids)  # the family has no token types

    def shared(self, encoder: PreTrainedModel, keep: Tensor, replicas: int) -> Shared:
        places = torch.arange(keep.shape[1], device=keep.device)
        kinds = set(encoder.config.layer_types)
        masks = {kind: _mask(keep, places, encoder.config, kind) for kind in kinds}
        like = keep.new_empty(0, dtype=torch.float32)
        return {kind: (masks[kind], encoder.rotary_emb(like, places[None], kind)) for kind in kinds}

    def run(self, layer: nn.Module, x: Tensor, shared: Shared) -> Tensor:
        mask, rotation = shared[layer.attention_type]
        return layer(x, attention_mask=mask, position_embeddings=rotation)

    def first_token(self, layer: nn.Module, x: Tensor, shared: Shared) -> Tensor:
        """As in BERT, but the query is computed for every token: one product has query, key and value."""
        mask, rotation = shared[layer.attention_type]
        inner = layer.attn
        products = inner.Wqkv(layer.attn_norm(x)).unflatten(-1, (3, -1, inner.head_dim))
        q, k, v = (part.transpose(1, 2) for part in products.unbind(-3))
        q, k = apply_rotary_pos_emb(q, k, *rotation)
        rate = inner.attention_dropout if inner.training else 0.0
        context, _ = attention(inner, q[:, :, :1], k, v, mask[:, :, :1], dropout=rate)
        attended = x[:, :1] + inner.out_drop(inner.Wo(context.flatten(2)))
        return attended + layer.mlp(layer.mlp_norm(attended))

    def final_norm(self, encoder: PreTrainedModel) -> nn.Module:
        return encoder.final_norm


def _mask(keep: Tensor, places: Tensor, config: PretrainedConfig, kind: str) -> Tensor:
    """`[N, 1, 1, T]`, or `[N, 1, T, T]` where a text is longer than a window: True keeps."""
    mask = keep[:, None, None, :]
    if kind == "full_attention" or len(places) <= config.sliding_window + 1:
        return mask
    return mask & ((places[:, None] - places).abs() <= config.sliding_window)
