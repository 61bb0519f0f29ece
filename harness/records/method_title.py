"""Methods and numbers as users read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHOD_TITLES = {
    "full": "Full fine-tuning",
    "adapter": "Adapters",
    "top_layers": "Top layers",
    "layernorm": "LayerNorms only",
    "bitfit": "BitFit",
    "head": "Head only",
    "lora": "LoRA",
    "ia3": "IA3",
    "prefix": "Prefix tuning",
    "peft": "PEFT",
    "tfidf": "TF-IDF",
}
# The setting that is always shown with a method; others are shown where variants differ in them.
ALWAYS_SHOWN = {"adapter": "bottleneck_size", "top_layers": "layers", "lora": "rank", "prefix": "virtual_tokens"}
# The option of peft that scales what a type trains; of types that are not listed, more than one does, or none.
_PEFT_SIZES = {"FOURIERFT": "n_frequency", "LOHA": "r", "LORA": "r", "PREFIX_TUNING": "num_virtual_tokens"}


def size_key(method: Mapping[str, Any]) -> str | None:
    """The setting of a method's config that scales what it trains, dotted: `bottleneck_size`, `options.r`.

    None for a method of one size. Trained parameters grow with the setting, which starts at 1.
    """
    if method["name"] == "peft":
        option = _PEFT_SIZES.get(method["type"])
        return None if option is None else f"options.{option}"
    return ALWAYS_SHOWN.get(method["name"])


def method_title(name: str) -> str:
    """`Adapters` for "adapter"; a method that is not listed goes by its own name."""
    return METHOD_TITLES.get(name) or name.replace("_", " ").capitalize()


def short_number(value: float) -> str:
    """`3e-4` for 0.0003, `0.01`, `64`: plain from 0.01 on, else scientific."""
    if abs(value) >= 0.01 or value == 0:
        return f"{value:.10g}"
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
