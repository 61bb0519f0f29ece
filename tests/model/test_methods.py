"""Every tuning method on every encoder family: what trains, what stays, and what stacks."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from transformers import BertConfig

from harness.config import TrainConfig
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
from harness.model.adapter import adapters, without_adapters
from harness.model.attention import attention
from harness.model.build import hold_frozen_in_bf16
from harness.model.families import get_family
from harness.model.methods import can_stack
from harness.model.parameters import count
from harness.model.peft_methods import CONFIGS
from harness.model.replica_state import load_tensors, trained_tensors
from harness.model.replicas import ReplicatedBias
from harness.training.loop import predict
from harness.training.parameter_rows import ParameterRows
from tests.fixtures import training
from tests.fixtures.tiny import tiny_config
from tests.fixtures.training import DISTINCT, rows, train

LORA = PeftConfig(type="LORA", options={"r": 2})
PEFT = [  # every type that method.type may be
    LORA,
    PeftConfig(type="FOURIERFT", options={"n_frequency": 10}),
    PeftConfig(type="HRA", options={"r": 2}),
    PeftConfig(
        type="IA3",
        options={"target_modules": ["value", "v_lin", "v", "value_proj", "Wqkv"], "feedforward_modules": []},
    ),
    PeftConfig(type="LOHA", options={"r": 2}),
    PeftConfig(type="LOKR", options={"r": 2}),
    PeftConfig(type="OFT", options={"oft_block_size": 8}),
    PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3}),
]
EVERY = [
    AdapterConfig(bottleneck_size=4),
    AdapterConfig(bottleneck_size=4, placement="pfeiffer"),
    FullConfig(),
    TopLayersConfig(layers=1),
    TopLayersConfig(layers=3),
    LayerNormConfig(),
    BitFitConfig(),
    HeadConfig(),
    LoraConfig(rank=2, dropout=0.1),
    LoraConfig(rank=2, target_modules=["query", "key", "value", "dense"]),
    IA3Config(),
    PrefixConfig(virtual_tokens=3),
    *PEFT,
    PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3, "prefix_projection": True}),
]


build = partial(training.build, dropout=0.1)


def name_of(config):
    return (
        f"{config.name}-{getattr(config, 'placement', '')}{getattr(config, 'layers', '')}{getattr(config, 'type', '')}"
    )


def pairs(configs):
    """Every method in every family; ModernBERT has no biases for BitFit."""
    return pytest.mark.parametrize(
        ("config", "family"),
        [
            pytest.param(config, family, id=f"{name_of(config)}-{family}")
            for config in configs
            for family in DISTINCT
            if (config.name, family) != ("bitfit", "modernbert")
        ],
    )


@pytest.mark.parametrize("bf16", [False, True])
@pairs(EVERY)
def test_exactly_the_trained_parameters_move(config, family, bf16):
    """After two steps every trained tensor has moved, and no other one."""
    classifier = build([config], family=family)
    if bf16:
        hold_frozen_in_bf16(classifier)
    before = {name: parameter.detach().clone() for name, parameter in classifier.named_parameters()}
    trained = {name for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    settings = TrainConfig(epochs=2, batch_size=40, weight_decay=0.0)
    result = train(classifier, rows(40), settings, learning_rates=[1e-2], seeds=[0], bf16=bf16)
    assert np.isfinite(result.losses).all()
    moved = {name for name, parameter in classifier.named_parameters() if not torch.equal(parameter, before[name])}
    # A key's bias shifts all scores of a query alike, and the softmax does not see it.
    deaf = {name for name in trained if name.endswith(("key.bias", "k_lin.bias", "attn.k.bias"))}
    assert moved - deaf == trained - deaf
    assert predict(classifier, rows(40), bf16=bf16).shape == (1, 40, 2)


def trained_names(config, family="bert"):
    return {name for name, parameter in build([config], family=family).named_parameters() if parameter.requires_grad}


def test_what_each_method_trains():
    everything = trained_names(FullConfig())
    norms = {name for name in everything if "LayerNorm" in name}
    head = {"head.weight", "head.bias"}
    assert trained_names(HeadConfig()) == head
    assert trained_names(LayerNormConfig()) == norms | head
    assert trained_names(BitFitConfig()) == {name for name in everything if name.endswith("bias")} | {"head.weight"}
    top = {name for name in everything if ".layer.2." in name or ".pooler." in name}
    assert trained_names(TopLayersConfig(layers=1)) == top | head
    assert all("embeddings" not in name for name in trained_names(TopLayersConfig(layers=3)))
    assert {name for name in trained_names(LORA) if "lora" not in name} == head


def test_what_each_method_trains_in_modernbert():
    """Its last LayerNorm is the encoder's own, and belongs to the top layers as BERT's does."""
    everything = trained_names(FullConfig(), "modernbert")
    norms = {name for name in everything if "norm" in name}
    head = {"head.weight", "head.bias"}
    assert trained_names(LayerNormConfig(), "modernbert") == norms | head
    assert len(norms) == 2 * 3 + 1 and all(name.endswith("weight") for name in norms)
    top = {name for name in everything if ".layers.2." in name} | {"encoder.final_norm.weight"}
    assert trained_names(TopLayersConfig(layers=1), "modernbert") == top | head


def test_pfeiffer_adapters_follow_the_feed_forward_sublayer_only():
    classifier = build([AdapterConfig(bottleneck_size=4, placement="pfeiffer")])
    assert len(list(adapters(classifier))) == 3
    names = {name for name in trained_names(AdapterConfig(placement="pfeiffer")) if ".down." in name}
    assert names == {f"encoder.encoder.layer.{layer}.output.dropout.1.down.{part}" for layer in range(3)
                     for part in ("weight", "bias")}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "trained"),
    [
        (LayerNormConfig(), 38_400 + 1_538),
        (TopLayersConfig(layers=1), 7_087_872 + 590_592 + 1_538),
        (TopLayersConfig(layers=12), 12 * 7_087_872 + 590_592 + 1_538),
        (HeadConfig(), 1_538),
        # A layer's biases: 4 x 768 attention, 3,072 + 768 feed-forward, 2 x 768 LayerNorms; then embeddings, pooler.
        (BitFitConfig(), 12 * 8_448 + 2 * 768 + 1_538),
        (AdapterConfig(bottleneck_size=64, placement="pfeiffer"), 12 * (2 * 64 * 768 + 768 + 64) + 38_400 + 1_538),
        # Rank 8 on query and value: 2 x (8 x 768 + 768 x 8) per layer.
        (LoraConfig(rank=8), 12 * 2 * 2 * 8 * 768 + 1_538),
        # On all six products of a layer, of which two are between 768 and 3,072.
        (LoraConfig(rank=8, target_modules=["query", "key", "value", "dense"]), 12 * 8 * (8 * 768 + 2 * 3_840) + 1_538),
        # A key, a value, and the activations of the feed-forward sub-layer.
        (IA3Config(), 12 * (2 * 768 + 3_072) + 1_538),
        (PeftConfig(type="LORA", options={"r": 8}), 12 * 2 * 2 * 8 * 768 + 1_538),
        # 20 virtual tokens, a key and a value in each layer.
        (PeftConfig(type="PREFIX_TUNING"), 20 * 12 * 2 * 768 + 1_538),
        (FullConfig(), 109_482_240 + 1_538),
    ],
    ids=lambda value: name_of(value) if isinstance(value, MethodConfig) else "",
)
def test_counts_on_bert_base_are_the_ones_computed_by_hand(config, trained):
    counted = count(BertConfig(), config, 2)
    assert counted["trained"] == trained
    assert counted["encoder"] == 109_482_240
    in_groups = sum(group["total"] for group in counted["groups"].values())
    assert in_groups == counted["total"]


@pairs(
    [AdapterConfig(bottleneck_size=4), LayerNormConfig(), BitFitConfig(), HeadConfig(), PrefixConfig(virtual_tokens=3)]
)
def test_stackable_methods_equal_their_runs_alone(config, family):
    data, settings = rows(96), TrainConfig(epochs=3, batch_size=32)
    seeds, rates = [0, 1, 2], [3e-3, 1e-2, 1e-3]
    assert can_stack(config)
    stacked = build([config] * 3, seeds, family=family)
    together = train(stacked, data, settings, learning_rates=rates, seeds=seeds, bf16=False)
    for index in range(3):
        single = build([config], [seeds[index]], family=family)
        alone = train(single, data, settings, learning_rates=[rates[index]], seeds=[seeds[index]], bf16=False)
        np.testing.assert_allclose(alone.losses[0], together.losses[index], atol=1e-4)
    assert len({tuple(np.round(row, 3)) for row in together.losses}) == 3


def test_bitfit_is_refused_where_an_encoder_has_no_biases():
    with pytest.raises(UserError, match="method=bitfit trains biases, and this modernbert encoder has none"):
        count(tiny_config("modernbert"), BitFitConfig(), 2)


def test_methods_that_train_shared_weights_run_alone():
    assert not any(can_stack(config) for config in (FullConfig(), TopLayersConfig(), LORA))


def test_more_layers_than_the_encoder_has_are_refused():
    with pytest.raises(UserError, match=r"method.layers=4 is beyond the 3 layers"):
        build([TopLayersConfig(layers=4)])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PeftConfig(type="LORE"), f"method.type=LORE is not supported; choose one of {', '.join(CONFIGS)}$"),
        (PeftConfig(type="PROMPT_TUNING"), "method.type=PROMPT_TUNING is not supported"),
        # Its schedule of ranks and its loss are not run: it would be another method under that name.
        (PeftConfig(type="ADALORA", options={"total_step": 10}), "method.type=ADALORA is not supported"),
        (PeftConfig(type="PREFIX_TUNING", options={"length": 3}), "method.type=PREFIX_TUNING.*length"),
        (PeftConfig(type="LORA", options={"rank": 2}), "method.type=LORA, method.options={rank=2}.*rank"),
        (PeftConfig(type="LORA", options={"target_modules": ["nothing"]}), "nothing.*not found"),
    ],
)
def test_peft_refuses_in_one_line_what_it_cannot_do(config, message):
    with pytest.raises(UserError, match=message):
        count(tiny_config(), config, 2)


@pytest.mark.parametrize("family", DISTINCT)
def test_a_prefix_is_attended_to_like_tokens_before_the_row(family):
    """In the whole encoder, and in one layer against the formula."""
    config = PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 2})
    classifier = build([config], family=family, dropout=0.0).eval()
    plain = build([HeadConfig()], family=family, dropout=0.0).eval()
    data = rows()
    states = classifier.encoder.prefix.encode.embedding.weight
    with torch.no_grad():
        states.zero_()
    # Zero keys have score 0 and zero values: every layer's context shrinks by the weight that the prefix takes.
    shrunk = predict(classifier, data, bf16=False)
    expected = predict(plain, data, bf16=False)
    assert np.abs(shrunk - expected).max() > 1e-3
    layer = classifier.layers[0].get_submodule(get_family(family).attention)
    query = torch.randn(2, 4, 5, 8)
    key, value = torch.randn(2, 4, 6, 8), torch.randn(2, 4, 6, 8)
    mask = torch.ones(2, 1, 1, 6, dtype=torch.bool)
    mask[1, ..., 4:] = False
    with torch.no_grad():
        states.normal_()
        classifier.encoder.prefix.compute()
        first = classifier.encoder.prefix.states[0][:, 0]
        context, _ = attention(layer, query, key, value, mask)
        scores = torch.cat([query @ first[0].mT, (query @ key.mT).masked_fill(~mask, -torch.inf)], -1) * 8**-0.5
        wanted = scores.softmax(-1) @ torch.cat([first[1].expand(2, -1, -1, -1), value], 2)
    torch.testing.assert_close(context, wanted.transpose(1, 2))


def test_every_type_of_peft_that_can_be_chosen_is_trained_here():
    assert {config.type for config in PEFT} == set(CONFIGS)


@pytest.mark.parametrize("config", PEFT, ids=name_of)
def test_stored_tensors_of_peft_give_the_same_predictions_in_another_process(config):
    """What is drawn at random and not trained (FourierFT's frequencies) does not depend on the seed."""
    trained = build([config], [0])
    train(trained, rows(), TrainConfig(epochs=1), learning_rates=[1e-2], seeds=[0], bf16=False)
    restored = build([config], [1])
    load_tensors(restored, 0, trained_tensors(trained, 0), where="here")
    np.testing.assert_array_equal(predict(restored, rows(), bf16=False), predict(trained, rows(), bf16=False))


def test_a_copied_classifier_computes_its_own_prefix():
    config = PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 2})
    original = build([config], dropout=0.0)
    before = predict(original, rows(), bf16=False)
    copied = copy.deepcopy(original)
    with torch.no_grad():
        copied.encoder.prefix.encode.embedding.weight.add_(1.0)
    assert np.abs(predict(copied, rows(), bf16=False) - before).max() > 1e-3
    np.testing.assert_array_equal(predict(original, rows(), bf16=False), before)


@pytest.mark.parametrize(
    "config", [PeftConfig(type="IA3"), PeftConfig(type="LORA", options={"r": 1, "use_dora": True})], ids=name_of
)
def test_multipliers_of_peft_are_not_decayed(config):
    """With no gradient and a decay of 10 per step, what starts at 1 or is no matrix stays where it is."""
    classifier = build([config])
    parameters = ParameterRows(classifier, 1)
    before = {name: parameter.detach().clone() for name, parameter in classifier.named_parameters()}
    torch.optim.AdamW(parameters.groups([1e-1], 1.0), fused=True).step()
    moved = {name for name, parameter in classifier.named_parameters() if not torch.equal(parameter, before[name])}
    matrices = {"head.weight"} | {name for name in before if "lora_A" in name}  # lora_B starts at zero
    assert moved == matrices


def test_peft_draws_from_the_runs_seed():
    def weights(seed):
        torch.manual_seed(99)
        return next(p for n, p in build([LORA], [seed]).named_parameters() if "lora_A" in n)

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_without_adapters_of_all_layers_the_encoder_is_the_plain_one_with_its_layernorms():
    classifier = build([AdapterConfig(bottleneck_size=4, init_std=0.5)], dropout=0.0).eval()
    plain = build([LayerNormConfig()], dropout=0.0).eval()
    data = rows()
    expected = predict(plain, data, bf16=False)
    whole = predict(classifier, data, bf16=False)
    with without_adapters(classifier.encoder, 0, 2):
        np.testing.assert_allclose(predict(classifier, data, bf16=False), expected, atol=1e-5)
    with without_adapters(classifier.encoder, 1, 1):
        partly = predict(classifier, data, bf16=False)
    assert np.abs(partly - expected).max() > 1e-3
    assert np.abs(partly - whole).max() > 1e-3
    np.testing.assert_array_equal(predict(classifier, data, bf16=False), whole)


def test_no_bias_of_bitfit_is_decayed():
    classifier = build([BitFitConfig()])
    decayed, undecayed = ParameterRows(classifier, 1).buffers
    assert decayed.shape[1] == 2 * 32  # the head's matrix
    biases = sum(
        parameter.numel() for name, parameter in classifier.encoder.named_parameters() if name.endswith("bias")
    )
    assert undecayed.shape[1] == biases + 2


def test_frozen_products_of_bitfit_are_held_in_bf16_and_their_biases_are_not():
    classifier = build([BitFitConfig()])
    hold_frozen_in_bf16(classifier)
    found = [module for module in classifier.modules() if isinstance(module, ReplicatedBias)]
    assert found
    assert {module.weight.dtype for module in found} == {torch.bfloat16}
    assert {module.bias.dtype for module in found} == {torch.float32}
