"""What a stack is going to need, before it trains: peak memory from its shapes, time from a few measured batches.

Memory is that of the weights, of what training adds to them, and of what autograd keeps for the backward pass. The
last is not a formula per method, which a new method or encoder family would lack: the classifier runs on one and two
rows per replica, and the tensors that autograd keeps are counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from harness.config import TrainConfig
from harness.data.batches import EVALUATION_TOKENS, Encoded, evaluation_batches
from harness.model.checkpoint import longest_input
from harness.model.classifier import Classifier
from harness.model.heads import Head
from harness.model.replica_state import alone
from harness.training.device import autocast
from harness.training.loop import predict, train

_WIDTHS = (24, 96)  # tokens per row of the rows that are counted, at most what the encoder takes
_FLOAT = 4  # bytes of fp32, which trained parameters, gradients and the optimizer's moments are held in
# Floats that autograd keeps at most per number that the products of an encoder read and write, and per attention
# weight: tiny encoders of all families with dropout keep up to 0.9 and up to 1.7 (DeBERTa-v3: 5.7).
_KEPT, _KEPT_WEIGHTS = 2, 8
# Resident memory per byte of tensors: glibc cannot put an aligned tensor into the hole that one of its size left.
# Measured: stacks of 2 and 4 adapters on MiniLM 1.6 to 1.7, its full fine-tuning with 384 tokens 1.3, and an encoder of
# width 32 with 122 tokens 1.8 to 2.3.
_HEAP = {"cpu": 1.7}
_PRODUCTS = {"cpu": 50 * 2**20}  # what prepared bf16 products take, see `product_caches`
# Seconds of one of the two epochs of measured batches, as far as a few rows can tell; a batch that takes longer is cut.
_SECONDS, _LONGEST_BATCH = 2.0, 6.0


@dataclass(frozen=True)
class StackMemory:
    """The bytes of a stack. For batches of `rows` (all replicas together) of `width` tokens autograd keeps
    `casts + rows * (linear * width + quadratic * width**2)`.

    `frozen` are the parameters that do not train, `trained` those that do, with their gradients and two moments;
    `largest` is the largest trained parameter; `layers` keep activations. `device` is its type.
    """

    device: str
    replicas: int
    frozen: int
    trained: int
    largest: int
    bf16: bool
    layers: int
    casts: int
    linear: float
    quadratic: float

    @property
    def weights(self) -> int:
        return self.frozen + self.trained

    def of(self, replicas: int) -> StackMemory:
        """The memory of a stack of so many such replicas."""
        own = {name: getattr(self, name) * replicas // self.replicas for name in ("trained", "largest", "casts")}
        return replace(self, replicas=replicas, **own)

    def peak(self, rows: int, width: int, evaluated: int | None = None) -> int:
        """The peak while training on such batches and evaluating, in bytes, without what the process held before.

        `evaluated`: the tokens of a batch without gradients; None: as many as are fast on the device.

        At the start of the backward pass everything is still kept, and the products of one layer, with their
        gradients, need about half as much again as the layer keeps (MiniLM by torch's profiler, adapters in bf16 and
        fp32 and full fine-tuning: 0.7, 0.4 and 0.2). At its end the gradient of the largest parameter exists twice.
        Evaluation keeps nothing, but its batches are larger: it needs the products of a layer.
        """
        per_token = self.linear + self.quadratic * width
        training = self.casts + rows * width * per_token * (1 + 0.5 / self.layers)
        evaluation = (evaluated or EVALUATION_TOKENS[self.device]) * per_token / self.layers
        tensors = max(training, evaluation, self.casts + self.largest)
        products = _PRODUCTS.get(self.device, 0) if self.bf16 else 0
        return int(self.weights + products + _HEAP.get(self.device, 1.0) * tensors)


def stack_memory(classifier: Classifier, *, bf16: bool) -> StackMemory:
    """The memory of a stack that has not been trained yet; three small forward passes."""
    sizes = {True: 0, False: 0}
    for parameter in classifier.parameters():
        sizes[parameter.requires_grad] += parameter.numel() * parameter.element_size()
    trained = [parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad]
    # Let s(rows, width) be what is kept, by R rows and 2 R rows of the first width and by R rows of the second.
    narrow, wide = (min(width, longest_input(classifier.encoder)) for width in _WIDTHS)
    once, twice, wider = (_kept_bytes(classifier, *shape, bf16=bf16) for shape in ((1, narrow), (2, narrow), (1, wide)))
    casts = max(0, 2 * once - twice)
    per_row = [(once - casts) / classifier.replicas, (wider - casts) / classifier.replicas]
    quadratic = max(0.0, (per_row[1] / wide - per_row[0] / narrow) / (wide - narrow))
    return StackMemory(
        device=next(classifier.parameters()).device.type,
        replicas=classifier.replicas,
        frozen=sizes[False],
        trained=sizes[True] + 3 * _FLOAT * sum(trained),
        largest=_FLOAT * max(trained, default=0),
        bf16=bf16,
        layers=max(1, len(classifier.layers) - (classifier.frozen_layers or 0) - 1),
        casts=casts,
        linear=per_row[0] / narrow - quadratic * narrow,
        quadratic=quadratic,
    )


def memory_bound(
    encoder: PreTrainedModel, *, replicas: int, size: int, rows: int, width: int, evaluated: int, device: str
) -> int:
    """More than the `StackMemory.peak` of a stack on this encoder, in bytes, from shapes alone: no pass, no copy.

    `size` is at least every bottleneck, rank or number of virtual tokens of its methods. All that the encoder has is
    taken to train in every replica, with a bottleneck of that size at each of its products.
    """
    products = [(one.in_features, one.out_features) for one in encoder.modules() if hasattr(one, "in_features")]
    numbers, layers = sum(map(sum, products)), encoder.config.num_hidden_layers
    own = sum(parameter.numel() for parameter in encoder.parameters())
    trained = replicas * (own + size * numbers)
    attention = _KEPT_WEIGHTS * encoder.config.num_attention_heads * layers * (width + size)
    per_token = _KEPT * (numbers + 2 * size * len(products)) + attention
    tensors = trained + max(rows * width, evaluated / layers) * per_token  # evaluation needs one layer's
    return int(_FLOAT * (own + 4 * trained + _HEAP.get(device, 1.0) * tensors) + _PRODUCTS.get(device, 0))


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
    """Seconds per token, padding included: of all replicas together in each training epoch and `once` before the
    first (the outputs of frozen layers), and of one replica alone in evaluation.
    """

    train: float
    once: float
    evaluate: float


def stack_pace(classifier: Classifier, sample: Encoded, settings: TrainConfig, *, head: Head, bf16: bool) -> StackPace:
    """The pace of a stack on rows of this sample; trains the classifier, which is of no use afterwards.

    The first of two epochs of at most eight batches warms up, and the second is measured.
    """
    replicas = classifier.replicas
    seconds = 3 * _forward_seconds(classifier, sample, bf16=bf16)  # a training step takes two to three forward passes
    batch_size = min(settings.batch_size, len(sample), max(1, int(_LONGEST_BATCH / seconds)))
    batches = min(8, len(sample) // batch_size, max(1, int(_SECONDS / seconds / batch_size)))
    # Rows of similar length, as in the batches of a whole split: a few rows at random would be mostly padding.
    blocks = np.array_split(np.argsort(sample.lengths, kind="stable"), batches)
    middles = [block[(len(block) - batch_size) // 2 :][:batch_size] for block in blocks]
    measured = sample.select(np.concatenate(middles))
    ends = [0.0, 0.0]

    def on_epoch(epoch: int) -> None:
        if sample.ids.is_cuda:
            torch.cuda.synchronize()
        ends[epoch - 1] = time.perf_counter()

    training = train(
        classifier,
        measured,
        replace(settings, epochs=2, batch_size=batch_size),
        head=head,
        learning_rates=[settings.learning_rate] * replicas,
        seeds=range(replicas),
        bf16=bf16,
        on_epoch=on_epoch,
    )
    trained = (ends[1] - ends[0]) / (int(measured.lengths.sum()) / (1 - training.padding_share))
    limit = EVALUATION_TOKENS[sample.ids.device.type]
    widths = [len(batch) * int(measured.lengths[batch].max()) for batch in evaluation_batches(measured.lengths, limit)]
    with alone(classifier, 0):
        started = time.perf_counter()
        predict(classifier, measured, bf16=bf16)
        evaluated = (time.perf_counter() - started) / sum(widths)
    return StackPace(trained, 0.0 if classifier.frozen_layers is None else evaluated, evaluated)


def _forward_seconds(classifier: Classifier, sample: Encoded, *, bf16: bool) -> float:
    """Seconds of a forward pass by all replicas, per row."""
    rows = sample.select(np.arange(min(4, len(sample))))
    predict(classifier, rows, bf16=bf16)  # the first pass over rows of some width prepares its products
    started = time.perf_counter()
    predict(classifier, rows, bf16=bf16)
    return (time.perf_counter() - started) / len(rows)
