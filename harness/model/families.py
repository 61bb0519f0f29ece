"""Encoder families: where each keeps its layers, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UserError


@dataclass(frozen=True)
class Family:
    """Where one encoder family keeps its layers, and where their sub-layers end: module paths inside a layer.

    The module at such a path is the last one before the residual addition; `Sequential(module, adapter)` in its
    place is the paper's position (dense, dropout, adapter, residual, LayerNorm) and moves no checkpoint key.
    """

    layers: str
    attention_end: str
    feed_forward_end: str
    attention: str = "attention.self"
    projections: tuple[str, ...] = ("query", "key", "value")  # of the same input, in the order of their calls


_BERT = Family("encoder.layer", "attention.output.dropout", "output.dropout")


FAMILIES: dict[str, Family] = {
    "bert": _BERT,
    "roberta": _BERT,
    "electra": _BERT,
    # DistilBERT has no dropout after the attention's output projection.
    "distilbert": Family(
        "transformer.layer", "attention.out_lin", "ffn.dropout", "attention", ("q_lin", "k_lin", "v_lin")
    ),
}


def get_family(model_type: str) -> Family:
    """The family of a `config.model_type`; `UserError` lists the known ones."""
    if model_type not in FAMILIES:
        raise UserError(
            f"encoder family {model_type!r} is not supported; choose a checkpoint of {', '.join(FAMILIES)}, "
            "or add its two sub-layer ends to harness/model/adapter.py"
        )
    return FAMILIES[model_type]
