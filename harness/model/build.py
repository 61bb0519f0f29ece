"""A classifier built from a checkpoint: replicas, heads, methods, precision."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from harness.method_config import MethodConfig
from harness.model import attention
from harness.model.checkpoint import Checkpoint, encoder_of
from harness.model.classifier import Classifier
from harness.model.frozen_linear import FrozenLinear
from harness.model.methods import apply_method
from harness.model.replicas import ReplicatedBias, replace_modules


def fuse_projections(classifier: Classifier) -> None:
    """Run the frozen query, key and value products of each layer as one product.

    Where the last layer computes the first token only, its query has another input than its key and value.
    """
    family = classifier.family
    if not family.fuses:
        return
    for layer in classifier.layers[:-1] if classifier.reads_first_token else classifier.layers:
        attention.fuse_frozen_projections(layer.get_submodule(family.attention), family.projections)


def hold_frozen_in_bf16(classifier: Classifier) -> None:
    """Keep frozen products' weights in bf16: autocast would cast frozen fp32 weights again at every use.

    Embedding tables stay in fp32, they are only looked up.
    """
    for module in classifier.modules():
        if isinstance(module, nn.Linear) and _is_frozen(module):
            module.bfloat16()
        elif isinstance(module, ReplicatedBias):
            module.weight.data = module.weight.data.bfloat16()
    replace_modules(classifier, nn.Linear, lambda module: FrozenLinear(module) if _is_frozen(module) else module)


def _is_frozen(module: nn.Module) -> bool:
    return not any(parameter.requires_grad for parameter in module.parameters())


def assemble(
    checkpoint: Checkpoint,
    outputs: Sequence[int],
    methods: Sequence[MethodConfig],
    *,
    seeds: Sequence[int],
    dropout: float,
    device: torch.device,
    bf16: bool,
    reads_all_tokens: bool = False,
    pooling: str = "auto",
    encoder: PreTrainedModel | None = None,
) -> Classifier:
    """A classifier whose replica r has a head of `outputs[r]` numbers, `methods[r]` and the seed `seeds[r]`.

    It takes over `encoder` where one is given, else a copy of the checkpoint's.
    """
    encoder = copy.deepcopy(encoder_of(checkpoint)) if encoder is None else encoder
    classifier = Classifier(
        encoder, outputs, seeds=seeds, dropout_rate=dropout, reads_all_tokens=reads_all_tokens, pooling=pooling
    )
    apply_method(classifier, methods)
    fuse_projections(classifier)
    if bf16:
        hold_frozen_in_bf16(classifier)
    return classifier.to(device)
