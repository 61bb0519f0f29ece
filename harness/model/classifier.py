"""A pre-trained encoder with R task heads: what one stack of replicas trains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from harness.model import attention
from harness.model.dropout import Dropout, MaskStreams
from harness.model.families import get_family
from harness.model.replicas import ReplicatedLinear, replace_modules, truncated_normal_


class Classifier(nn.Module):
    """`encoder` and, for each of R replicas, dropout and one linear layer on the pooled output (section 3.2).

    forward: ids `[R * B, T]`, keep `[R * B, T]` (False at padding), token types or None -> logits `[R, B, outputs]`
    in fp32. The pooled output is the pre-trained pooler's where the checkpoint has one, else the last hidden state
    of the first token. `dropout_rate` holds everywhere: in the encoder, in its attention and before the head.
    `outputs` may be given for each replica: narrower heads are padded to the widest, and so are their logits.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        outputs: int | Sequence[int],
        *,
        generators: Sequence[torch.Generator | None],
        dropout_rate: float,
    ) -> None:
        super().__init__()
        self.replicas = len(generators)
        self.encoder = encoder
        self.frozen_layers: int | None = None
        self._upper: tuple[nn.Module, ...] = ()  # `upper_part`, made once; a tuple, since it is no module of its own
        masks = MaskStreams([0 if generator is None else generator.initial_seed() for generator in generators])
        self.dropout = Dropout(dropout_rate, masks)
        width = encoder.config.hidden_size
        self.outputs = (outputs,) * self.replicas if isinstance(outputs, int) else tuple(outputs)
        self.head = ReplicatedLinear(self.replicas, width, max(self.outputs))
        with torch.no_grad():
            for weight, own, generator in zip(self.head.weight, self.outputs, generators, strict=True):
                # As the released code draws it: truncated normal, 0.02.
                values = torch.empty(width, own, device=weight.device)
                truncated_normal_(values, encoder.config.initializer_range, generator)
                weight[:, :own].copy_(values)
        replace_modules(encoder, nn.Dropout, lambda module: Dropout(dropout_rate, masks))
        encoder.set_attn_implementation(attention.NAME)
        _keep_first_token_only(encoder)

    @property
    def has_pooler(self) -> bool:
        return getattr(self.encoder, "pooler", None) is not None

    @property
    def layers(self) -> nn.ModuleList:
        """The encoder's layers, lowest first."""
        return self.encoder.get_submodule(get_family(self.encoder.config.model_type).layers)

    def freeze_below(self, layers: int) -> None:
        """Tell that nothing in the embeddings and the lowest `layers` layers trains: they run without dropout, so
        that their outputs depend on the row alone and can be kept (see `PrefixCache`).
        """
        self.frozen_layers = layers

    def train(self, mode: bool = True) -> Classifier:
        super().train(mode)
        if self.frozen_layers is not None:
            for name, module in self.encoder.named_children():
                if name.startswith("embeddings"):
                    module.eval()
            self.layers[: self.frozen_layers].eval()
        return self

    def forward(
        self, ids: Tensor, keep: Tensor, token_types: Tensor | None = None, states: Tensor | None = None
    ) -> Tensor:
        """With `states`, the outputs of the frozen part (`lower_part`) for these rows, only the rest is computed."""
        if states is None:
            output = self.encoder(**encoder_inputs(ids, keep, token_types))
        else:
            self._upper = self._upper or (self.upper_part(),)
            output = self._upper[0](inputs_embeds=states, attention_mask=keep[:, None, None, :])
        pooled = output.pooler_output if self.has_pooler else output.last_hidden_state[:, 0]
        logits = self.head(self.dropout(pooled))
        return logits.float().view(self.replicas, -1, logits.shape[-1])

    def lower_part(self) -> PreTrainedModel:
        """The encoder up to the last frozen layer, without pooler; it shares every module with the whole."""
        return _part(self.encoder, slice(0, self.frozen_layers), {"pooler": None})

    def upper_part(self) -> PreTrainedModel:
        """The encoder from the first layer that is not frozen on; it takes `inputs_embeds` as that layer's input."""
        given = {name: _Given() for name, _ in self.encoder.named_children() if name.startswith("embeddings")}
        return _part(self.encoder, slice(self.frozen_layers, None), given)


def encoder_inputs(ids: Tensor, keep: Tensor, token_types: Tensor | None) -> dict[str, Tensor]:
    """The encoder's arguments: ids `[N, T]`, keep `[N, T]` as a mask of keys, token types where there are any."""
    inputs = {"input_ids": ids, "attention_mask": keep[:, None, None, :]}
    return inputs if token_types is None else inputs | {"token_type_ids": token_types}


class _Given(nn.Module):
    """In the place of the embeddings: hands on the states that it is given."""

    def forward(self, *arguments: object, **named: object) -> Tensor:
        return next(x for x in (*arguments, *named.values()) if isinstance(x, Tensor) and x.is_floating_point())


def _part(encoder: PreTrainedModel, layers: slice, replaced: dict[str, nn.Module | None]) -> PreTrainedModel:
    parent, _, leaf = get_family(encoder.config.model_type).layers.rpartition(".")
    stack = _shallow_copy(encoder.get_submodule(parent))
    stack._modules[leaf] = stack._modules[leaf][layers]
    part = _shallow_copy(encoder)
    part._modules |= {parent: stack} | {name: new for name, new in replaced.items() if name in part._modules}
    return part


def _shallow_copy(module: nn.Module) -> nn.Module:
    """The same object but for its table of children."""
    copied = object.__new__(type(module))
    copied.__dict__ = module.__dict__ | {"_modules": dict(module._modules)}
    return copied


def _keep_first_token_only(encoder: PreTrainedModel) -> None:
    """Let the last layer compute the first token alone: nothing else reaches the head.

    Exact; saves the last layer's query, output and feed-forward products, 14 % of a 6-layer encoder.
    """
    family = get_family(encoder.config.model_type)
    layer = encoder.get_submodule(family.layers)[-1]
    forward = _distilbert_first_token if encoder.config.model_type == "distilbert" else _bert_first_token
    layer.forward = partial(forward, layer)


def _first_token_context(query: nn.Module, key: nn.Module, value: nn.Module, x: Tensor, *, owner, heads, mask, rate):
    first = x[:, :1]
    q, k, v = (
        projection(states).unflatten(-1, (heads, -1)).transpose(1, 2)
        for projection, states in ((query, first), (key, x), (value, x))
    )
    context, _ = attention.attention(owner, q, k, v, mask, dropout=rate if owner.training else 0.0)
    return first, context.flatten(2)


def _bert_first_token(layer: nn.Module, x: Tensor, attention_mask: Tensor | None = None, *_: object, **__: object):
    inner = layer.attention.self
    first, context = _first_token_context(
        inner.query, inner.key, inner.value, x,
        owner=inner, heads=inner.num_attention_heads, mask=attention_mask, rate=inner.dropout.p,
    )  # fmt: skip
    return layer.feed_forward_chunk(layer.attention.output(context, first))


def _distilbert_first_token(layer: nn.Module, x: Tensor, attention_mask: Tensor | None = None, **_: object):
    inner = layer.attention
    first, context = _first_token_context(
        inner.q_lin, inner.k_lin, inner.v_lin, x,
        owner=inner, heads=inner.n_heads, mask=attention_mask, rate=inner.dropout.p,
    )  # fmt: skip
    attended = layer.sa_layer_norm(inner.out_lin(context) + first)
    return layer.output_layer_norm(layer.ffn(attended) + attended)
