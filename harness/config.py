"""What a run is: structured configs, range checks and the run id."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from harness.errors import UserError


@dataclass
class TaskConfig:
    """`name`: a task of GLUE. Any other also has a `kind` and what `harness.tasks.task.task_from` takes."""

    name: str = MISSING
    title: str | None = None
    kind: str | None = None
    text: list[str] | None = None
    labels: list[str] | None = None
    metrics: list[str] | None = None
    headline: str | None = None
    evaluation_sets: list[str] | None = None
    test_sets: list[str] | None = None


@dataclass
class MethodConfig:
    name: str = MISSING


@dataclass
class AdapterConfig(MethodConfig):
    """Bottleneck adapters; the defaults are the paper's (sections 2.1 and 3.6)."""

    name: str = "adapter"
    bottleneck_size: int = 64
    placement: str = "houlsby"
    activation: str = "gelu"
    init_std: float = 1e-2
    train_layernorms: bool = True
    train_head: bool = True
    train_pooler: bool = False


@dataclass
class FullConfig(MethodConfig):
    """Full fine-tuning: every weight of the encoder and the head."""

    name: str = "full"


@dataclass
class TopLayersConfig(MethodConfig):
    """The top `layers` layers train, with pooler and head (section 3.4); what lies below runs without dropout."""

    name: str = "top_layers"
    layers: int = 1


@dataclass
class LayerNormConfig(MethodConfig):
    """Every LayerNorm and the head (section 3.4)."""

    name: str = "layernorm"


@dataclass
class BitFitConfig(MethodConfig):
    """Every bias of the encoder and the head (Ben Zaken et al. 2022)."""

    name: str = "bitfit"


@dataclass
class HeadConfig(MethodConfig):
    """The head alone, on the frozen encoder's pooled output."""

    name: str = "head"


@dataclass
class PeftConfig(MethodConfig):
    """A method of Hugging Face's `peft`: `type` is its PeftType, `options` the fields of its config."""

    name: str = "peft"
    type: str = "LORA"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class ModelConfig:
    """`name`: minilm (the installed package), a folder, or an id on the hub with its `revision`."""

    name: str = MISSING
    revision: str | None = None


@dataclass
class DataConfig:
    """`source`: auto, hub, local (`path` is the folder that holds CoLA/, MRPC/, ...) or synthetic."""

    source: str = "auto"
    path: str | None = None
    revision: str | None = None
    max_train_rows: int | None = None
    max_eval_rows: int | None = None


@dataclass
class ProtocolConfig:
    """`paper`: the official validation set chooses among runs and is reported, which is optimistic (section 3.1).

    `predict_test` also predicts the unlabelled test sets.
    """

    name: str = "paper"
    predict_test: bool = False


@dataclass
class HoldoutConfig(ProtocolConfig):
    """A stratified `fraction` of the training rows (drawn by `seed`) chooses; the validation set is only reported."""

    name: str = "holdout"
    fraction: float = 0.1
    seed: int = 0


@dataclass
class TrainConfig:
    """The optimisation protocol of the paper (section 3.1) and its released code."""

    optimizer: str = "adamw"
    learning_rate: float = 3e-4
    epochs: int = 3
    batch_size: int = 32
    max_length: int = 128
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-6
    clip_norm: float = 1.0
    dropout: float = 0.1
    precision: str = "auto"
    seed: int = 0
    evaluate_every_epoch: bool = False
    evaluate_spans: bool = False
    save: str = "none"


@dataclass
class RunConfig:
    task: TaskConfig = field(default_factory=TaskConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    # Where and how, never what: these stay out of the run id.
    results_dir: str = "results/working"
    cache_dir: str = ".cache"
    device: str = "auto"
    cuda_graphs: bool = False


METHOD_CONFIGS: dict[str, type[MethodConfig]] = {
    "adapter": AdapterConfig,
    "full": FullConfig,
    "top_layers": TopLayersConfig,
    "layernorm": LayerNormConfig,
    "bitfit": BitFitConfig,
    "head": HeadConfig,
    "peft": PeftConfig,
}
PROTOCOL_CONFIGS: dict[str, type[ProtocolConfig]] = {
    "paper": ProtocolConfig,
    "holdout": HoldoutConfig,
}


def register_configs() -> None:
    """Put the schemas where Hydra's defaults lists find them."""
    store = ConfigStore.instance()
    store.store(name="run_schema", node=RunConfig)
    for group, schemas in (("method", METHOD_CONFIGS), ("protocol", PROTOCOL_CONFIGS)):
        for name, schema in schemas.items():
            store.store(group=group, name=f"{name}_schema", node=schema)


@dataclass(frozen=True)
class Range:
    """What a value may be: a predicate and its wording."""

    allows: Callable[[Any], bool]
    words: str


def _one_of(*names: str) -> Range:
    return Range(lambda value: value in names, "one of " + ", ".join(names))


def _above(low: float, below: float = math.inf) -> Range:
    words = f"above {low:g}" if below == math.inf else f"above {low:g} and below {below:g}"
    return Range(lambda value: low < value < below, words)


def _at_least(low: float, below: float = math.inf) -> Range:
    words = f"at least {low:g}" if below == math.inf else f"at least {low:g} and below {below:g}"
    return Range(lambda value: low <= value < below, words)


def _or_null(allowed: Range) -> Range:
    return Range(lambda value: value is None or allowed.allows(value), allowed.words + ", or null")


RANGES: dict[str, Range] = {
    "method.bottleneck_size": _at_least(1),
    "method.placement": _one_of("houlsby", "pfeiffer"),
    "method.layers": _at_least(1),
    "method.activation": _one_of("gelu", "relu", "swish", "tanh"),
    "method.init_std": _above(0),
    "data.max_train_rows": _or_null(_at_least(1)),
    "data.max_eval_rows": _or_null(_at_least(1)),
    "train.optimizer": _one_of("adamw", "bert_adam"),
    "train.learning_rate": _above(0),
    "train.epochs": _at_least(1),
    "train.batch_size": _at_least(1),
    "train.max_length": Range(lambda value: 8 <= value <= 512, "between 8 and 512"),
    "train.warmup_fraction": _at_least(0, 1),
    "train.weight_decay": _at_least(0),
    "train.beta1": _at_least(0, 1),
    "train.beta2": _at_least(0, 1),
    "train.epsilon": _above(0),
    "train.clip_norm": _above(0),
    "train.dropout": _at_least(0, 0.99),
    "train.precision": _one_of("auto", "bf16", "fp32"),
    "train.seed": _at_least(0, 2**31),
    "train.save": _one_of("none", "best", "all"),
    "protocol.name": _one_of(*PROTOCOL_CONFIGS),
    "protocol.fraction": _above(0, 1),
    "protocol.seed": _at_least(0, 2**31),
}


def check(config: RunConfig) -> None:
    """Raise `UserError` for the first value out of its range, naming key, value and what is allowed."""
    for key, allowed in RANGES.items():
        section, _, name = key.partition(".")
        part = getattr(config, section)
        if hasattr(part, name):
            value = getattr(part, name)
            if not allowed.allows(value) or (isinstance(value, float) and not math.isfinite(value)):
                raise UserError(f"{key}={value} is out of range: it must be {allowed.words}")
