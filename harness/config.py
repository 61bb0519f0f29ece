"""What a run is: its options as dataclasses, each with the values that it allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING, OmegaConf

from harness.errors import UserError


@dataclass(frozen=True)
class Range:
    """The values that an option allows: a predicate and its wording, and why some others are not allowed."""

    allows: Callable[[Any], bool]
    words: str
    reasons: Mapping[Any, str] = field(default_factory=dict)


def one_of(*names: str, **reasons: str) -> Range:
    return Range(lambda value: value in names, "one of " + ", ".join(names), reasons)


def above(low: float, below: float = math.inf) -> Range:
    words = f"above {low:g}" if below == math.inf else f"above {low:g} and below {below:g}"
    return Range(lambda value: low < value < below, words)


def at_least(low: float, below: float = math.inf) -> Range:
    words = f"at least {low:g}" if below == math.inf else f"at least {low:g} and below {below:g}"
    return Range(lambda value: low <= value < below, words)


def between(low: float, high: float) -> Range:
    return Range(lambda value: low <= value <= high, f"between {low:g} and {high:g}")


def or_null(allowed: Range) -> Range:
    return Range(lambda value: value is None or allowed.allows(value), allowed.words + ", or null")


def only(name: str, group: str) -> Range:
    """The name of a schema: another name is another option of its config group, with other fields."""
    return Range(lambda value: value == name, f"{name} here; choose another {group} with {group}=NAME")


def each(allowed: Range) -> Range:
    """At least one value, and none twice."""

    def allows(values: list[Any]) -> bool:
        return bool(values) and len(set(values)) == len(values) and all(map(allowed.allows, values))

    return Range(allows, f"a list of different values, each {allowed.words}")


def option(default: Any, allowed: Range | None = None, *, one_per_sweep: bool = False) -> Any:
    """A field with the values that it allows (None: all of its type).

    `one_per_sweep` marks options outside the run id, on which all runs of a sweep must agree.
    """
    return field(default=default, metadata={"allowed": allowed, "one_per_sweep": one_per_sweep})


_SEED = at_least(0, 2**31)


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
    """`has_encoder`: whether the method uses one; without, no option of `model` or `train` matters."""

    has_encoder: ClassVar[bool] = True
    name: str = MISSING


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


@dataclass
class ModelConfig:
    """`name`: minilm (the installed package), a folder, or an id on the hub with its `revision`."""

    name: str = MISSING
    revision: str | None = None


@dataclass
class DataConfig:
    """`source`: auto, hub, local (`path` is the folder with CoLA/, MRPC/, ...) or synthetic; `revision`: the hub's."""

    source: str = "auto"
    path: str | None = None
    revision: str | None = None
    max_train_rows: int | None = option(None, or_null(at_least(1)))
    max_eval_rows: int | None = option(None, or_null(at_least(1)))


@dataclass
class ProtocolConfig:
    """`paper`: runs are selected and reported on the official validation set, which is optimistic (section 3.1).

    `predict_test` also predicts the unlabelled test sets.
    """

    name: str = option("paper", only("paper", "protocol"))
    predict_test: bool = option(False, one_per_sweep=True)


@dataclass
class HoldoutConfig(ProtocolConfig):
    """Runs are selected on a stratified `fraction` of the training rows, drawn with `seed`, and reported on the
    official validation set.
    """

    name: str = option("holdout", only("holdout", "protocol"))
    fraction: float = option(0.1, above(0, 1))
    seed: int = option(0, _SEED)


# The fused optimizer takes one loss scale and one flag to skip a step, for all runs of a stack.
_NO_FP16 = "fp16 would need a loss scale that skips steps, and the runs of a stack step together; fp32 runs anywhere"


@dataclass
class TrainConfig:
    """The optimisation protocol of the paper (section 3.1) and its released code.

    `micro_batch_size`: of each batch that many rows per run are computed at once (null: all), for a run that does not
    fit into memory otherwise. It is outside the run id, like the size of a stack: the step is the same up to rounding
    and to which dropout masks are drawn, and a sweep that is resumed with it must not repeat what has finished.
    Records name it.
    """

    optimizer: str = option("adamw", one_of("adamw", "bert_adam"))
    learning_rate: float = option(3e-4, above(0))
    epochs: int = option(3, at_least(1))
    batch_size: int = option(32, at_least(1))
    micro_batch_size: int | None = option(None, or_null(at_least(1)), one_per_sweep=True)
    max_length: int = option(128, between(8, 512))
    warmup_fraction: float = option(0.1, at_least(0, 1))
    weight_decay: float = option(0.01, at_least(0))
    beta1: float = option(0.9, at_least(0, 1))
    beta2: float = option(0.999, at_least(0, 1))
    epsilon: float = option(1e-6, above(0))
    clip_norm: float = option(1.0, above(0))
    dropout: float = option(0.1, at_least(0, 0.99))
    precision: str = option("auto", one_of("auto", "bf16", "fp32", fp16=_NO_FP16))
    seed: int = option(0, _SEED)
    evaluate_every_epoch: bool = option(False, one_per_sweep=True)
    evaluate_spans: bool = option(False, one_per_sweep=True)
    save: str = option("none", one_of("none", "best", "all"), one_per_sweep=True)


@dataclass
class RunConfig:
    task: TaskConfig = field(default_factory=TaskConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    # Where and how, never what: these stay out of the run id.
    results_dir: str = option("results/working", one_per_sweep=True)
    cache_dir: str = option(".cache", one_per_sweep=True)
    device: str = option("auto", one_per_sweep=True)
    cuda_graphs: bool = option(False, one_per_sweep=True)


METHOD_CONFIGS: dict[str, type[MethodConfig]] = {
    "adapter": AdapterConfig,
    "full": FullConfig,
    "top_layers": TopLayersConfig,
    "layernorm": LayerNormConfig,
    "bitfit": BitFitConfig,
    "head": HeadConfig,
    "peft": PeftConfig,
    "tfidf": TfidfConfig,
}
PROTOCOL_CONFIGS: dict[str, type[ProtocolConfig]] = {
    "paper": ProtocolConfig,
    "holdout": HoldoutConfig,
}


def register_configs() -> None:
    """Put the schemas where Hydra's defaults lists find them, and register the resolver `per_task`."""
    from hydra.core.config_store import ConfigStore  # a third of a second, which only `run` needs

    OmegaConf.register_new_resolver("per_task", per_task, replace=True)

    store = ConfigStore.instance()
    store.store(name="run_schema", node=RunConfig)
    for group, schemas in (("method", METHOD_CONFIGS), ("protocol", PROTOCOL_CONFIGS)):
        for name, schema in schemas.items():
            store.store(group=group, name=f"{name}_schema", node=schema)


def per_task(values: Mapping[str, Any], *, _root_: Any) -> Any:
    """`${per_task:{cola: 20, rte: 50}}` in a config: the value for the task of the run."""
    name = _root_.task.name
    if name not in values:
        raise UserError(f"this experiment has no value for task {name}, only for {', '.join(values)}; give one")
    return values[name]


def conf_folder() -> Path:
    """The folder of the YAML configs: inside the package where it is installed, next to it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def check(config: RunConfig) -> None:
    """Raise `UserError` for the first value out of its range, naming key, value and what is allowed."""
    for key, item, value in _options(config):
        allowed = item.metadata.get("allowed")
        finite = not isinstance(value, float) or math.isfinite(value)
        if allowed is not None and not (allowed.allows(value) and finite):
            reason = f"; {allowed.reasons[value]}" if value in allowed.reasons else ""
            raise UserError(f"{key}={value} is out of range: it must be {allowed.words}{reason}")


def check_sweep(configs: Iterable[RunConfig]) -> None:
    """Raise `UserError` where runs of one sweep differ in an option of which a sweep has one value."""
    seen: dict[str, Any] = {}
    for config in configs:
        for key, item, value in _options(config):
            if item.metadata.get("one_per_sweep") and seen.setdefault(key, value) != value:
                raise UserError(
                    f"{key} must be the same for all runs of a sweep, not {seen[key]} and {value}; "
                    "start one command for each value"
                )


def _options(config: RunConfig) -> Iterator[tuple[str, Field, Any]]:
    """Key, field and value of every option, whatever schemas the sections have."""
    for item in fields(config):
        section = getattr(config, item.name)
        if not is_dataclass(section):
            yield item.name, item, section
            continue
        for inner in fields(section):
            yield f"{item.name}.{inner.name}", inner, getattr(section, inner.name)
