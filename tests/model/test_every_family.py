"""Every method in every encoder family: how many parameters train, by hand."""

import pytest

from harness.method_config import (
    AdapterConfig,
    BitFitConfig,
    FullConfig,
    HeadConfig,
    IA3Config,
    LayerNormConfig,
    LoraConfig,
    PeftConfig,
    PrefixConfig,
    TopLayersConfig,
)
from harness.model.families import FAMILIES
from harness.model.parameters import count
from harness.model.replica_state import trained_tensors
from tests.fixtures.tiny import tiny_config, tiny_encoder
from tests.fixtures.training import build

HEAD = 2 * 32 + 2
# A layer of width 32 and 64 hidden units has two LayerNorms, the embeddings one; with weight and bias.
NORMS = dict.fromkeys(FAMILIES, 7 * 64) | {
    "electra": 6 * 64 + 2 * 16,  # embeddings are 16 wide
    "deberta-v2": 8 * 64,  # one for the embeddings of distances
    "modernbert": 7 * 32,  # no biases
}
# Query, key, value and their output 32 each, the feed-forward sub-layer 64 and 32, two LayerNorms; the embeddings'.
LAYERS = 3 * (4 * 32 + 64 + 32 + 2 * 32) + 32
BIASES = dict.fromkeys(FAMILIES, LAYERS + 32) | {  # and that of the pooler
    "electra": LAYERS - 32 + 16 + 32,  # narrow embeddings and their projection, no pooler
    "distilbert": LAYERS,
    "deberta-v2": LAYERS + 32,  # no pooler, but the LayerNorm of distances
}


def of_the_top_layer(family):
    """From the plain encoder: the last layer, the pooler and a LayerNorm after the layers, where there are such."""
    paths = (".layer.2.", "layers.2.", "pooler.", "final_norm.")
    return sum(tensor.numel() for name, tensor in tiny_encoder(family).named_parameters()
               if any(path in f".{name}" for path in paths))  # fmt: skip


METHODS = [
    (HeadConfig(), lambda family: 0),
    (LayerNormConfig(), NORMS.get),
    (BitFitConfig(), BIASES.get),
    (AdapterConfig(bottleneck_size=4), lambda family: 6 * (2 * 4 * 32 + 4 + 32) + NORMS[family]),
    (
        AdapterConfig(bottleneck_size=8, placement="pfeiffer", train_layernorms=False),
        lambda family: 3 * (2 * 8 * 32 + 8 + 32),
    ),
    # ModernBERT's query, key and value are one product, 32 to 96; one to 128 makes its hidden units and their gate.
    (LoraConfig(rank=2), lambda family: 3 * 2 * (32 + 96 if family == "modernbert" else 2 * (32 + 32))),
    (LoraConfig(rank=2, target_modules=["intermediate"]), lambda family: 3 * 2 * (32 + _hidden(family))),
    (IA3Config(), lambda family: 3 * ((96 if family == "modernbert" else 2 * 32) + 64)),
    (PrefixConfig(virtual_tokens=5), lambda family: 5 * 3 * 2 * 32),
    (PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 5}), lambda family: 5 * 3 * 2 * 32),
    (TopLayersConfig(layers=1), of_the_top_layer),
    (FullConfig(), lambda family: sum(tensor.numel() for tensor in tiny_encoder(family).parameters())),
]


def _hidden(family):
    return 128 if family == "modernbert" else 64


@pytest.mark.parametrize(
    ("config", "family", "expected"),
    [
        pytest.param(config, family, expected(family) + HEAD, id=f"{config.name}-{family}")
        for family in FAMILIES
        for config, expected in METHODS
        if (config.name, family) != ("bitfit", "modernbert")  # it has no biases
    ],
)
def test_trained_parameters_are_the_ones_computed_by_hand(config, family, expected):
    """In the count of a record, and in what trains."""
    with_pooler = getattr(tiny_encoder(family), "pooler", None) is not None
    assert count(tiny_config(family), config, 2, has_pooler=with_pooler)["trained"] == expected
    assert sum(tensor.numel() for tensor in trained_tensors(build([config], family=family), 0).values()) == expected
