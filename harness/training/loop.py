"""The training loop, for one stack of replicas; a single run is a stack of one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.config import TrainConfig
from harness.data.batches import EVALUATION_TOKENS, Encoded, evaluation_batches, padding_share, plan_epoch
from harness.interrupts import SIGNALS
from harness.model.classifier import Classifier
from harness.model.heads import Head
from harness.training.cuda_graphs import WIDTH_STEP, Capture, GraphedStep
from harness.training.device import autocast
from harness.training.frozen_states import frozen_states
from harness.training.optimizer import make_optimizer
from harness.training.parameter_rows import ParameterRows
from harness.training.stack_checkpoint import StackCheckpoint
from harness.training.stack_state import StackState

LOSS_POINTS = 100  # that a run's learning curve has at most
_SYNC_EVERY = {"cpu": 5, "cuda": 50, "mps": 50}  # steps between readings of the losses: each one waits for the device


class MicroBatch(NamedTuple):
    """The rows of a batch that are computed at once: `rows [R * B]` on the device, replica 0's first.

    `width`: the tokens to which they are padded; `share []`: the part of the batch's rows that they are.
    """

    rows: Tensor
    width: int
    share: Tensor


@dataclass
class Training:
    """What one pass over a stack of R replicas has done so far.

    `losses [R, steps]`: mean batch losses, NaN where not reached; `diverged_at[r]`: the step (from 1) of the first
    loss that was not finite, or None. The losses of `recorded` of the `step` steps have been read from the device.
    `padding_shares` and `evaluations` have one entry per epoch that began or ended; of the `seconds`, a process that
    has ended trained `seconds_before`.
    """

    losses: np.ndarray
    steps_per_epoch: int
    diverged_at: list[int | None]
    step: int = 0
    is_between_steps: bool = True
    recorded: int = 0
    padding_shares: list[float] = field(default_factory=list)
    evaluations: list[Any] = field(default_factory=list)
    examples: int = 0
    seconds: float = 0.0
    seconds_before: float = 0.0

    @property
    def all_diverged(self) -> bool:
        return None not in self.diverged_at

    @property
    def padding_share(self) -> float:
        return float(np.mean(self.padding_shares))

    def record_losses(self, losses: np.ndarray) -> list[float]:
        """Record the losses `[R, n]` of the next n steps; the latest ones of the replicas that have not diverged."""
        start, self.recorded = self.recorded, self.recorded + losses.shape[1]
        self.losses[:, start : self.recorded] = losses
        for replica, row in enumerate(losses):
            bad = np.flatnonzero(~np.isfinite(row))
            if self.diverged_at[replica] is None and len(bad):
                self.diverged_at[replica] = start + int(bad[0]) + 1
        return [row[-1] for row, at in zip(losses, self.diverged_at, strict=True) if at is None]

    def epoch_losses(self, replica: int) -> list[dict[str, float]]:
        """Mean loss of every epoch that the replica finished."""
        epochs = self.losses[replica].reshape(-1, self.steps_per_epoch).mean(1)
        return [{"epoch": index + 1, "loss": float(loss)} for index, loss in enumerate(epochs) if np.isfinite(loss)]

    def block_losses(self, replica: int) -> dict[str, Any]:
        """{every, means}: the mean loss of every so many steps, to five digits, up to the first that is not finite.

        There are at most `LOSS_POINTS` means; the last may be of fewer steps.
        """
        losses = self.losses[replica]
        every = -(-len(losses) // LOSS_POINTS)
        means = (losses[start : start + every].mean() for start in range(0, len(losses), every))
        return {"every": every, "means": [float(f"{mean:.5g}") for mean in takewhile(np.isfinite, means)]}


def train(
    classifier: Classifier,
    split: Encoded,
    settings: TrainConfig,
    *,
    head: Head,
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    bf16: bool,
    capture: Capture | None = None,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    on_losses: Callable[[range, np.ndarray, Sequence[float]], None] = lambda steps, losses, shares: None,
    on_epoch: Callable[[int], Any] = lambda epoch: None,
    checkpoint: StackCheckpoint | None = None,
) -> Training:
    """Train every replica for `settings.epochs` epochs: AdamW, linear warm-up and decay, clipping (section 3.1).

    Replicas share everything in `settings` but learning rate and seed (the order of their rows). `on_step` gets
    step, steps and the mean loss of the replicas that go on, every few steps; `on_losses` those steps (from 0), their
    losses `[R, n]` and the shares `[n]` of the learning rates that they took; `on_epoch` the epoch's number, from 1,
    and what it returns is kept in `evaluations`.
    With `capture` (of `cuda_capture`) steps run as graphs, on batches padded to a multiple of `WIDTH_STEP` tokens.
    With `settings.micro_batch_size` the gradients of a batch are summed over its micro-batches, each mean weighted
    with its share of the rows: without dropout, clipping and step are those of the whole batch up to rounding.
    Ends early if every replica's loss has stopped being finite.

    With a `checkpoint`, training goes on from the state that lies there, and writes its own there between steps; on a
    CPU it ends in the numbers of an undisturbed one. Signals wait until a step is done (`harness.interrupts`).
    """
    device = split.ids.device
    rows = ParameterRows(classifier, classifier.replicas)
    steps_per_epoch = -(-len(split) // settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    optimizer, schedule = make_optimizer(rows, settings, learning_rates, steps)
    losses = torch.full((classifier.replicas, steps), torch.nan, device=device)
    result = Training(losses.cpu().numpy().copy(), steps_per_epoch, [None] * classifier.replicas)
    accumulate = _losses_and_gradients(classifier, head, bf16=bf16)
    if capture is not None:
        accumulate = GraphedStep(accumulate, capture)
    started = time.perf_counter()
    frozen = frozen_states(classifier, split, autocast(device, bf16), evaluation_tokens(settings, device))
    if checkpoint is not None:
        checkpoint.open(StackState(result, losses, rows, optimizer, schedule, classifier.dropout.masks))
    with warnings.catch_warnings():
        # The rows' views are strided on purpose, see ParameterRows.
        warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")
        # Where the state is that of the end of an epoch, nothing is left of it but `on_epoch`.
        for epoch in range(max(result.step - 1, 0) // steps_per_epoch, settings.epochs):
            classifier.train()
            batches, share = _plan(split, settings, seeds, epoch, for_graphs=capture is not None)
            result.padding_shares[epoch:] = [share]
            left = [] if result.all_diverged else batches[result.step - epoch * steps_per_epoch :]
            with SIGNALS.held():
                for batch in left:
                    step, result.is_between_steps = result.step, False
                    rows.zero_grad()
                    losses[:, step] = 0
                    for part in batch:
                        states = None if frozen is None else frozen.gather(part.rows, part.width)
                        inputs = split.gather(part.rows, part.width)
                        losses[:, step] += accumulate(part.share, split.gold[part.rows], *inputs, states)
                    rows.clip(settings.clip_norm)
                    optimizer.step()
                    schedule.step()
                    result.step = step = step + 1
                    result.is_between_steps = True
                    result.seconds = result.seconds_before + time.perf_counter() - started
                    if step % _SYNC_EVERY[device.type] == 0 or step == steps:
                        done, block = range(result.recorded, step), losses[:, result.recorded : step].cpu().numpy()
                        latest = result.record_losses(block)
                        on_losses(done, block, [schedule.lr_lambdas[0](index) for index in done])
                        if result.all_diverged:
                            break
                        on_step(step, steps, float(np.mean(latest)))
                    if checkpoint is not None:
                        checkpoint.look()
                    SIGNALS.release()
            if result.all_diverged:
                break
            result.evaluations[epoch:] = [on_epoch(epoch + 1)]
    result.examples = min(result.step * settings.batch_size, len(split) * settings.epochs)
    result.seconds = result.seconds_before + time.perf_counter() - started
    return result


def _losses_and_gradients(classifier: Classifier, head: Head, *, bf16: bool) -> Callable[..., Tensor]:
    """From a micro-batch's share, gold labels and inputs to its part of the replicas' losses `[R]`.

    Its part of the gradients is added to those of the parameters.
    """

    def accumulate(
        share: Tensor, gold: Tensor, ids: Tensor, keep: Tensor, token_types: Tensor | None, states: Tensor | None
    ) -> Tensor:
        # Autocast's cache of cast weights serves no weight twice in a step, and must not outlive a captured one.
        with autocast(ids.device, bf16, cache_enabled=False):
            logits = classifier(ids, keep, token_types, states)
        parts = head.loss(logits, gold, keep) * share
        # The sum of the replicas' means: each replica's gradient is its own.
        parts.sum().backward()
        return parts.detach()

    return accumulate


def _plan(
    split: Encoded, settings: TrainConfig, seeds: Sequence[int], epoch: int, *, for_graphs: bool
) -> tuple[list[list[MicroBatch]], float]:
    """One epoch's batches, each as its micro-batches, and the padding's share of all tokens."""
    plans = [plan_epoch(split.lengths, settings.batch_size, seed=seed, epoch=epoch) for seed in seeds]
    size = settings.micro_batch_size or settings.batch_size
    parts, own, shares, counts = [], [], [], []  # `own`: the first replica's rows; those of the others are as long
    for batch in zip(*plans, strict=True):
        together = np.stack(batch)
        starts = range(0, together.shape[1], size)
        for start in starts:
            part = together[:, start : start + size]
            parts.append(part.ravel())
            own.append(part[0])
            shares.append(part.shape[1] / together.shape[1])
        counts.append(len(starts))
    widths = [int(split.lengths[part].max()) for part in parts]
    if for_graphs:
        widths = [min(-(-width // WIDTH_STEP) * WIDTH_STEP, split.ids.shape[1]) for width in widths]
    # One transfer of each per epoch, instead of one for each step.
    device = split.ids.device
    rows = torch.from_numpy(np.concatenate(parts)).to(device).split([len(part) for part in parts])
    on_device = torch.tensor(shares, dtype=torch.float32).to(device)
    micro_batches = map(MicroBatch, rows, widths, on_device)
    return [list(islice(micro_batches, count)) for count in counts], padding_share(split.lengths, own, widths)


def evaluation_tokens(settings: TrainConfig, device: torch.device) -> int:
    """The padded tokens that a batch without gradients may have: as many as are fast on the device, and no more than
    a micro-batch can have, which fitted into memory with all that its gradients need.
    """
    fast = EVALUATION_TOKENS[device.type]
    return min(fast, settings.micro_batch_size * settings.max_length) if settings.micro_batch_size else fast


@torch.inference_mode()
def predict(classifier: Classifier, split: Encoded, *, bf16: bool, max_tokens: int | None = None) -> np.ndarray:
    """Logits of every row by every replica, or what the split keeps of them, `[R, N, n]` float32, in its order.

    A batch has at most `max_tokens` padded tokens (None: as many as are fast on the device), but at least one row.
    """
    classifier.eval()
    device = split.ids.device
    replicas = classifier.replicas
    parts, order = [], []
    max_tokens = max_tokens or EVALUATION_TOKENS[device.type]
    for batch in evaluation_batches(split.lengths, max_tokens // replicas):
        rows = torch.from_numpy(batch).to(device)
        ids, keep, token_types = split.gather(rows, int(split.lengths[batch].max()))
        repeated = None if token_types is None else token_types.repeat(replicas, 1)
        with autocast(device, bf16):
            logits = classifier(ids.repeat(replicas, 1), keep.repeat(replicas, 1), repeated)
        parts.append(split.condense(logits, rows))
        order.append(batch)
    logits = torch.cat(parts, dim=1).cpu().numpy()
    in_order = np.empty_like(logits)
    in_order[:, np.concatenate(order)] = logits
    return in_order
