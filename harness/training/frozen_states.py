"""The outputs of frozen lower layers, computed once: what tunes the top of an encoder need not run its bottom again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.data.batches import EVALUATION_TOKENS, Encoded, evaluation_batches
from harness.model.classifier import Classifier, encoder_inputs

_MAX_BYTES = {"cpu": 4 * 2**30, "cuda": 8 * 2**30}


class PrefixCache:
    """The states above the last frozen layer for every token of a split, in fp32: `[tokens, d]`, row after row.

    Where the last layer is frozen too, one token a row is left (the classifier computes no other).
    """

    def __init__(self, classifier: Classifier, split: Encoded, autocast: torch.autocast) -> None:
        device = split.ids.device
        self.ends_encoder = classifier.frozen_layers == len(classifier.layers)
        lengths = np.ones_like(split.lengths) if self.ends_encoder else split.lengths
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        self.offsets = torch.from_numpy(offsets[:-1]).to(device)
        self.device_lengths = torch.from_numpy(lengths).to(device)
        self.states = torch.empty(int(offsets[-1]), classifier.encoder.config.hidden_size, device=device)
        lower = classifier.lower_part().eval()
        with torch.no_grad(), autocast:
            for batch in evaluation_batches(split.lengths, EVALUATION_TOKENS[device.type]):
                rows = torch.from_numpy(batch).to(device)
                inputs = encoder_inputs(*split.gather(rows, int(split.lengths[batch].max())))
                states = lower(**inputs).last_hidden_state
                index, valid = self._places(rows, states.shape[1])
                self.states[index[valid]] = states[valid].float()

    def gather(self, rows: Tensor, width: int) -> Tensor:
        """States of those rows, `[len(rows), width, d]` (width 1 where one token a row is left).

        At padding they are those of the row's first token: attention does not look there.
        """
        index, valid = self._places(rows, 1 if self.ends_encoder else width)
        return self.states[torch.where(valid, index, self.offsets[rows, None])]

    def _places(self, rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
        token = torch.arange(width, device=rows.device)
        return self.offsets[rows, None] + token, token < self.device_lengths[rows, None]


def prefix_cache(classifier: Classifier, split: Encoded, autocast: torch.autocast) -> PrefixCache | None:
    """A cache where layers are frozen and their outputs fit into memory (4 GiB on a CPU, 8 GiB on a GPU)."""
    if classifier.frozen_layers is None:
        return None
    tokens = len(split) if classifier.frozen_layers == len(classifier.layers) else int(split.lengths.sum())
    if 4 * tokens * classifier.encoder.config.hidden_size > _MAX_BYTES[split.ids.device.type]:
        return None
    return PrefixCache(classifier, split, autocast)
