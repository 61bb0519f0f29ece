"""Parameter accounting: counts by group, fractions and the multiple for several tasks (paper section 3.2, table 1)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig

from harness.method_config import MethodConfig
from harness.model.adapter import Adapter
from harness.model.checkpoint import bare_encoder
from harness.model.classifier import Classifier
from harness.model.families import get_family
from harness.model.lora import Lora, Rescaled
from harness.model.methods import apply_method
from harness.model.replicas import ReplicatedLayerNorm

PAPER_TASKS = 9  # the paper counts MNLI twice and excludes WNLI
_COUNTED: dict[tuple, dict[str, Any]] = {}  # a sweep of many seeds and rates asks for the same count for every run
GROUPS = ("adapter", "layernorm", "head", "pooler", "encoder", "embeddings")


def count(config: PretrainedConfig, method: MethodConfig, outputs: int, *, has_pooler: bool = True) -> dict[str, Any]:
    """The record's `parameters` for one run of `method` on an encoder of that shape; nothing is allocated.

    Raises `UserError` where the method does not fit the encoder. Counted once per process for equal arguments.
    trained_fraction = trained / parameters of the encoder with its pooler and without a head;
    trained_fraction_layers = trained / parameters of the encoder layers, the paper's "2.1 %" for size 64.
    """
    key = (config.to_json_string(use_diff=False), type(method), repr(method), outputs, has_pooler)
    if key not in _COUNTED:
        _COUNTED[key] = _count(config, method, outputs, has_pooler=has_pooler)
    return copy.deepcopy(_COUNTED[key])


def _count(config: PretrainedConfig, method: MethodConfig, outputs: int, *, has_pooler: bool) -> dict[str, Any]:
    with torch.device("meta"):
        encoder = bare_encoder(config)
        if not has_pooler:
            encoder.pooler = None
        whole = _size(encoder)
        layers = _size(get_family(config.model_type).layers_of(encoder))
        classifier = Classifier(encoder, outputs, seeds=[0], dropout_rate=0.0)
        apply_method(classifier, [method])
    groups = {group: {"total": 0, "trained": 0} for group in GROUPS}
    for name, module in classifier.named_modules():
        for parameter in module.parameters(recurse=False):
            entry = groups[_group(classifier, name, module)]
            entry["total"] += parameter.numel()
            entry["trained"] += parameter.numel() * parameter.requires_grad
    trained = sum(entry["trained"] for entry in groups.values())
    return {
        "groups": groups,
        "total": sum(entry["total"] for entry in groups.values()),
        "trained": trained,
        "encoder": whole,
        "encoder_layers": layers,
        "trained_fraction": trained / whole,
        "trained_fraction_layers": trained / layers,
        "total_multiple": total_multiple([trained] * PAPER_TASKS, whole),
    }


def encoder_size(config: PretrainedConfig, *, has_pooler: bool = True) -> int:
    """Parameters of an encoder of that shape without a head; nothing is allocated."""
    with torch.device("meta"):
        encoder = bare_encoder(config)
        if not has_pooler:
            encoder.pooler = None
        return _size(encoder)


def total_multiple(trained: list[int], encoder: int) -> float:
    """Parameters stored for all tasks over one encoder's: `(encoder + sum of trained) / encoder`.

    Tasks that train the whole encoder do not need the pre-trained copy: nine tasks are 9x, not 10x.
    """
    shared = 0 if all(count >= encoder for count in trained) else encoder
    return (shared + sum(trained)) / encoder


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _group(classifier: Classifier, name: str, module: nn.Module) -> str:
    owners = [classifier.get_submodule(name.rsplit(".", depth)[0]) for depth in range(name.count(".") + 1)]
    if any(isinstance(owner, Adapter) for owner in owners) or isinstance(module, (Lora, Rescaled)):
        return "adapter"
    next_to_a_layer = any(hasattr(owner, "base_layer") for owner in owners) and "base_layer" not in name
    if next_to_a_layer or name.startswith("encoder.prefix"):
        return "adapter"  # what peft adds to the encoder
    if isinstance(module, (nn.LayerNorm, ReplicatedLayerNorm)):
        return "layernorm"
    if name.startswith("head"):
        return "head"
    if name.startswith("encoder.pooler"):
        return "pooler"
    return "embeddings" if name.startswith("encoder.embeddings") else "encoder"
