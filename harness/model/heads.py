"""The torch side of each kind of task: the loss of its head and what the head reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Head:
    """How one kind of task is trained.

    `loss(logits [R, B, outputs], gold [R * B], keep [R * B, T]) -> [R]`: each replica's mean loss, for gold labels of
    the type that batches hold (int64 class ids, float32 scores, int64 first and last tokens `[R * B, 2]`); `keep` is
    False at padding.
    `reads_all_tokens`: the head is applied to every token, and logits are `[R, B, T, outputs]`.
    """

    loss: Callable[..., Tensor]
    reads_all_tokens: bool = False


def _cross_entropy(logits: Tensor, gold: Tensor, _keep: Tensor | None = None) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), gold, reduction="none").view(len(logits), -1).mean(1)


def _squared_error(logits: Tensor, gold: Tensor, _keep: Tensor | None = None) -> Tensor:
    return F.mse_loss(logits.flatten(), gold, reduction="none").view(len(logits), -1).mean(1)


def _span_cross_entropy(logits: Tensor, gold: Tensor, keep: Tensor) -> Tensor:
    """The mean of two cross-entropies, of the first and of the last token, over the tokens that are not padding."""
    kept = logits.flatten(0, 1).masked_fill(~keep[..., None], -torch.inf)  # [R * B, T, 2]
    return F.cross_entropy(kept, gold, reduction="none").view(len(logits), -1).mean(1)


# By the name of the kind of task.
HEADS: dict[str, Head] = {
    "classification": Head(_cross_entropy),
    "regression": Head(_squared_error),
    "span": Head(_span_cross_entropy, reads_all_tokens=True),
}
