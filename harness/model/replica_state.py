"""The tensors of one replica: copied out of a stack, put back into one, and the stack reduced to that replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.model.adapter import Adapter
from harness.model.classifier import Classifier
from harness.model.lora import Lora, Rescaled
from harness.model.prefix import ReplicatedPrefix
from harness.model.replicas import ReplicatedBias, ReplicatedLayerNorm, ReplicatedLinear


def trained_tensors(classifier: Classifier, replica: int) -> dict[str, Tensor]:
    """Copies of what a replica trained, and of its head: adapters and LoRA `[d, m]` and `[m, d]`, LayerNorms `[d]`,
    ..."""
    return {name: view.detach().float().cpu().clone() for name, view in _kept_views(classifier, replica)}


def load_tensors(classifier: Classifier, replica: int, tensors: dict[str, Tensor], *, where: str) -> None:
    """Put such tensors into a replica of a classifier to which the same method was applied.

    `UserError` names `where` and the first tensor that is missing, unknown or of another shape; then nothing changes.
    """
    views = dict(_kept_views(classifier, replica))
    for name in (*views, *tensors):
        if name not in tensors:
            raise UserError(f"{where} lacks {name}: it was not made by this method on this encoder")
        if name not in views:
            raise UserError(f"{where} holds {name}, which this method does not train on this encoder")
        if views[name].shape != tensors[name].shape:
            found, wanted = list(tensors[name].shape), list(views[name].shape)
            raise UserError(f"{where} holds {name} of shape {found}, expected {wanted}")
    with torch.no_grad():
        for name, view in views.items():
            view.copy_(tensors[name])


@contextmanager
def alone(classifier: Classifier, replica: int) -> Iterator[Classifier]:
    """The stack reduced to that replica: it computes exactly the numbers of the run's own classifier.

    In bf16 a sum in another order changes the last digits of a score; here and later, from its stored weights, what a
    run predicts does not depend on which runs it was trained with.
    """
    if classifier.replicas == 1:
        yield classifier
        return
    before = [(owner, name, parameter) for owner, _, name, parameter, _ in _views(classifier, replica)]
    scaled = [module for module in classifier.modules() if isinstance(module, Lora)]
    before += [(module, "scalings", module.scalings) for module in scaled]
    replicas, outputs = classifier.replicas, classifier.outputs
    with torch.no_grad():
        for owner, _, name, _, view in list(_views(classifier, replica)):
            setattr(owner, name, nn.Parameter(view[None].contiguous(), requires_grad=False))
    for module in scaled:
        module.scalings = module.scalings[replica : replica + 1]
    classifier.replicas, classifier.outputs = 1, (outputs[replica],)
    try:
        yield classifier
    finally:
        for owner, name, parameter in before:
            setattr(owner, name, parameter)
        classifier.replicas, classifier.outputs = replicas, outputs


def _kept_views(classifier: Classifier, replica: int) -> Iterator[tuple[str, Tensor]]:
    """Name and this replica's part of every trained parameter and of the head, without padding."""
    for owner, owner_name, name, parameter, view in _views(classifier, replica):
        if parameter.requires_grad or owner is classifier.head:
            yield f"{owner_name}.{name}", view
    for owner_name, owner in classifier.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.requires_grad and not _is_replicated(owner, name):
                yield f"{owner_name}.{name}", parameter


def _views(classifier: Classifier, replica: int) -> Iterator[tuple[nn.Module, str, str, nn.Parameter, Tensor]]:
    """(module, its name, parameter's name, parameter, this replica's part without padding) of all replicated ones."""
    sizes: dict[int, int] = {}  # of the padded modules, by identity
    for module in classifier.modules():
        if isinstance(module, Adapter):
            sizes[id(module.down)] = sizes[id(module.up)] = module.sizes[replica]
    for owner_name, owner in classifier.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if not _is_replicated(owner, name):
                continue
            view = parameter[replica]
            if id(owner) in sizes and owner_name.endswith("down"):
                view = view[..., : sizes[id(owner)]]
            elif id(owner) in sizes and name == "weight":
                view = view[: sizes[id(owner)]]
            elif isinstance(owner, Lora):
                rank = owner.ranks[replica]
                view = view[:, :rank] if name == "down" else view[:rank]
            elif owner is classifier.head:
                view = view[..., : classifier.outputs[replica]]
            yield owner, owner_name, name, parameter, view


def _is_replicated(owner: nn.Module, name: str) -> bool:
    """Whether a parameter has a leading replica axis."""
    if isinstance(owner, ReplicatedBias):
        return name == "bias"
    return isinstance(owner, (ReplicatedLinear, ReplicatedLayerNorm, ReplicatedPrefix, Lora, Rescaled))
