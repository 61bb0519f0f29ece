"""Methods of Hugging Face's `peft` inside the frozen encoder: what it injects into layers, and prefix tuning."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import UserError
from harness.method_config import PeftConfig
from harness.model.families import get_family

PREFIX = "PREFIX_TUNING"
# The types that a test trains, with their configs in peft. Others need more than being injected: AdaLoRA, for one, has
# a schedule of ranks and a loss of its own, without which it would be another method under that name.
CONFIGS = {
    "FOURIERFT": "FourierFTConfig",
    "HRA": "HRAConfig",
    "IA3": "IA3Config",
    "LOHA": "LoHaConfig",
    "LOKR": "LoKrConfig",
    "LORA": "LoraConfig",
    "OFT": "OFTConfig",
    PREFIX: "PrefixTuningConfig",
}


def inject_peft(encoder: nn.Module, config: PeftConfig) -> None:
    """Put a method of `peft` into the encoder; `UserError` for a type or options that it cannot take."""
    try:
        import peft
    except ImportError as error:
        raise UserError("method=peft needs peft: pip install peft") from error
    if config.type not in CONFIGS:
        raise UserError(f"method.type={config.type} is not supported; choose one of {', '.join(CONFIGS)}")
    options = dict(config.options)
    try:
        if config.type == PREFIX:
            _put_prefix(encoder, options)
            return
        if config.type != "IA3":  # query and value, as in LoRA's paper; peft does not know their names in every family
            names = get_family(encoder.config.model_type).projections
            options = {"target_modules": [*dict.fromkeys((names[0], names[-1]))]} | options  # or the one that has all
        peft.inject_adapter_in_model(getattr(peft, CONFIGS[config.type])(**options), encoder)
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{name}={value}" for name, value in config.options.items())
        raise UserError(f"method.type={config.type}, method.options={{{shown}}}: {error}") from error


class Prefix(nn.Module):
    """Trained keys and values before those of every layer (prefix tuning, Li and Liang 2021), from peft's encoder.

    The classifier computes `states` once per forward: `[layers, 2, heads, virtual tokens, d / heads]`.
    """

    def __init__(self, encoder: nn.Module, options: dict[str, Any]) -> None:
        import peft

        super().__init__()
        shape = encoder.config
        own = {
            "token_dim": shape.hidden_size,
            "num_layers": shape.num_hidden_layers,
            "num_attention_heads": shape.num_attention_heads,
            "encoder_hidden_size": shape.hidden_size,
        }
        config = peft.PrefixTuningConfig(**{"num_virtual_tokens": 20} | own | options)
        self.tokens = config.num_virtual_tokens
        self.shape = (self.tokens, config.num_layers, 2, config.num_attention_heads, -1)
        self.encode = peft.PrefixEncoder(config)
        self.states: Tensor | None = None

    def compute(self) -> None:
        device = self.encode.embedding.weight.device
        flat = self.encode(torch.arange(self.tokens, device=device)[None])
        self.states = flat.view(self.shape).permute(1, 2, 3, 0, 4)


class LayerPrefix:
    """One layer's share of a `Prefix`; the attention function looks for it on its module."""

    def __init__(self, prefix: Prefix, layer: int) -> None:
        self.prefix, self.layer = prefix, layer

    def extend(self, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """key and value `[N, heads, T, d]` and mask `[N, 1, 1, T]` with the virtual tokens before them."""
        own_key, own_value = (
            part.to(key.dtype).expand(len(key), -1, -1, -1) for part in self.prefix.states[self.layer]
        )
        longer = None if mask is None else F.pad(mask, (self.prefix.tokens, 0), value=True)
        return torch.cat([own_key, key], 2), torch.cat([own_value, value], 2), longer


def _put_prefix(encoder: nn.Module, options: dict[str, Any]) -> None:
    encoder.prefix = Prefix(encoder, options)
    family = get_family(encoder.config.model_type)
    for index, layer in enumerate(family.layers_of(encoder)):
        layer.get_submodule(family.attention).layer_prefix = LayerPrefix(encoder.prefix, index)
