"""The options of every method (config group `method`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from omegaconf import MISSING

from harness.options import Range, above, at_least, each, one_of, only, option, or_null

_SHARE = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+) ?%")


def budget_parameters(budget: Any, encoder: int) -> int:
    """The parameters that a budget allows: a number of them, or a share (`"2.7%"`) of the encoder's.

    Raises `ValueError` for anything else.
    """
    if isinstance(budget, str) and (share := _SHARE.fullmatch(budget)):
        return int(float(share[1]) / 100 * encoder)
    if isinstance(budget, bool) or float(budget) != int(float(budget)):
        raise ValueError(budget)
    return int(float(budget))


def _is_budget(value: Any) -> bool:
    try:
        return budget_parameters(value, 10**9) >= 1
    except (TypeError, ValueError, OverflowError):
        return False


BUDGET = Range(_is_budget, "a number of parameters (600000) or a share of the encoder's (2.7%)")


@dataclass
class MethodConfig:
    """`has_encoder`: whether the method uses one; without, no option of `model` or `train` matters.

    `budget`: choose the method's size (`harness.records.method_title.size_key`) so that it trains no more parameters
    than that, the head included, and as many as it can. The run is the one with that size.
    """

    has_encoder: ClassVar[bool] = True
    name: str = MISSING
    budget: Any = field(default=None, metadata={"allowed": or_null(BUDGET)})


@dataclass
class AdapterConfig(MethodConfig):
    """Bottleneck adapters; the defaults are the paper's (sections 2.1 and 3.6)."""

    name: str = option("adapter", only("adapter", "method"))
    bottleneck_size: int = option(64, at_least(1))
    placement: str = option("houlsby", one_of("houlsby", "pfeiffer"))
    activation: str = option("gelu", one_of("gelu", "relu", "swish", "tanh"))
    init_std: float = option(1e-2, above(0))
    train_layernorms: bool = True
    train_head: bool = True
    train_pooler: bool = False


@dataclass
class FullConfig(MethodConfig):
    """Full fine-tuning: every weight of the encoder and the head."""

    name: str = option("full", only("full", "method"))


@dataclass
class TopLayersConfig(MethodConfig):
    """The top `layers` layers, pooler and head train (section 3.4); the layers below run without dropout."""

    name: str = option("top_layers", only("top_layers", "method"))
    layers: int = option(1, at_least(1))


@dataclass
class LayerNormConfig(MethodConfig):
    """Every LayerNorm and the head (section 3.4)."""

    name: str = option("layernorm", only("layernorm", "method"))


@dataclass
class BitFitConfig(MethodConfig):
    """Every bias of the encoder and the head (Ben Zaken et al. 2022)."""

    name: str = option("bitfit", only("bitfit", "method"))


@dataclass
class HeadConfig(MethodConfig):
    """The head alone, on the frozen encoder's pooled output."""

    name: str = option("head", only("head", "method"))


_TARGETS = {"allowed": each(Range(bool, "a short name or a regular expression"))}


@dataclass
class LoraConfig(MethodConfig):
    """LoRA (Hu et al. 2022) and the head; `target_modules` by short names or regular expressions
    (`harness.model.targets`), query and value as in the paper.

    The product is scaled by alpha / rank, or with `rslora` by alpha / sqrt(rank).
    """

    name: str = option("lora", only("lora", "method"))
    rank: int = option(64, at_least(1))
    alpha: float = option(64.0, above(0))
    dropout: float = option(0.0, at_least(0, 0.99))
    target_modules: list[str] = field(default_factory=lambda: ["query", "value"], metadata=_TARGETS)
    rslora: bool = False


@dataclass
class IA3Config(MethodConfig):
    """IA3 (Liu et al. 2022) and the head: vectors that rescale keys, values and feed-forward activations."""

    name: str = option("ia3", only("ia3", "method"))
    target_modules: list[str] = field(default_factory=lambda: ["key", "value", "output"], metadata=_TARGETS)


@dataclass
class PrefixConfig(MethodConfig):
    """Prefix tuning (Li and Liang 2021) and the head: keys and values of `virtual_tokens` before those of every layer.

    The numbers train directly; `peft`'s `prefix_projection` is under `PeftConfig`.
    """

    name: str = option("prefix", only("prefix", "method"))
    virtual_tokens: int = option(20, at_least(1))


@dataclass
class PeftConfig(MethodConfig):
    """A method of Hugging Face's `peft`: `type` is its PeftType, `options` the fields of its config."""

    name: str = option("peft", only("peft", "method"))
    type: str = "LORA"
    options: dict[str, Any] = field(default_factory=dict)


FEATURES = ("word", "char", "word+char")  # of `method=tfidf`


@dataclass
class TfidfConfig(MethodConfig):
    """TF-IDF and a linear model instead of an encoder; `features` × `inverse_penalty` is the grid that is tried."""

    has_encoder: ClassVar[bool] = False
    name: str = option("tfidf", only("tfidf", "method"))
    features: list[str] = field(default_factory=lambda: list(FEATURES), metadata={"allowed": each(one_of(*FEATURES))})
    inverse_penalty: list[float] = field(
        default_factory=lambda: [0.3, 1.0, 3.0, 10.0, 30.0], metadata={"allowed": each(above(0))}
    )
    max_features: int = option(100_000, at_least(1))


METHOD_CONFIGS: dict[str, type[MethodConfig]] = {
    "adapter": AdapterConfig,
    "full": FullConfig,
    "top_layers": TopLayersConfig,
    "layernorm": LayerNormConfig,
    "bitfit": BitFitConfig,
    "head": HeadConfig,
    "lora": LoraConfig,
    "ia3": IA3Config,
    "prefix": PrefixConfig,
    "peft": PeftConfig,
    "tfidf": TfidfConfig,
}
