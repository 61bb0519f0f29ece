"""A pre-trained encoder with R task heads: what one stack of replicas trains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from harness.model import attention
from harness.model.dropout import Dropout, MaskStreams
from harness.model.families import get_family
from harness.model.family import embedding_modules, mean_over_tokens
from harness.model.pooling import pooling_title, resolve_pooling
from harness.model.replicas import ReplicatedLinear, replace_modules, truncated_normal_


class Classifier(nn.Module):
    """`encoder` and, for each of R replicas, dropout and one linear layer on the pooled output (section 3.2).

    `pooling` is `model.pooling`: what the head reads; an encoder whose pooler it does not read loses it.

    `seeds` has one seed per replica: of its initial weights (`generators`, from which methods draw on) and of its
    dropout masks. `outputs` may be given per replica: narrower heads are padded to the widest, and so are their
    logits. `dropout_rate` holds everywhere: in the encoder, in its attention and before the head.
    With `reads_all_tokens` the head is applied to every token of the last layer instead, whatever `pooling` says.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        outputs: int | Sequence[int],
        *,
        seeds: Sequence[int],
        dropout_rate: float,
        reads_all_tokens: bool = False,
        pooling: str = "auto",
    ) -> None:
        super().__init__()
        self.replicas = len(seeds)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._pooling = None if reads_all_tokens else resolve_pooling(pooling, encoder)
        if self._pooling != "pooler" and hasattr(encoder, "pooler"):
            encoder.pooler = None
        self.encoder = encoder
        self.family = get_family(encoder.config.model_type)
        self.reads_all_tokens = reads_all_tokens
        self.frozen_layers: int | None = None
        masks = MaskStreams(seeds)
        self.dropout = Dropout(dropout_rate, masks)
        width = encoder.config.hidden_size
        self.outputs = (outputs,) * self.replicas if isinstance(outputs, int) else tuple(outputs)
        self.head = ReplicatedLinear(self.replicas, width, max(self.outputs))
        with torch.no_grad():
            for weight, own, generator in zip(self.head.weight, self.outputs, self.generators, strict=True):
                # As the released code draws it: truncated normal, 0.02.
                values = torch.empty(width, own, device=weight.device)
                truncated_normal_(values, encoder.config.initializer_range, generator)
                weight[:, :own].copy_(values)
        replace_modules(encoder, nn.Dropout, lambda module: Dropout(dropout_rate, masks))
        self.family.set_dropout(encoder, dropout_rate, lambda: Dropout(dropout_rate, masks))
        if self.family.calls_interface:
            encoder.set_attn_implementation(attention.NAME)

    @property
    def has_pooler(self) -> bool:
        return getattr(self.encoder, "pooler", None) is not None

    @property
    def pooling(self) -> str:
        """What the head reads, as records say it."""
        return pooling_title(self._pooling)

    @property
    def reads_first_token(self) -> bool:
        """Whether the last layer is computed for the first token only."""
        return self._pooling in ("pooler", "first")

    @property
    def layers(self) -> nn.ModuleList:
        """The encoder's layers, lowest first."""
        return self.family.layers_of(self.encoder)

    @property
    def is_frozen(self) -> bool:
        """Whether every layer is frozen."""
        return self.frozen_layers == len(self.layers)

    def freeze_below(self, layers: int) -> None:
        """Declare that nothing in the embeddings and the lowest `layers` layers trains.

        They run without dropout, so that their outputs depend on the row alone and can be kept (`FrozenStates`).
        """
        self.frozen_layers = layers

    def train(self, mode: bool = True) -> Classifier:
        super().train(mode)
        if self.frozen_layers is not None:
            for module in (*embedding_modules(self.encoder), *self.layers[: self.frozen_layers]):
                module.eval()
        return self

    def forward(
        self, ids: Tensor, keep: Tensor, token_types: Tensor | None = None, states: Tensor | None = None
    ) -> Tensor:
        """ids `[R * B, T]`, keep `[R * B, T]` (False at padding), token types or None -> logits in fp32.

        Logits are `[R, B, outputs]`, or `[R, B, T, outputs]` where the head reads all tokens. With `states`, what
        `lower_states` returns for these rows, only the rest is computed.
        """
        if states is None:
            states = self.lower_states(ids, keep, token_types)
        states = self._run(states, keep, self.frozen_layers or 0, len(self.layers), self.replicas)
        if self.has_pooler:
            states = self.encoder.pooler(states)
        elif not self.reads_all_tokens:
            states = states[:, 0]
        logits = self.head(self.dropout(states))
        return logits.float().view(self.replicas, -1, *logits.shape[1:])

    def lower_states(self, ids: Tensor, keep: Tensor, token_types: Tensor | None) -> Tensor:
        """The output of the embeddings and the frozen layers, `[N, T, d]` (see `_run` for when T is 1).

        No replica has anything of its own in them, and N is any number of rows.
        """
        prefix = getattr(self.encoder, "prefix", None)
        if prefix is not None:
            prefix.compute()
        states = self.family.embed(self.encoder, ids, token_types)
        return self._run(states, keep, 0, self.frozen_layers or 0, 1)

    def _run(self, states: Tensor, keep: Tensor, first: int, end: int, replicas: int) -> Tensor:
        """The layers from `first` up to `end`; after the encoder's last, one token unless the head reads all.

        That is the first token, or the mean of all.
        """
        if first == end:
            return states
        shared = self.family.shared(self.encoder, keep, replicas)
        for index, layer in enumerate(self.layers[first:end], start=first):
            is_last = index + 1 == len(self.layers)
            compute = self.family.first_token if is_last and self.reads_first_token else self.family.run
            states = compute(layer, states, shared)
        if end < len(self.layers):
            return states
        states = self.family.final_norm(self.encoder)(states)
        return mean_over_tokens(states, keep) if self._pooling == "mean" else states
