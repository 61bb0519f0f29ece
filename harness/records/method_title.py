"""Methods and numbers as users read them."""

from __future__ import annotations

METHOD_TITLES = {
    "full": "Full fine-tuning",
    "adapter": "Adapters",
    "top_layers": "Top layers",
    "layernorm": "LayerNorms only",
    "bitfit": "BitFit",
    "head": "Head only",
    "lora": "LoRA",
    "ia3": "IA3",
    "peft": "PEFT",
    "tfidf": "TF-IDF",
}
# The setting that is always shown with a method; others are shown where variants differ in them.
ALWAYS_SHOWN = {"adapter": "bottleneck_size", "top_layers": "layers", "lora": "rank"}


def method_title(name: str) -> str:
    """`Adapters` for "adapter"; a method that is not listed goes by its own name."""
    return METHOD_TITLES.get(name) or name.replace("_", " ").capitalize()


def short_number(value: float) -> str:
    """`3e-4` for 0.0003, `0.01`, `64`: plain from 0.01 on, else scientific."""
    if abs(value) >= 0.01 or value == 0:
        return f"{value:.10g}"
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
