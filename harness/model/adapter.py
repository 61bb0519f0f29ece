"""The bottleneck adapter of Houlsby et al. (2019), section 2.1, and where it goes in each encoder family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.model.families import get_family
from harness.model.replicas import ReplicatedLinear, truncated_normal_

# All of them map 0 to 0, so units padded with zeros stay zero.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": partial(F.gelu, approximate="tanh"),  # as in the released code; the paper names none
    "relu": F.relu,
    "swish": F.silu,  # AdapterHub's `houlsby` preset
    "tanh": torch.tanh,
}


class Adapter(nn.Module):
    """`x + W_up act(W_down x + b_down) + b_up` for R replicas; `[R * B, T, d] -> [R * B, T, d]` in fp32.

    `sizes` are the bottleneck sizes of the replicas, R of them. Smaller ones are padded with zeros to the largest:
    a padded unit's input, output and gradients are zero, so it never moves.
    Weights are drawn from a truncated normal of standard deviation `init_stds[r]` by `generators[r]`, biases are
    zero (section 3.6: near-identity initialisation).
    """

    def __init__(
        self,
        width: int,
        sizes: Sequence[int],
        *,
        activation: str,
        init_stds: Sequence[float],
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.activation = ACTIVATIONS[activation]
        self.enabled = True
        self.down = ReplicatedLinear(len(sizes), width, max(sizes))
        self.up = ReplicatedLinear(len(sizes), max(sizes), width)
        with torch.no_grad():
            for replica, (size, std, generator) in enumerate(zip(sizes, init_stds, generators, strict=True)):
                # Drawn at the replica's own size: the same numbers alone and padded in a stack.
                for target in (self.down.weight[replica, :, :size], self.up.weight[replica, :size, :]):
                    values = torch.empty(target.shape, device=target.device)
                    truncated_normal_(values, std, generator)
                    target.copy_(values)

    def forward(self, x: Tensor) -> Tensor:
        if not self.enabled:
            return x.float()
        # fp32: at initialisation the added term is below bf16's resolution of x.
        return x.float() + self.up(self.activation(self.down(x)))


def insert_adapters(encoder: nn.Module, make: Callable[[], Adapter], *, placement: str = "houlsby") -> None:
    """Put adapters into every layer, lowest first: after both sub-layers (`houlsby`), or after the feed-forward one
    only (`pfeiffer`, Pfeiffer et al. 2021).
    """
    family = get_family(encoder.config.model_type)
    ends = {"houlsby": (family.attention_end, family.feed_forward_end), "pfeiffer": (family.feed_forward_end,)}
    for layer in family.layers_of(encoder):
        for path in ends[placement]:
            parent, _, leaf = path.rpartition(".")
            owner = layer.get_submodule(parent)
            setattr(owner, leaf, nn.Sequential(getattr(owner, leaf), make()))


def adapters(module: nn.Module) -> Iterator[Adapter]:
    """Every adapter inside a module, lowest layer first."""
    return (child for child in module.modules() if isinstance(child, Adapter))


@contextmanager
def without_adapters(encoder: nn.Module, first: int, last: int) -> Iterator[None]:
    """Leave out the adapters of the layers `first` to `last`, counted from 0 (ablation, section 3.6)."""
    layers = get_family(encoder.config.model_type).layers_of(encoder)
    removed = [adapter for layer in layers[first : last + 1] for adapter in adapters(layer)]
    for adapter in removed:
        adapter.enabled = False
    try:
        yield
    finally:
        for adapter in removed:
            adapter.enabled = True
