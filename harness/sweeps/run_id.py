"""What names a run: its config without paths, and a hash of every field that can change a score."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from harness.config import MethodConfig, PeftConfig, RunConfig
from harness.records.record import SCHEMA


def identity(config: RunConfig, *, source: str, model: str) -> dict[str, Any]:
    """The part of a config that says what the run is, as plain values: the record's `config`.

    `source` is the resolved data source and `model` the checkpoint's name without a folder, so that a record
    holds no path and the same run has the same config wherever its inputs lie.
    """
    whole = asdict(config)
    what = {section: whole[section] for section in ("task", "method", "model", "data", "train", "protocol")}
    del what["train"]["save"], what["protocol"]["predict_test"]  # what is kept changes no score
    what["model"]["name"] = model
    what["data"] = {"source": source} | {key: whole["data"][key] for key in ("max_train_rows", "max_eval_rows")}
    return what


def run_id(config: RunConfig, *, data: str, encoder: str) -> str:
    """Readable part and a hash of every field that can change a score.

    `data` and `encoder` are the fingerprints of the task's data and of the checkpoint; they stand for sources and
    names. Numbers are canonical: 3e-4 is 0.0003.
    """
    what = identity(config, source="", model="")
    del what["model"], what["data"]["source"]
    if what["protocol"] == {"name": "paper"}:
        del what["protocol"]  # the ids of before there were others
    what |= {"data_fingerprint": data, "encoder_fingerprint": encoder, "schema": SCHEMA}
    digest = hashlib.sha256(json.dumps(_canonical(what), sort_keys=True).encode()).hexdigest()[:12]
    parts = [config.task.name, _short_name(config.method)]
    parts += [f"lr{config.train.learning_rate:g}", f"ep{config.train.epochs}", f"s{config.train.seed}", digest]
    return "-".join(parts)


def _short_name(method: MethodConfig) -> str:
    """`adapter64`, `top_layers3`, `peft-lora`, `full`."""
    size = getattr(method, "bottleneck_size", getattr(method, "layers", ""))
    kind = f"-{method.type.lower()}" if isinstance(method, PeftConfig) else ""
    return f"{method.name}{size}{kind}"


def _canonical(value: Any) -> Any:
    """Integral floats as integers and others by their shortest form, so that 1, 1.0 and 1e0 hash alike."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    return value
