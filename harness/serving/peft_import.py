"""A LoRA that Hugging Face's `peft` has trained and saved, as a task of a bank."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from harness.config import TaskConfig
from harness.errors import UserError
from harness.method_config import LoraConfig
from harness.model.build import assemble
from harness.model.checkpoint import Checkpoint, encoder_config, encoder_of, find_checkpoint, longest_input
from harness.model.heads import HEADS
from harness.model.parameters import count
from harness.model.replica_state import load_tensors
from harness.model.targets import find_targets, short_names
from harness.records.schema import SCHEMA, Record
from harness.serving.bank_folder import store_in
from harness.serving.peft_export import PlainModel, plain_model
from harness.tasks.glue import find_task, task_settings
from harness.tasks.task import Task

# What peft's config may say without another result under the same weights; everything else must be off.
_FREE = {
    "auto_mapping", "base_model_name_or_path", "exclude_modules", "inference_mode", "layers_pattern",
    "layers_to_transform", "lora_alpha", "lora_dropout", "megatron_core", "modules_to_save", "peft_type",
    "peft_version", "qalora_group_size", "r", "revision", "target_modules", "task_type", "use_rslora",
}  # fmt: skip
_STARTS = (True, False, "gaussian", "orthogonal")  # of init_lora_weights: others change the frozen weights too


def import_lora(
    source: Path, folder: Path, *, task: str, model: str | None, max_length: int, replace: bool
) -> list[str]:
    """Put the LoRA in `source`, as `save_pretrained` of a `peft` model wrote it, into the bank `folder`.

    `task` is a GLUE task, whose labels the head must have in GLUE's order, or a YAML file that describes a task, as
    in conf/task. `model` is the encoder, where it is not the base model that the LoRA names. Returns one line for the
    task. Raises `UserError`, before anything is written, for what this harness would compute otherwise than `peft`.
    """
    config = _read_config(source)
    found = _task(task)
    checkpoint = find_checkpoint(model or config.get("base_model_name_or_path") or _no_base(source))
    encoder, shape = encoder_of(checkpoint), encoder_config(checkpoint)
    longest = longest_input(encoder)
    if not 8 <= max_length <= longest:
        raise UserError(f"--max-length={max_length} is out of range: it must be between 8 and this encoder's {longest}")
    pooling = _pooling(found, encoder)
    plain = plain_model(shape, found, pooling)
    saved, digest = _read_tensors(source)
    tensors = _renamed(saved, plain, encoder, where=source)
    method = _method(config, tensors, encoder)
    # Fills a classifier as prediction will, which compares names and shapes.
    classifier = assemble(
        checkpoint, [found.kind.outputs], [method], seeds=[0], dropout=0.0, device=torch.device("cpu"), bf16=False,
        reads_all_tokens=HEADS[found.kind.name].reads_all_tokens,
    )  # fmt: skip
    load_tensors(classifier, 0, tensors, where=str(source))
    record = _record(found, method, checkpoint, shape, pooling, max_length) | {
        "run_id": f"{found.name}-lora{method.rank}-peft-{digest[:12]}",
        "imported": {"folder": source.resolve().name, "peft_version": config.get("peft_version")},
    }
    return store_in(folder, [(record, tensors, (None, None))], replace=replace, model=model, source=source)


def _read_config(source: Path) -> dict[str, Any]:
    path = source / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["peft_type"]
        if kind == "LORA" and (int(config["r"]) < 1 or float(config["lora_alpha"]) <= 0):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{source} holds no adapter of peft: {path.name} is missing or damaged") from None
    if kind != "LORA":
        raise UserError(f"{path}: peft_type {kind} cannot be added, only LORA")
    start = config.pop("init_lora_weights", True)
    used = [name for name, value in config.items() if name not in _FREE and value not in (None, False, "none", {}, [])]
    if used or start not in _STARTS:
        name, value = (used[0], config[used[0]]) if used else ("init_lora_weights", start)
        raise UserError(f"{path}: {name}={value} is not supported here, only plain LoRA")
    return config


def _no_base(source: Path) -> str:
    raise UserError(f"{source} does not name its base model; give it as --model")


def _task(name: str) -> Task:
    """The task of that name, or of that YAML file."""
    if not name.endswith((".yaml", ".yml")):
        return find_task({"name": name})
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        given = OmegaConf.load(name)
        settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TaskConfig), given.get("task", given)))
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"--task={name} does not describe a task: {str(error).splitlines()[0]}") from None
    task = find_task(asdict(settings))
    if not task.kind.outputs:
        raise UserError(f"--task={name}: name the labels, in the order of the head's outputs")
    return task


def _pooling(task: Task, encoder: PreTrainedModel) -> str:
    """What the heads of transformers' own models read, in the words of records."""
    if HEADS[task.kind.name].reads_all_tokens:
        return "all tokens"
    return "first token" if getattr(encoder, "pooler", None) is None else "pooler"


def _read_tensors(source: Path) -> tuple[dict[str, Tensor], str]:
    """The saved tensors in fp32 by their names without peft's prefix, and the file's sha256."""
    path = source / "adapter_model.safetensors"
    try:
        data = path.read_bytes()
        saved = load(data)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}); save the adapter with safe_serialization=True") from None
    return {name.removeprefix("base_model.model."): tensor.float() for name, tensor in saved.items()}, (
        hashlib.sha256(data).hexdigest()
    )


def _renamed(
    saved: Mapping[str, Tensor], plain: PlainModel, encoder: PreTrainedModel, *, where: Path
) -> dict[str, Tensor]:
    """The tensors by their names here; `UserError` for a head that is no linear map on what heads here read."""
    if not plain.head:
        raise UserError(
            f"{where}: the classifier of transformers for {encoder.config.model_type} has layers between the encoder "
            "and its outputs that no head here has"
        )
    tensors = {}
    for name, tensor in saved.items():
        path, _, kind = name.removeprefix(plain.encoder).rpartition(".lora_")
        if path:
            tensors[f"encoder.{path}.{({'A': 'down', 'B': 'up'}).get(kind[0], kind)}"] = tensor.t().contiguous()
        elif name in (f"{plain.head}.weight", f"{plain.head}.bias"):
            tensors[f"head.{name.rpartition('.')[2]}"] = tensor.t().contiguous()
        elif plain.dense and name.startswith(f"{plain.dense}."):
            if not torch.equal(tensor, encoder.pooler.dense.get_parameter(name.rpartition(".")[2]).float()):
                raise UserError(f"{where} trained {plain.dense}, for which heads here have the encoder's own pooler")
        else:
            raise UserError(f"{where} holds {name}, which is neither LoRA nor {plain.head}")
    if "head.weight" not in tensors:
        raise UserError(f"{where} holds no head; name it in modules_to_save: [{plain.head.partition('.')[0]}]")
    return tensors


def _method(config: Mapping[str, Any], tensors: Mapping[str, Tensor], encoder: PreTrainedModel) -> LoraConfig:
    """Our config, with short names for the target modules where they say it all."""
    paths = {name.removeprefix("encoder.").rpartition(".")[0] for name in tensors if name.startswith("encoder.")}
    linear = find_targets(encoder, list(short_names(encoder.config.model_type)))
    if not paths <= linear.keys():
        raise UserError(f"its LoRA on {min(paths - linear.keys())} is on no linear map of this encoder's layers")
    short = [name for name in short_names(encoder.config.model_type) if find_targets(encoder, [name]).keys() <= paths]
    covered = set().union(*(find_targets(encoder, [name]) for name in short))
    return LoraConfig(
        rank=config["r"],
        alpha=float(config["lora_alpha"]),
        dropout=float(config.get("lora_dropout", 0.0)),
        target_modules=short + sorted(path.replace(".", r"\.") for path in paths - covered),
        rslora=bool(config.get("use_rslora")),
    )


def _record(
    task: Task, method: LoraConfig, checkpoint: Checkpoint, shape: PretrainedConfig, pooling: str, max_length: int
) -> Record:
    """What a bank needs to know; how the LoRA was trained, and on which rows, is not known."""
    return {
        "schema": SCHEMA,
        "status": "completed",
        "error": None,
        "degenerate": False,
        "config": {
            "task": task_settings(task),
            "method": {key: value for key, value in asdict(method).items() if key != "budget"},  # as runs have it
            "model": {"name": checkpoint.name, "revision": checkpoint.revision},
            "data": {"source": "unknown", "max_train_rows": None, "max_eval_rows": None},
            "train": {"max_length": max_length, "seed": 0, "precision": "fp32"},
            "protocol": {"name": "unknown"},
        },
        "scores": {},
        "parameters": count(shape, method, task.kind.outputs, has_pooler=pooling == "pooler"),
        "encoder": {
            "title": checkpoint.title,
            "name": checkpoint.name,
            "family": checkpoint.family,
            "sha256": checkpoint.sha256,
            "fingerprint": checkpoint.fingerprint,
            "revision": checkpoint.revision,
            "layers": shape.num_hidden_layers,
            "width": shape.hidden_size,
            "pooling": pooling,
        },
        "data": {"source": "unknown", "is_glue": False, "fingerprint": "", "rows": {}, "available": {}},
        "provenance": {
            "commit": None, "dirty": None, "versions": {}, "device": "unknown", "precision": "fp32", "command": "",
        },
    }  # fmt: skip
