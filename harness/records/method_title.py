"""The methods by the names that users read."""

from __future__ import annotations

METHOD_TITLES = {
    "full": "Full fine-tuning",
    "adapter": "Adapters",
    "top_layers": "Top layers",
    "layernorm": "LayerNorms only",
    "bitfit": "BitFit",
    "head": "Head only",
    "peft": "PEFT",
}
# The setting that is always shown with a method; others are shown where variants differ in them.
ALWAYS_SHOWN = {"adapter": "bottleneck_size", "top_layers": "layers"}


def method_title(name: str) -> str:
    """`Adapters` for "adapter"; a method that is not listed goes by its own name."""
    return METHOD_TITLES.get(name) or name.replace("_", " ").capitalize()
