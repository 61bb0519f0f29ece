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

    `loss(logits [R, B, outputs], gold [R * B]) -> [R]`: each replica's mean loss; `gold_dtype` is the gold labels'.
    `reads_all_tokens`: the head is applied to every token, and logits are `[R, B, T, outputs]`.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    gold_dtype: torch.dtype
    reads_all_tokens: bool = False


def _cross_entropy(logits: Tensor, gold: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), gold, reduction="none").view(len(logits), -1).mean(1)


def _squared_error(logits: Tensor, gold: Tensor) -> Tensor:
    return F.mse_loss(logits.flatten(), gold, reduction="none").view(len(logits), -1).mean(1)


# By the name of the kind of task.
HEADS: dict[str, Head] = {
    "classification": Head(_cross_entropy, torch.int64),
    "regression": Head(_squared_error, torch.float32),
}
