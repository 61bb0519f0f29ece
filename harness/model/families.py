"""The encoder families by their `model_type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from harness.errors import UserError
from harness.model.family import Family
from harness.model.modernbert import ModernBert
from harness.model.relative_position import DebertaV2, MPNet


class Roberta(Family):
    """RoBERTa, XLM-RoBERTa and CamemBERT: BERT with positions that are counted from the padding id on."""

    def longest_input(self, config: PretrainedConfig) -> int:
        return config.max_position_embeddings - (config.pad_token_id + 1)


class Electra(Family):
    """ELECTRA's discriminator; it has no pooler."""

    def embed(self, encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
        states = super().embed(encoder, ids, token_types)
        # There is no projection where the embeddings are as wide as the layers.
        return encoder.embeddings_project(states) if hasattr(encoder, "embeddings_project") else states


class DistilBert(Family):
    """DistilBERT; it has neither a pooler nor token types."""

    layers = "transformer.layer"
    attention_end = "attention.out_lin"  # no dropout follows it in this family
    feed_forward_end = "ffn.dropout"
    attention = "attention"
    projections = ("q_lin", "k_lin", "v_lin")

    def embed(self, encoder: PreTrainedModel, ids: Tensor, token_types: Tensor | None) -> Tensor:
        return encoder.embeddings(ids)

    def after_attention(self, layer: nn.Module, context: Tensor, x: Tensor) -> Tensor:
        attended = layer.sa_layer_norm(layer.attention.out_lin(context) + x)
        return layer.output_layer_norm(layer.ffn(attended) + attended)


_ROBERTA = Roberta()
FAMILIES: dict[str, Family] = {
    "bert": Family(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Electra(),
    "distilbert": DistilBert(),
    "mpnet": MPNet(),
    "deberta-v2": DebertaV2(),
    "modernbert": ModernBert(),
}
_REFUSED = {
    "albert": "all its layers are one set of weights, and adapters or LayerNorms of each layer would be a single one",
    "deberta": "only DeBERTa-v2 and v3 are (model_type deberta-v2), whose attention differs",
}


def get_family(model_type: str) -> Family:
    """The family of a `config.model_type`; `UserError` lists the known ones."""
    if model_type not in FAMILIES:
        reason = f" ({_REFUSED[model_type]})" if model_type in _REFUSED else ""
        raise UserError(
            f"encoder family {model_type!r} is not supported{reason}; choose a checkpoint of {', '.join(FAMILIES)}, "
            "or describe the family in harness/model/families.py"
        )
    return FAMILIES[model_type]


def check_supported(config: Mapping[str, Any]) -> None:
    """`UserError` for the content of a config.json whose family, or variant of it, is not supported."""
    get_family(config["model_type"])
    if config["model_type"] == "deberta-v2" and config.get("conv_kernel_size", 0) > 0:
        raise UserError(
            f"conv_kernel_size={config['conv_kernel_size']}: the convolution of some DeBERTa-v2 checkpoints is not "
            "supported; choose one of DeBERTa-v3, which has none"
        )
