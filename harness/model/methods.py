"""The tuning methods: which parameters train. Each is a config, an `apply` and what its replicas may differ in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from harness.errors import UserError
from harness.method_config import (
    AdapterConfig,
    BitFitConfig,
    FullConfig,
    HeadConfig,
    IA3Config,
    LayerNormConfig,
    LoraConfig,
    MethodConfig,
    PeftConfig,
    PrefixConfig,
    TopLayersConfig,
)
from harness.model.adapter import Adapter, insert_adapters
from harness.model.classifier import Classifier
from harness.model.lora import insert_ia3, insert_lora
from harness.model.peft_methods import inject_peft
from harness.model.prefix import ReplicatedPrefix, insert_prefix
from harness.model.replicas import ReplicatedBias, ReplicatedLayerNorm, replace_modules

Generators = Sequence[torch.Generator]


@dataclass(frozen=True)
class Method:
    """`apply(classifier, configs, generators)` makes a frozen classifier trainable in place, one config per replica.

    `per_replica` names the config fields in which the replicas of one stack may differ (learning rates and seeds
    always may); None where the method trains shared weights and therefore runs alone.
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
        placement=first.placement,
    )
    if first.train_layernorms:
        train_layernorms(classifier)
    if first.train_head:
        classifier.head.requires_grad_(True)
    if first.train_pooler:
        if not classifier.has_pooler:
            raise UserError(
                f"method.train_pooler=true: this {classifier.encoder.config.model_type} checkpoint has no pooler that "
                "the head reads"
            )
        _train_pooler(classifier)


def _apply_full(classifier: Classifier, configs: Sequence[FullConfig], generators: Generators) -> None:
    """Every weight trains, in fp32."""
    classifier.float().requires_grad_(True)


def _apply_top_layers(classifier: Classifier, configs: Sequence[TopLayersConfig], generators: Generators) -> None:
    """The top k layers, the pooler where there is one, and the head (section 3.4)."""
    layers = classifier.layers
    count = configs[0].layers
    if count > len(layers):
        raise UserError(f"method.layers={count} is beyond the {len(layers)} layers of this encoder")
    for layer in layers[len(layers) - count :]:
        layer.float().requires_grad_(True)
    classifier.family.final_norm(classifier.encoder).requires_grad_(True)
    _train_pooler(classifier)
    classifier.head.requires_grad_(True)
    classifier.freeze_below(len(layers) - count)


def _apply_layernorm(classifier: Classifier, configs: Sequence[LayerNormConfig], generators: Generators) -> None:
    """Every LayerNorm, the embedding's too, and the head."""
    train_layernorms(classifier)
    classifier.head.requires_grad_(True)


def _apply_bitfit(classifier: Classifier, configs: Sequence[BitFitConfig], generators: Generators) -> None:
    """Every bias of the encoder, those of LayerNorms and pooler too, and the head."""
    train_layernorms(classifier)
    for module in classifier.encoder.modules():
        if isinstance(module, ReplicatedLayerNorm):
            module.weight.requires_grad_(False)

    def replicated(linear: nn.Linear) -> nn.Module:
        return linear if linear.bias is None else ReplicatedBias(linear, classifier.replicas)

    replace_modules(classifier.encoder, nn.Linear, replicated)
    if not any(parameter.requires_grad for parameter in classifier.encoder.parameters()):
        raise UserError(
            f"method=bitfit trains biases, and this {classifier.encoder.config.model_type} encoder has none; "
            "choose another method"
        )
    classifier.head.requires_grad_(True)


def _apply_head(classifier: Classifier, configs: Sequence[HeadConfig], generators: Generators) -> None:
    """The head alone."""
    classifier.head.requires_grad_(True)
    classifier.freeze_below(len(classifier.layers))


def _apply_lora(classifier: Classifier, configs: Sequence[LoraConfig], generators: Generators) -> None:
    """LoRA and the head."""
    insert_lora(classifier.encoder, configs, masks=classifier.dropout.masks, generators=generators)
    classifier.head.requires_grad_(True)


def _apply_ia3(classifier: Classifier, configs: Sequence[IA3Config], generators: Generators) -> None:
    """IA3's vectors and the head."""
    insert_ia3(classifier.encoder, configs[0], classifier.replicas)
    classifier.head.requires_grad_(True)


def _apply_prefix(classifier: Classifier, configs: Sequence[PrefixConfig], generators: Generators) -> None:
    """Keys and values of virtual tokens, and the head."""
    encoder = classifier.encoder
    insert_prefix(encoder, ReplicatedPrefix(encoder.config, configs[0].virtual_tokens, generators))
    classifier.head.requires_grad_(True)


def _apply_peft(classifier: Classifier, configs: Sequence[PeftConfig], generators: Generators) -> None:
    """What `peft` puts into the encoder, and the head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generators[0].initial_seed())  # peft draws from torch's own stream
        inject_peft(classifier.encoder, configs[0])
    classifier.head.requires_grad_(True)


def _train_pooler(classifier: Classifier) -> None:
    if classifier.has_pooler:
        classifier.encoder.pooler.float().requires_grad_(True)


def train_layernorms(classifier: Classifier) -> None:
    """Give each replica its own trained copy of every LayerNorm, the embedding's too."""
    replace_modules(classifier.encoder, nn.LayerNorm, lambda norm: ReplicatedLayerNorm(norm, classifier.replicas))


METHODS: dict[str, Method] = {
    "adapter": Method(_apply_adapter, per_replica=("bottleneck_size", "init_std")),
    "full": Method(_apply_full, per_replica=None),
    "top_layers": Method(_apply_top_layers, per_replica=None),
    "layernorm": Method(_apply_layernorm, per_replica=()),
    "bitfit": Method(_apply_bitfit, per_replica=()),
    "head": Method(_apply_head, per_replica=()),
    "lora": Method(_apply_lora, per_replica=("rank", "alpha", "rslora")),
    "ia3": Method(_apply_ia3, per_replica=()),
    "prefix": Method(_apply_prefix, per_replica=()),
    "peft": Method(_apply_peft, per_replica=None),
}


def apply_method(classifier: Classifier, configs: Sequence[MethodConfig]) -> None:
    """Freeze the classifier, then let the method named in `configs` (one per replica) choose what trains."""
    classifier.requires_grad_(False)
    METHODS[configs[0].name].apply(classifier, configs, classifier.generators)


def can_stack(config: MethodConfig) -> bool:
    """Whether replicas of this method can share one encoder in one pass."""
    return METHODS[config.name].per_replica is not None and not getattr(config, "train_pooler", False)
