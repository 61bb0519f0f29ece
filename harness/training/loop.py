"""The training loop, for one stack of replicas; a single run is a stack of one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.config import TrainConfig
from harness.data.batches import EVALUATION_TOKENS, Encoded, evaluation_batches, padding_share, plan_epoch
from harness.model.classifier import Classifier
from harness.training.cuda_graphs import WIDTH_STEP, Capture, GraphedStep
from harness.training.device import autocast
from harness.training.frozen_states import prefix_cache
from harness.training.optimizer import make_optimizer
from harness.training.parameter_rows import ParameterRows

_LOOK_EVERY = {"cpu": 5, "cuda": 50}  # steps between looks at the losses: each look waits for the device


@dataclass
class Training:
    """What one pass over a stack of R replicas did.

    `losses [R, steps]`: mean batch losses, NaN where not reached; `diverged_at[r]`: the step (from 1) of the first
    loss that was not finite, or None.
    """

    losses: np.ndarray
    steps_per_epoch: int
    diverged_at: list[int | None]
    examples: int
    padding_share: float
    seconds: float = 0.0

    def look(self, losses: np.ndarray, start: int) -> list[float]:
        """Take in the losses `[R, n]` from step `start` on; the latest ones of the replicas that have not diverged."""
        self.losses[:, start : start + losses.shape[1]] = losses
        for replica, row in enumerate(losses):
            bad = np.flatnonzero(~np.isfinite(row))
            if self.diverged_at[replica] is None and len(bad):
                self.diverged_at[replica] = start + int(bad[0]) + 1
        return [row[-1] for row, at in zip(losses, self.diverged_at, strict=True) if at is None]

    def epoch_losses(self, replica: int) -> list[dict[str, float]]:
        """Mean loss of every epoch that the replica finished."""
        epochs = self.losses[replica].reshape(-1, self.steps_per_epoch).mean(1)
        return [{"epoch": index + 1, "loss": float(loss)} for index, loss in enumerate(epochs) if np.isfinite(loss)]


def train(
    classifier: Classifier,
    split: Encoded,
    settings: TrainConfig,
    *,
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    bf16: bool,
    capture: Capture | None = None,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Training:
    """Train every replica for `settings.epochs` epochs: AdamW, linear warm-up and decay, clipping (section 3.1).

    Replicas share everything in `settings` but learning rate and seed (the order of their rows). `on_step` gets
    step, steps and the mean loss of the replicas that go on, every few steps; `on_epoch` the epoch's number, from 1.
    With `capture` (of `cuda_capture`) steps run as graphs, on batches padded to a multiple of `WIDTH_STEP` tokens.
    Ends early where every replica's loss has stopped being finite.
    """
    # The rows' views are strided on purpose, see ParameterRows.
    warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")
    device = split.ids.device
    rows = ParameterRows(classifier, classifier.replicas)
    steps_per_epoch = -(-len(split) // settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    optimizer, schedule = make_optimizer(rows, settings, learning_rates, steps)
    losses = torch.full((classifier.replicas, steps), torch.nan, device=device)
    result = Training(losses.cpu().numpy().copy(), steps_per_epoch, [None] * classifier.replicas, 0, 0.0)

    def losses_and_gradients(
        labels: Tensor, ids: Tensor, keep: Tensor, token_types: Tensor | None, states: Tensor | None
    ) -> Tensor:
        # Autocast's cache of cast weights serves no weight twice in a step, and must not outlive a captured one.
        with autocast(device, bf16, cache_enabled=False):
            logits = classifier(ids, keep, token_types, states)
        means = replica_losses(logits, labels)
        rows.zero_grad()
        # The sum of the replicas' means: each replica's gradient is its own.
        means.sum().backward()
        rows.clip(settings.clip_norm)
        return means.detach()

    run = losses_and_gradients if capture is None else GraphedStep(losses_and_gradients, capture)
    shares = []
    step = looked = 0
    started = time.perf_counter()
    prefix = prefix_cache(classifier, split, autocast(device, bf16))
    for epoch in range(settings.epochs):
        classifier.train()
        plans = [plan_epoch(split.lengths, settings.batch_size, seed=seed, epoch=epoch) for seed in seeds]
        shares.append(padding_share(split.lengths, plans[0]))
        # One transfer an epoch: batch k of every replica side by side.
        batches = [np.concatenate(batch) for batch in zip(*plans, strict=True)]
        widths = [int(split.lengths[batch].max()) for batch in batches]
        if capture is not None:
            widths = [min(-(-width // WIDTH_STEP) * WIDTH_STEP, split.ids.shape[1]) for width in widths]
        on_device = torch.from_numpy(np.concatenate(batches)).to(device).split([len(batch) for batch in batches])
        for batch, width in zip(on_device, widths, strict=True):
            states = None if prefix is None else prefix.gather(batch, width)
            losses[:, step] = run(split.labels[batch], *split.gather(batch, width), states)
            optimizer.step()
            schedule.step()
            step += 1
            if step % _LOOK_EVERY[device.type] == 0 or step == steps:
                alive = result.look(losses[:, looked:step].cpu().numpy(), looked)
                looked = step
                if not alive:
                    return _finish(result, step * settings.batch_size, shares, started)
                on_step(step, steps, float(np.mean(alive)))
        on_epoch(epoch + 1)
    return _finish(result, len(split) * settings.epochs, shares, started)


def replica_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (labels int64) or squared error (float32) of each replica.

    logits `[R, B, outputs]`, labels `[R * B]` -> `[R]`.
    """
    replicas = logits.shape[0]
    if labels.is_floating_point():
        return F.mse_loss(logits.flatten(), labels, reduction="none").view(replicas, -1).mean(1)
    return F.cross_entropy(logits.flatten(0, 1), labels, reduction="none").view(replicas, -1).mean(1)


@torch.inference_mode()
def predict(classifier: Classifier, split: Encoded, *, bf16: bool) -> np.ndarray:
    """Logits of every row by every replica, `[R, N, outputs]` float32, in the split's order."""
    classifier.eval()
    device = split.ids.device
    replicas = classifier.replicas
    parts, order = [], []
    for batch in evaluation_batches(split.lengths, EVALUATION_TOKENS[device.type] // replicas):
        ids, keep, token_types = split.gather(torch.from_numpy(batch).to(device), int(split.lengths[batch].max()))
        repeated = None if token_types is None else token_types.repeat(replicas, 1)
        with autocast(device, bf16):
            parts.append(classifier(ids.repeat(replicas, 1), keep.repeat(replicas, 1), repeated))
        order.append(batch)
    logits = torch.cat(parts, dim=1).cpu().numpy()
    in_order = np.empty_like(logits)
    in_order[:, np.concatenate(order)] = logits
    return in_order


def _finish(result: Training, examples: int, shares: list[float], started: float) -> Training:
    result.examples = examples
    result.padding_share = float(np.mean(shares))
    result.seconds = time.perf_counter() - started
    return result
