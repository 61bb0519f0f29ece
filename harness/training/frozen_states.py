"""The outputs of frozen lower layers, computed once, so that training the top layers does not recompute them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.data.batches import EVALUATION_TOKENS, Encoded, evaluation_batches
from harness.model.classifier import Classifier

_MAX_BYTES = {"cpu": 4 * 2**30, "cuda": 8 * 2**30, "mps": 4 * 2**30}


class FrozenStates:
    """The states above the last frozen layer for every token of a split, in fp32: `[tokens, d]`, row after row.

    Where every layer is frozen and the head reads the first token only, one token per row is kept.
    They are computed in batches of at most `max_tokens` padded tokens (None: as many as are fast on the device).
    """

    def __init__(
        self, classifier: Classifier, split: Encoded, autocast: torch.autocast, max_tokens: int | None = None
    ) -> None:
        device = split.ids.device
        self.is_one_token = _is_one_token(classifier)
        lengths = np.ones_like(split.lengths) if self.is_one_token else split.lengths
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        self.offsets = torch.from_numpy(offsets[:-1]).to(device)
        self.device_lengths = torch.from_numpy(lengths).to(device)
        self.states = torch.empty(int(offsets[-1]), classifier.encoder.config.hidden_size, device=device)
        classifier.eval()
        with torch.no_grad(), autocast:
            for batch in evaluation_batches(split.lengths, max_tokens or EVALUATION_TOKENS[device.type]):
                rows = torch.from_numpy(batch).to(device)
                states = classifier.lower_states(*split.gather(rows, int(split.lengths[batch].max())))
                index, valid = self._places(rows, states.shape[1])
                self.states[index[valid]] = states[valid].float()

    def gather(self, rows: Tensor, width: int) -> Tensor:
        """States of those rows, `[len(rows), width, d]` (width 1 where one token per row is kept).

        At padding they are those of the row's first token: attention does not look there.
        """
        index, valid = self._places(rows, 1 if self.is_one_token else width)
        return self.states[torch.where(valid, index, self.offsets[rows, None])]

    def _places(self, rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
        token = torch.arange(width, device=rows.device)
        return self.offsets[rows, None] + token, token < self.device_lengths[rows, None]


def frozen_states(
    classifier: Classifier, split: Encoded, autocast: torch.autocast, max_tokens: int | None = None
) -> FrozenStates | None:
    """The states of a split, if layers are frozen and their outputs fit into memory (8 GiB with CUDA, else 4 GiB).

    Leaves the classifier in evaluation mode.
    """
    per_row, per_token = state_bytes(classifier)
    if not stored_bytes(per_row * len(split) + per_token * int(split.lengths.sum()), split.ids.device.type):
        return None
    return FrozenStates(classifier, split, autocast, max_tokens)


def state_bytes(classifier: Classifier) -> tuple[int, int]:
    """The bytes that the states of a split take per row and per token."""
    if classifier.frozen_layers is None:
        return 0, 0
    size = 4 * classifier.encoder.config.hidden_size
    return (size, 0) if _is_one_token(classifier) else (0, size)


def stored_bytes(size: int, device: str) -> int:
    """The bytes of states that are stored on a device of that type: all of them, or 0 where they are too many."""
    return size if size <= _MAX_BYTES[device] else 0


def _is_one_token(classifier: Classifier) -> bool:
    return classifier.is_frozen and not classifier.reads_all_tokens
