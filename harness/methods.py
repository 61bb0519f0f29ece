"""The tuning methods: which parameters train. Each is a config, an `apply` and what its replicas may differ in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from harness.adapters import Adapter, insert_adapters
from harness.classifier import Classifier
from harness.config import AdapterConfig, FullConfig, MethodConfig
from harness.errors import UserError
from harness.replicas import ReplicatedLayerNorm, replace_modules

Generators = Sequence[torch.Generator | None]


@dataclass(frozen=True)
class Method:
    """`apply(classifier, configs, generators)` makes a frozen classifier trainable in place, a config a replica.

    `per_replica` names the config fields in which the replicas of one stack may differ (all differ in learning
    rate and seed as they like); None where the method trains shared weights and so runs alone.
    """

    apply: Callable[[Classifier, Sequence[MethodConfig], Generators], None]
    per_replica: tuple[str, ...] | None


def _apply_adapter(classifier: Classifier, configs: Sequence[AdapterConfig], generators: Generators) -> None:
    """Adapters, LayerNorms and the head train; pooler and everything else stay frozen (section 2.1)."""
    first = configs[0]
    if first.train_pooler and len(configs) > 1:
        raise ValueError("a trained pooler is shared by the stack; run it alone")
    insert_adapters(
        classifier.encoder,
        lambda: Adapter(
            classifier.encoder.config.hidden_size,
            [config.bottleneck_size for config in configs],
            activation=first.activation,
            init_stds=[config.init_std for config in configs],
            generators=generators,
        ).to(classifier.encoder.device),
    )
    if first.train_layernorms:
        train_layernorms(classifier)
    if first.train_head:
        classifier.head.requires_grad_(True)
    if first.train_pooler:
        if not classifier.has_pooler:
            raise UserError(
                f"method.train_pooler=true: this {classifier.encoder.config.model_type} checkpoint has no pooler"
            )
        classifier.encoder.pooler.float().requires_grad_(True)


def _apply_full(classifier: Classifier, configs: Sequence[FullConfig], generators: Generators) -> None:
    """Every weight trains, in fp32."""
    classifier.float().requires_grad_(True)


def train_layernorms(classifier: Classifier) -> None:
    """Give each replica its own trained copy of every LayerNorm, the embedding's too."""
    replace_modules(classifier.encoder, nn.LayerNorm, lambda norm: ReplicatedLayerNorm(norm, classifier.replicas))


METHODS: dict[str, Method] = {
    "adapter": Method(_apply_adapter, per_replica=("bottleneck_size", "init_std")),
    "full": Method(_apply_full, per_replica=None),
}


def apply_method(classifier: Classifier, configs: Sequence[MethodConfig], generators: Generators) -> None:
    """Freeze the classifier, then let the method named in `configs` (one a replica) choose what trains."""
    classifier.requires_grad_(False)
    METHODS[configs[0].name].apply(classifier, configs, generators)


def can_stack(config: MethodConfig) -> bool:
    """Whether replicas of this method can share one encoder in one pass."""
    return METHODS[config.name].per_replica is not None and not getattr(config, "train_pooler", False)
