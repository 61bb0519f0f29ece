"""What a run trained, as a file: taken from a classifier, put back into one, and stored beside the record.

`<results_dir>/weights/<run_id>.safetensors` holds the trained tensors and the task head of one run, in fp32, under
the names that they have in a classifier of one replica; replicas of a stack are cut out of it and stripped of their
padding. `<run_id>.json` beside it is the run's record and `weights`: {file, bytes, sha256, parameters}.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from harness.errors import UserError
from harness.model.adapter import Adapter
from harness.model.classifier import Classifier
from harness.model.replicas import ReplicatedBias, ReplicatedLayerNorm, ReplicatedLinear
from harness.records.choice import by_choice
from harness.records.record import Record, write_atomically, write_json
from harness.reporting.method_names import canonical

StoredRun = Record  # a record with `weights`


def trained_tensors(classifier: Classifier, replica: int) -> dict[str, Tensor]:
    """Copies of what a replica trained, and of its head: adapters `[d, m]` and `[m, d]`, LayerNorms `[d]`, ..."""
    return {name: view.detach().float().cpu().clone() for name, view in _kept_views(classifier, replica)}


def load_tensors(classifier: Classifier, replica: int, tensors: dict[str, Tensor], *, where: str) -> None:
    """Put such tensors into a replica of a classifier to which the same method was applied.

    `UserError` names `where` and the first tensor that is missing, unknown or of another shape; nothing is changed.
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
    """The stack as if it held that replica only: it computes the very numbers of the run's own classifier.

    In bf16 a sum in another order moves the last digits of a score; so what a run predicts, here and later from its
    stored weights, does not depend on what it was trained beside.
    """
    if classifier.replicas == 1:
        yield classifier
        return
    before = [(owner, name, parameter) for owner, _, name, parameter, _ in _views(classifier, replica)]
    replicas, outputs = classifier.replicas, classifier.outputs
    with torch.no_grad():
        for owner, _, name, _, view in list(_views(classifier, replica)):
            setattr(owner, name, nn.Parameter(view[None].contiguous(), requires_grad=False))
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
            elif owner is classifier.head:
                view = view[..., : classifier.outputs[replica]]
            yield owner, owner_name, name, parameter, view


def _is_replicated(owner: nn.Module, name: str) -> bool:
    """Whether a parameter has a leading replica axis."""
    if isinstance(owner, ReplicatedBias):
        return name == "bias"
    return isinstance(owner, (ReplicatedLinear, ReplicatedLayerNorm))


def write_weights(
    folder: Path, name: str, tensors: dict[str, Tensor], record: Record, *, file: str | None = None
) -> StoredRun:
    """Write the weights (`<name>.safetensors`), then `<name>.json`; both atomically. Returns what the latter holds."""
    data = save({key: tensor.contiguous() for key, tensor in tensors.items()})
    count = sum(tensor.numel() for tensor in tensors.values())
    file = file or f"{name}.safetensors"
    entry = {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "parameters": count}
    write_atomically(folder / file, data)
    stored = record | {"weights": entry}
    write_json(folder / f"{name}.json", stored)
    return stored


def read_stored(path: Path) -> StoredRun:
    """The record beside a file of weights; `UserError` where it is not one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        stored["run_id"], stored["config"]["method"]["name"], stored["encoder"]["sha256"], stored["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} does not describe trained weights; add that task again") from None
    return stored


def read_tensors(folder: Path, stored: StoredRun) -> dict[str, Tensor]:
    """The tensors of a run stored in `folder`; `UserError` for a missing, truncated or altered file."""
    path = folder / stored["weights"]["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); add that task again") from None
    if len(data) != stored["weights"]["bytes"]:
        raise UserError(f"{path} has {len(data):,} bytes, expected {stored['weights']['bytes']:,}: it is truncated")
    if hashlib.sha256(data).hexdigest() != stored["weights"]["sha256"]:
        raise UserError(f"{path} is not the file that was stored (another sha256); add that task again")
    try:
        return load(data)
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file ({error})") from None


def store(results_dir: Path, tensors: dict[str, Tensor], record: Record, *, best_only: bool) -> None:
    """Store a run's weights; with `best_only` unless a better run of its cell is stored, whose place it takes.

    Better is as in `harness.records.choice.by_choice`. A cell is what differs in nothing but how it was trained.
    """
    folder = results_dir / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        rivals = {path: read_stored(path) for path in folder.glob("*.json")} if best_only else {}
        rivals = {path: rival for path, rival in rivals.items() if _cell(rival) == _cell(record)}
        if any(by_choice(rival) < by_choice(record) for rival in rivals.values()):
            return
        write_weights(folder, record["run_id"], tensors, record)
        for path in rivals.keys() - {folder / f"{record['run_id']}.json"}:
            path.unlink()
            path.with_suffix(".safetensors").unlink(missing_ok=True)


def is_stored(results_dir: str | Path, run_id: str) -> bool:
    return (Path(results_dir) / "weights" / f"{run_id}.json").exists()


def _cell(record: Record) -> str:
    return canonical([record["config"] | {"train": None}, record["encoder"]["sha256"], record["data"]["fingerprint"]])
