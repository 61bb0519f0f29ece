"""Methods of Hugging Face's `peft` inside the frozen encoder: what it injects into layers, and prefix tuning."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.method_config import PeftConfig
from harness.model.families import get_family
from harness.model.prefix import Prefix, insert_prefix

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
    if torch.distributed.is_available():  # peft asks whether weights are its tensors, and leaves the import to others
        importlib.import_module("torch.distributed.tensor")
    if config.type not in CONFIGS:
        raise UserError(f"method.type={config.type} is not supported; choose one of {', '.join(CONFIGS)}")
    options = dict(config.options)
    try:
        if config.type == PREFIX:
            insert_prefix(encoder, PeftPrefix(encoder, options))
            return
        if config.type != "IA3":  # query and value, as in LoRA's paper; peft does not know their names in every family
            names = get_family(encoder.config.model_type).projections
            options = {"target_modules": [*dict.fromkeys((names[0], names[-1]))]} | options  # or the one that has all
        peft.inject_adapter_in_model(getattr(peft, CONFIGS[config.type])(**options), encoder)
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{name}={value}" for name, value in config.options.items())
        raise UserError(f"method.type={config.type}, method.options={{{shown}}}: {error}") from error


class PeftPrefix(Prefix):
    """A prefix from `peft`'s encoder: numbers of its own, or with `prefix_projection` a network that computes them."""

    def __init__(self, encoder: nn.Module, options: dict[str, Any]) -> None:
        import peft

        shape = encoder.config
        super().__init__(shape)
        own = {
            "token_dim": shape.hidden_size,
            "num_layers": shape.num_hidden_layers,
            "num_attention_heads": shape.num_attention_heads,
            "encoder_hidden_size": shape.hidden_size,
        }
        config = peft.PrefixTuningConfig(**{"num_virtual_tokens": 20} | own | options)
        self.tokens = config.num_virtual_tokens
        self.encode = peft.PrefixEncoder(config)

    def vectors(self) -> Tensor:
        return self.encode(torch.arange(self.tokens, device=self.encode.embedding.weight.device)[None])
