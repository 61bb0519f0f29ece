"""What a stack is going to need, before it trains: peak memory from its shapes, time from a few measured batches.

Memory is that of the weights, of what training adds to them, and of what autograd keeps for the backward pass. The
last is not a formula per method, which a new method or encoder family would lack: the classifier runs on one and two
rows per replica, and the tensors that autograd keeps are counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from harness.config import TrainConfig
from harness.data.batches import Encoded
from harness.model.classifier import Classifier
from harness.model.heads import Head
from harness.model.replica_state import alone
from harness.training.device import autocast
from harness.training.loop import predict, train

_WIDTHS = (32, 96)  # tokens per row of the rows that are counted
_FLOAT = 4  # bytes of fp32, which trained parameters, gradients and the optimizer's moments are held in
# Resident memory per byte in use: glibc's heap cannot put batches of one width into the holes that those of another
# left behind. MiniLM on MRPC, adapters alone and in stacks of 4 and full fine-tuning, batches of 8 and 32: 1.3 to 1.9.
_HEAP = {"cpu": 1.6, "cuda": 1.0}
_SECONDS = 2.0  # that one epoch of the measured batches takes at most, as far as a row can tell


@dataclass(frozen=True)
class StackMemory:
    """The bytes of a stack. For batches of `rows` (all replicas together) of `width` tokens autograd keeps
    `casts + rows * (linear * width + quadratic * width**2)`.

    `weights` are all parameters with the gradients and the two moments of the trained ones; `largest` is the largest
    trained parameter, whose gradient exists twice for a moment; `layers` keep activations. `device` is its type.
    """

    device: str
    weights: int
    largest: int
    layers: int
    casts: int
    linear: float
    quadratic: float

    def peak(self, rows: int, width: int) -> int:
        """The peak while training on such batches, in bytes, without what the process held before.

        At the start of the backward pass everything is still kept, and the products of one layer, with their
        gradients, need about as much again as the layer keeps.
        """
        kept = rows * (self.linear * width + self.quadratic * width**2)
        return int(self.weights + self.largest + self.casts + _HEAP[self.device] * kept * (1 + 1 / self.layers))


def stack_memory(classifier: Classifier, *, bf16: bool) -> StackMemory:
    """The memory of a stack that has not been trained yet; three small forward passes."""
    parameters = list(classifier.parameters())
    trained = [parameter.numel() for parameter in parameters if parameter.requires_grad]
    # Let s(rows, width) be what is kept, by R rows and 2 R rows of the first width and by R rows of the second.
    narrow, wide = _WIDTHS
    once, twice, wider = (_kept_bytes(classifier, *shape, bf16=bf16) for shape in ((1, narrow), (2, narrow), (1, wide)))
    casts = max(0, 2 * once - twice)
    per_row = [(once - casts) / classifier.replicas, (wider - casts) / classifier.replicas]
    quadratic = max(0.0, (per_row[1] / wide - per_row[0] / narrow) / (wide - narrow))
    return StackMemory(
        device=parameters[0].device.type,
        weights=sum(parameter.numel() * parameter.element_size() for parameter in parameters)
        + 3 * _FLOAT * sum(trained),
        largest=_FLOAT * max(trained, default=0),
        layers=max(1, len(classifier.layers) - (classifier.frozen_layers or 0) - 1),
        casts=casts,
        linear=per_row[0] / narrow - quadratic * narrow,
        quadratic=quadratic,
    )


def _kept_bytes(classifier: Classifier, rows: int, width: int, *, bf16: bool) -> int:
    """The bytes that autograd keeps of one forward pass over `rows` rows per replica, parameters left out."""
    device = next(classifier.parameters()).device
    ids = torch.zeros(rows * classifier.replicas, width, dtype=torch.long, device=device)
    weights = {parameter.untyped_storage().data_ptr() for parameter in classifier.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    classifier.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast(device, bf16):
        classifier(ids, torch.ones_like(ids, dtype=torch.bool), torch.zeros_like(ids))
    return sum(kept.values())


@dataclass(frozen=True)
class StackPace:
    """Seconds per token: of all replicas together in each training epoch and `once` before the first (the outputs of
    frozen layers), and of one replica alone in evaluation.
    """

    train: float
    once: float
    evaluate: float


def stack_pace(classifier: Classifier, sample: Encoded, settings: TrainConfig, *, head: Head, bf16: bool) -> StackPace:
    """The pace of a stack on rows of this sample; trains the classifier, which is of no use afterwards.

    The first of two epochs warms up and the second is measured. Both are as long as `_SECONDS` allow, at most eight
    batches, and where one batch would take longer, a part of one.
    """
    replicas = classifier.replicas
    row = int(np.argsort(sample.lengths)[len(sample) // 2])
    started = time.perf_counter()
    predict(classifier, _taken(sample, [row]), bf16=bf16)
    # A training step takes two to three times as long as a forward pass; many rows take less than one times many.
    rows = int(_SECONDS / (3 * (time.perf_counter() - started)))
    batch_size = min(settings.batch_size, max(1, rows))
    measured = _taken(sample, range(min(len(sample), batch_size * min(8, max(1, rows // batch_size)))))
    ends = [0.0, 0.0]

    def on_epoch(epoch: int) -> None:
        if sample.ids.is_cuda:
            torch.cuda.synchronize()
        ends[epoch - 1] = time.perf_counter()

    train(
        classifier,
        measured,
        replace(settings, epochs=2, batch_size=batch_size),
        head=head,
        learning_rates=[settings.learning_rate] * replicas,
        seeds=range(replicas),
        bf16=bf16,
        on_epoch=on_epoch,
    )
    tokens = int(measured.lengths.sum())
    with alone(classifier, 0):
        started = time.perf_counter()
        predict(classifier, measured, bf16=bf16)
        evaluated = time.perf_counter() - started
    once = 0.0 if classifier.frozen_layers is None else evaluated / tokens
    return StackPace(train=(ends[1] - ends[0]) / tokens, once=once, evaluate=evaluated / tokens)


def _taken(split: Encoded, rows: Sequence[int]) -> Encoded:
    numbers = torch.tensor(list(rows), device=split.ids.device)
    return Encoded(
        ids=split.ids[numbers],
        token_types=None if split.token_types is None else split.token_types[numbers],
        lengths=split.lengths[list(rows)],
        gold=split.gold[numbers],
        device_lengths=split.device_lengths[numbers],
    )
