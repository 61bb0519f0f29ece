"""What names a run: its config without paths, and a hash of every field that can change a score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.config import RunConfig
from harness.records.schema import SCHEMA
from harness.tasks.glue import task_settings
from harness.tasks.reading import READING_KEYS
from harness.tasks.task import Task

# Of a task: its title, and where its own rows lie and how they are read, for which the data's fingerprint stands.
NOT_HASHED = ("title", *READING_KEYS)
# Settings of a run that say what is kept or looked at, and change no score; and the micro-batches (see `TrainConfig`).
NOT_IN_ID = {
    "method": ("budget",),  # the size that it chose stands for it
    "train": ("micro_batch_size", "save", "evaluate_every_epoch", "evaluate_spans"),
    "protocol": ("predict_test",),
}


def identity(
    config: RunConfig, *, task: Task, source: str, model: str | None, precision: str, pooling: str | None = None
) -> dict[str, Any]:
    """The part of a config that says what the run is, as plain values: the record's `config`.

    `source` is the resolved data source, `model` the checkpoint's name without a folder and `precision` bf16 or fp32,
    so that a record holds no path, and the same run has the same config wherever its inputs lie. `pooling` is None
    where it is what `model.pooling=auto` gives, and then no part of a run's config. Without an encoder (`model` is
    None) the sections `model` and `train` are empty: nothing in them matters.
    """
    whole = asdict(config)
    what = {section: whole[section] for section in ("method", "model", "data", "train", "protocol")}
    for section, names in NOT_IN_ID.items():
        for name in names:
            del what[section][name]
    what["task"] = task_settings(task)
    del what["model"]["pooling"]
    if model is None:
        what |= {"model": {}, "train": {}}
    else:
        what["model"] |= {"name": model} | ({"pooling": pooling} if pooling else {})
        what["train"]["precision"] = precision
    what["data"] = {"source": source} | {key: whole["data"][key] for key in ("max_train_rows", "max_eval_rows")}
    return what


def run_id(what: Mapping[str, Any], *, data: str, encoder: str | None) -> str:
    """The id of the run with that identity: a readable part and a hash of every field that can change a score.

    `data` and `encoder` are the fingerprints of the task's rows and of the checkpoint; they stand for the source and
    the names; `encoder` is None without one. Numbers are canonical: 3e-4 is 0.0003.
    """
    hashed = {section: what[section] for section in ("task", "method", "train", "protocol")}
    hashed["task"] = {name: value for name, value in what["task"].items() if name not in NOT_HASHED}
    hashed["data"] = {name: value for name, value in what["data"].items() if name != "source"}
    hashed |= {"data_fingerprint": data, "encoder_fingerprint": encoder, "schema": SCHEMA}
    hashed |= {name: value for name, value in what["model"].items() if name == "pooling"}
    digest = hashlib.sha256(json.dumps(_canonical(hashed), sort_keys=True).encode()).hexdigest()[:12]
    train = what["train"]
    settings = [f"lr{train['learning_rate']:g}", f"ep{train['epochs']}", f"s{train['seed']}"] if train else []
    return "-".join([what["task"]["name"], _short_name(what["method"]), *settings, digest])


def _short_name(method: Mapping[str, Any]) -> str:
    """`adapter64`, `top_layers3`, `lora8`, `peft-oft`, `full`."""
    size = next((method[name] for name in ("bottleneck_size", "layers", "rank") if name in method), "")
    kind = f"-{method['type'].lower()}" if "type" in method else ""
    return f"{method['name']}{size}{kind}"


def _canonical(value: Any) -> Any:
    """Integral floats as integers and others by their shortest form, so that 1, 1.0 and 1e0 hash alike."""
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    return value
