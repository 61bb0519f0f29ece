"""What a run is: its options as dataclasses, each with the values that it allows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf

from harness.errors import UserError
from harness.method_config import METHOD_CONFIGS, MethodConfig
from harness.options import SEED, above, at_least, between, one_of, only, option, or_null
from harness.tracker_config import TrackerConfig


@dataclass
class FilesConfig:
    """One file per split; paths are relative to `data.path`."""

    train: str | None = None
    validation: str | None = None
    test: str | None = None


@dataclass
class SplitConfig:
    """Shares of rows that become splits (of `file` 0.1 each unless given), stratified and drawn with `seed` (0)."""

    validation: float | None = option(None, or_null(at_least(0, 1)))
    test: float | None = option(None, or_null(at_least(0, 1)))
    seed: int | None = option(None, or_null(SEED))
    keep_duplicates_together: bool | None = None  # true: rows of equal texts go to one split


@dataclass
class HubConfig:
    """A data set on the Hugging Face hub; `revision` is a full commit hash (null: the newest commit)."""

    name: str | None = None
    config: str | None = None
    revision: str | None = None


@dataclass
class TaskConfig:
    """`name`: a task of GLUE. Any other also has a `kind`; null is the default of each key.

    `title` to `test_sets` say what the task is (`harness.tasks.task.task_from`), the keys below where its rows lie and
    how they are read (`harness.tasks.reading`); without those, a source of your own delivers the rows.
    """

    name: str = MISSING
    title: str | None = None
    kind: str | None = None
    text: list[Any] | None = None
    labels: Any = None  # a list, or a mapping from values in the file to labels; null: the values of the training rows
    metrics: list[str] | None = None
    headline: str | None = None
    evaluation_sets: list[str] | None = None
    test_sets: list[str] | None = None
    stride: int | None = option(None, or_null(at_least(0)))  # span: tokens that windows share
    max_answer_tokens: int | None = option(None, or_null(at_least(1)))  # span
    label: Any = None
    unknown_labels: str | None = option(None, or_null(one_of("error", "drop")))
    min_label_rows: int | None = option(None, or_null(at_least(1)))
    file: str | None = None
    files: FilesConfig = field(default_factory=FilesConfig)
    hub: HubConfig = field(default_factory=HubConfig)
    folder: str | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    format: str | None = option(None, or_null(one_of("csv", "tsv", "jsonl", "parquet")))
    delimiter: str | None = None
    quoting: str | None = option(None, or_null(one_of("minimal", "none")))
    header: bool | None = None
    encoding: str | None = None
    missing: list[Any] | None = None
    expected_rows: int | None = option(None, or_null(at_least(1)))


@dataclass
class ModelConfig:
    """`name`: minilm (the installed package), a folder, or an id on the hub with its `revision`.

    `pooling`: what the head reads of the last layer; auto is the checkpoint's pooler or else the first token.
    """

    name: str = MISSING
    revision: str | None = None
    pooling: str = option("auto", one_of("auto", "pooler", "first", "mean"))


@dataclass
class DataConfig:
    """`source`: auto, hub, local (`path` is the folder of GLUE or of a task's own files) or synthetic; `revision`: of
    GLUE on the hub.
    """

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
    seed: int = option(0, SEED)


@dataclass
class TestConfig(ProtocolConfig):
    """Runs are selected on the validation split and reported on a test split with gold labels (section 3.3)."""

    name: str = option("test", only("test", "protocol"))


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
    seed: int = option(0, SEED)
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
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    results_dir: str = option("results/working", one_per_sweep=True)
    cache_dir: str = option(".cache", one_per_sweep=True)
    device: str = option("auto", one_per_sweep=True)
    cuda_graphs: bool = option(False, one_per_sweep=True)
    checkpoint_minutes: float = option(10.0, at_least(0), one_per_sweep=True)  # 0: none


PROTOCOL_CONFIGS: dict[str, type[ProtocolConfig]] = {
    "paper": ProtocolConfig,
    "holdout": HoldoutConfig,
    "test": TestConfig,
}


def register_configs() -> None:
    """Put the schemas where Hydra's defaults lists find them, and register the resolvers `per_task` and `per_size`."""
    OmegaConf.register_new_resolver("per_task", per_task, replace=True)
    OmegaConf.register_new_resolver("per_size", per_size, replace=True)

    _store(None, "run_schema", RunConfig)
    for group, schemas in (("method", METHOD_CONFIGS), ("protocol", PROTOCOL_CONFIGS)):
        for name, schema in schemas.items():
            _store(group, f"{name}_schema", schema)


@cache  # a fifth of what composing a config takes
def _store(group: str | None, name: str, schema: type) -> None:
    from hydra.core.config_store import ConfigStore  # a third of a second, which only `run` needs

    ConfigStore.instance().store(group=group, name=name, node=schema)


def per_task(values: Mapping[str, Any], *, _root_: Any) -> Any:
    """`${per_task:{cola: 20, rte: 50}}` in a config: the value for the task of the run."""
    return _value_for(_root_.task.name, values, "task")


def per_size(values: Mapping[int, Any], *, _root_: Any) -> Any:
    """`${per_size:{8: 2e-3, 64: 7e-4}}` in a config: the value for the bottleneck size of the run."""
    if _root_.method.budget is not None:
        raise UserError(
            f"this experiment has values for sizes, and method.budget={_root_.method.budget} chooses the size later; "
            "give the values that it has for each size"
        )
    return _value_for(_root_.method.bottleneck_size, values, "bottleneck size")


def _value_for(key: str | int, values: Mapping[Any, Any], what: str) -> Any:
    if key not in values:
        known = ", ".join(map(str, values))
        raise UserError(f"this experiment has no value for {what} {key}, only for {known}; give one")
    return values[key]


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
            reason = f"; {allowed.reasons[str(value)]}" if str(value) in allowed.reasons else ""
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


def _options(section: Any, prefix: str = "") -> Iterator[tuple[str, Field, Any]]:
    """Key, field and value of every option, whatever schemas the sections have."""
    for item in fields(section):
        value = getattr(section, item.name)
        if is_dataclass(value):
            yield from _options(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", item, value
