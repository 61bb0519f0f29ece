"""What the head reads of the encoder's last layer (`model.pooling`)."""

from __future__ import annotations

from torch import nn

from harness.errors import UserError

POOLINGS = ("pooler", "first", "mean")
ALL_TOKENS = "all tokens"
_TITLES = {"pooler": "pooler", "first": "first token", "mean": "mean"}  # as records have them


def resolve_pooling(asked: str, encoder: nn.Module) -> str:
    """One of `POOLINGS`: `auto` is the pre-trained pooler where the checkpoint has one, else the first token.

    `UserError` for a pooler that is not there: a frozen random one would be noise.
    """
    has_pooler = getattr(encoder, "pooler", None) is not None
    if asked == "auto":
        return "pooler" if has_pooler else "first"
    if asked == "pooler" and not has_pooler:
        raise UserError(
            f"model.pooling=pooler: this {encoder.config.model_type} checkpoint has no pooler; "
            "choose auto, first or mean"
        )
    return asked


def pooling_title(pooling: str | None) -> str:
    """The word of records for a resolved pooling, None where the head is applied to every token."""
    return ALL_TOKENS if pooling is None else _TITLES[pooling]
