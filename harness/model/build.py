"""A classifier built from a checkpoint: replicas, heads, methods, precision."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from harness.config import MethodConfig
from harness.model import attention
from harness.model.checkpoint import Checkpoint, encoder_of
from harness.model.classifier import Classifier
from harness.model.families import get_family
from harness.model.methods import apply_method
from harness.model.replicas import ReplicatedBias


def fuse_projections(classifier: Classifier) -> None:
    """Run the frozen query, key and value products of every layer but the last as one product a layer."""
    family = get_family(classifier.encoder.config.model_type)
    for layer in classifier.encoder.get_submodule(family.layers)[:-1]:
        attention.fuse_frozen_projections(layer.get_submodule(family.attention), family.projections)


def hold_frozen_in_bf16(classifier: Classifier) -> None:
    """Keep frozen products' weights in bf16: autocast would cast frozen fp32 weights anew at every use.

    Embedding tables stay in fp32, they are only looked up.
    """
    for module in classifier.modules():
        if isinstance(module, nn.Linear) and not any(parameter.requires_grad for parameter in module.parameters()):
            module.bfloat16()
        elif isinstance(module, ReplicatedBias):
            module.weight.data = module.weight.data.bfloat16()


def assemble(
    checkpoint: Checkpoint,
    outputs: Sequence[int],
    methods: Sequence[MethodConfig],
    *,
    seeds: Sequence[int],
    dropout: float,
    device: torch.device,
    bf16: bool,
) -> Classifier:
    """A classifier with one replica an entry: head of `outputs` labels, method, seed of what is drawn at random."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    encoder = copy.deepcopy(encoder_of(checkpoint))
    classifier = Classifier(encoder, outputs, generators=generators, dropout_rate=dropout)
    apply_method(classifier, methods, generators)
    fuse_projections(classifier)
    if bf16:
        hold_frozen_in_bf16(classifier)
    return classifier.to(device)
