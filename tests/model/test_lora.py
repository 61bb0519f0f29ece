"""LoRA and IA3 against `peft`, and stacks against runs alone."""

import dataclasses

import numpy as np
import peft
import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup

from harness.config import TrainConfig
from harness.data.batches import plan_epoch
from harness.errors import UserError
from harness.method_config import HeadConfig, IA3Config, LoraConfig
from harness.model.classifier import Classifier
from harness.model.families import FAMILIES
from harness.model.lora import Lora, Rescaled
from harness.model.methods import apply_method, can_stack
from harness.model.parameters import count
from harness.model.replica_state import load_tensors, trained_tensors
from harness.model.targets import find_targets, short_names
from harness.training.loop import predict
from harness.training.parameter_rows import ParameterRows
from tests.fixtures.tiny import tiny_config, tiny_encoder
from tests.fixtures.training import build, rows, train


def moved(classifier, seed=7):
    """Every trained number moved away from its start value."""
    generator = torch.Generator().manual_seed(seed)
    for replica in range(classifier.replicas):
        tensors = trained_tensors(classifier, replica)
        for tensor in tensors.values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
        load_tensors(classifier, replica, tensors, where="here")
    return classifier


def injected(encoder, config):
    """A plain encoder with peft's layers for that LoRA or IA3."""
    paths = list(find_targets(encoder, config.target_modules))
    if isinstance(config, LoraConfig):
        theirs = peft.LoraConfig(
            r=config.rank, lora_alpha=config.alpha, use_rslora=config.rslora, target_modules=paths,
            init_lora_weights=False, lora_dropout=config.dropout,
        )  # fmt: skip
    else:
        short = short_names(encoder.config.model_type)
        at_input = [path for path in paths if path.endswith((f".{short['attention_output']}", f".{short['output']}"))]
        theirs = peft.IA3Config(target_modules=paths, feedforward_modules=at_input)
    return peft.inject_adapter_in_model(theirs, encoder)


@torch.no_grad()
def copy_to_peft(classifier, encoder):
    """The weights of our replica 0 in peft's layers."""
    for path, module in classifier.encoder.named_modules():
        if isinstance(module, Lora):
            theirs = encoder.get_submodule(path)
            theirs.lora_A["default"].weight.copy_(module.down[0].t())
            theirs.lora_B["default"].weight.copy_(module.up[0].t())
        elif isinstance(module, Rescaled):
            vector = encoder.get_submodule(path).ia3_l["default"]
            vector.copy_(module.weight[0].view(vector.shape))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(rank=3, alpha=8.0),
        LoraConfig(rank=4, alpha=2.0, rslora=True, target_modules=["query", "key", "value", "dense"]),
        IA3Config(),
        IA3Config(target_modules=["key", "value", "attention_output", "output"]),  # peft's for BERT
    ],
    ids=lambda config: f"{config.name}-{len(config.target_modules)}",
)
def test_outputs_equal_those_of_peft_under_the_same_weights(config, family):
    """Every token's last state, against peft's layers in transformers' own forward pass; fp32."""
    classifier = Classifier(tiny_encoder(family), 32, seeds=[0], dropout_rate=0.0, reads_all_tokens=True).eval()
    apply_method(classifier, [config])
    moved(classifier)
    encoder = injected(tiny_encoder(family), config).eval()
    ids, keep = torch.arange(5, 25).view(2, 10), torch.ones(2, 10, dtype=torch.bool)
    keep[1, 6:] = False
    with torch.no_grad():
        classifier.head.weight.copy_(torch.eye(32))  # so that the states are the logits
        classifier.head.bias.zero_()
        before = encoder(ids, keep.long()).last_hidden_state
        copy_to_peft(classifier, encoder)
        theirs = encoder(ids, keep.long()).last_hidden_state
        ours = classifier(ids, keep)[0]
    torch.testing.assert_close(ours[keep], theirs[keep], atol=1e-5, rtol=0)
    assert (theirs - before)[keep].abs().max() > 1e-2


def test_training_curves_equal_those_of_peft_in_a_plain_loop():
    """56 steps of transformers' classifier with peft's LoRA and torch's AdamW, with our start and batches; fp32."""
    config = LoraConfig(rank=4, alpha=8.0, target_modules=["query", "value", "dense"])
    settings, data, rate = TrainConfig(epochs=8, batch_size=32, dropout=0.0, weight_decay=0.1), rows(), 2e-2
    classifier = build([config])
    plain = AutoModelForSequenceClassification.from_config(tiny_config())
    plain.bert = injected(tiny_encoder(), config)  # MiniLM's family has a pooler that transformers' head reads
    plain.eval()  # no dropout
    copy_to_peft(classifier, plain.bert)
    with torch.no_grad():
        plain.classifier.weight.copy_(classifier.head.weight[0].t())
        plain.classifier.bias.zero_()
    for name, parameter in plain.named_parameters():
        parameter.requires_grad_("lora_" in name or name.startswith("classifier."))
    trained = {name: parameter for name, parameter in plain.named_parameters() if parameter.requires_grad}
    groups = [
        {"params": [p for n, p in trained.items() if not n.endswith("bias")], "weight_decay": 0.1},
        {"params": [p for n, p in trained.items() if n.endswith("bias")], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999), eps=1e-6)
    steps = 8 * -(-len(data) // 32)
    schedule = get_linear_schedule_with_warmup(optimizer, round(0.1 * steps), steps)
    expected = []
    for epoch in range(8):
        for batch in plan_epoch(data.lengths, 32, seed=0, epoch=epoch):
            own = torch.from_numpy(batch)
            ids, keep, _ = data.gather(own, int(data.lengths[batch].max()))
            loss = plain(input_ids=ids, attention_mask=keep.long(), labels=data.gold[own]).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
            optimizer.step()
            schedule.step()
            expected.append(loss.item())
    ours = train(classifier, data, settings, learning_rates=[rate], seeds=[0], bf16=False).losses[0]
    assert len(expected) == len(ours) == 56
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert np.mean(expected[-7:]) < 0.5 * expected[0]


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_stack_of_four_equals_four_runs_alone(family):
    """Other ranks, alphas, scalings, seeds and rates; with dropout of both kinds; fp32."""
    configs = [
        LoraConfig(rank=2, alpha=4.0), LoraConfig(rank=5, alpha=16.0), LoraConfig(rank=8, alpha=8.0, rslora=True),
        LoraConfig(rank=8, alpha=8.0),
    ]  # fmt: skip
    configs = [dataclasses.replace(config, dropout=0.1, target_modules=["value", "output"]) for config in configs]
    seeds, rates, data = [0, 1, 2, 0], [3e-3, 1e-3, 1e-2, 1e-3], rows()
    settings = TrainConfig(epochs=8, batch_size=32)
    assert all(can_stack(config) for config in configs)
    stacked = build(configs, seeds, family=family, dropout=0.1)
    together = train(stacked, data, settings, learning_rates=rates, seeds=seeds, bf16=False)
    outputs = predict(stacked, data, bf16=False)
    for index in range(4):
        single = build([configs[index]], [seeds[index]], family=family, dropout=0.1)
        alone = train(single, data, settings, learning_rates=[rates[index]], seeds=[seeds[index]], bf16=False)
        np.testing.assert_allclose(alone.losses[0], together.losses[index], atol=1e-4)
        np.testing.assert_allclose(predict(single, data, bf16=False)[0], outputs[index], atol=1e-3)
    assert len({tuple(np.round(row, 3)) for row in together.losses}) == 4
    for lora in (module for module in stacked.modules() if isinstance(module, Lora)):
        for replica, rank in enumerate((2, 5, 8, 8)):
            assert not lora.down[replica, :, rank:].any() and not lora.up[replica, rank:].any()
            assert lora.up[replica, :rank].abs().min() > 0


@pytest.mark.parametrize("config", [LoraConfig(rank=4, target_modules=["query", "key", "dense"]), IA3Config()])
@pytest.mark.parametrize("family", FAMILIES)
def test_stacks_equal_runs_alone_in_every_family(family, config):
    seeds, rates, data, settings = [0, 1], [1e-2, 3e-3], rows(64), TrainConfig(epochs=2, batch_size=32)
    together = train(
        build([config] * 2, seeds, family=family), data, settings, learning_rates=rates, seeds=seeds, bf16=False
    ).losses
    for index in range(2):
        single = build([config], [seeds[index]], family=family)
        alone = train(single, data, settings, learning_rates=[rates[index]], seeds=[seeds[index]], bf16=False)
        np.testing.assert_allclose(alone.losses[0], together[index], atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_a_drawn_start_is_that_of_peft_and_the_same_alone_and_padded():
    stacked = build([LoraConfig(rank=rank, target_modules=["output"]) for rank in (4, 16)], [3, 5])
    alone = build([LoraConfig(rank=4, target_modules=["output"])], [3])
    every = [[m for m in model.modules() if isinstance(m, Lora)] for model in (stacked, alone)]
    for padded, own in zip(*every, strict=True):
        assert torch.equal(padded.down[0, :, :4], own.down[0]) and not padded.down[0, :, 4:].any()
        assert not padded.up.any()
    padded = every[0][0]
    bound = 64**-0.5  # of 64 input features, as torch's own linear maps and peft draw them
    values = padded.down[1].detach()
    assert values.abs().max() <= bound and values.abs().max() > 0.95 * bound
    assert abs(float(values.std()) - bound / 3**0.5) < 0.05 * bound


def test_a_start_changes_nothing_before_the_first_step():
    plain = predict(build([HeadConfig()]), rows(), bf16=False)
    for config in (LoraConfig(rank=4), IA3Config()):
        np.testing.assert_array_equal(predict(build([config]), rows(), bf16=False), plain)


@pytest.mark.parametrize("replicas", [1, 2])
def test_dropout_is_of_what_lora_reads_and_not_of_what_the_layer_does(replicas):
    generators = [torch.Generator().manual_seed(seed) for seed in range(replicas)]
    dropout, base, x = nn.ReLU(), nn.Linear(6, 4), torch.randn(2 * replicas, 3, 6)
    lora = Lora(base, [2] * replicas, scalings=[0.5] * replicas, dropout=dropout, generators=generators)
    nn.init.normal_(lora.up)
    kept = x.clamp(min=0).unflatten(0, (replicas, 2))
    added = torch.einsum("rbti,rim,rmo->rbto", kept, lora.down, lora.up).flatten(0, 1)
    torch.testing.assert_close(lora(x), base(x) + 0.5 * added)


def test_dropout_is_that_of_the_config_and_of_each_replicas_stream():
    classifier = build([LoraConfig(rank=2, dropout=0.25)] * 2, (0, 1))
    found = [module.dropout for module in classifier.modules() if isinstance(module, Lora)]
    assert found and all(one.p == 0.25 and one.masks is classifier.dropout.masks for one in found)


def test_a_ranks_padding_is_no_parameter():
    stacked = build([LoraConfig(rank=rank) for rank in (2, 8)], [0, 1])
    for replica, rank in enumerate((2, 8)):
        numbers = sum(tensor.numel() for tensor in trained_tensors(stacked, replica).values())
        counted = count(tiny_config(), LoraConfig(rank=rank), 2)
        assert numbers == counted["trained"] == 3 * 2 * 2 * rank * 32 + 66
        assert counted["groups"]["adapter"] == {"total": 12 * rank * 32, "trained": 12 * rank * 32}
        assert counted["groups"]["encoder"]["trained"] == 0


def test_a_rank_above_the_width_is_refused():
    with pytest.raises(UserError, match=r"method.rank=33 is above 32, the width of encoder\.layer\.0\..*at most 32"):
        count(tiny_config(), LoraConfig(rank=33), 2)
    with pytest.raises(UserError, match=r"method.rank=33 is above 32"):
        build([LoraConfig(rank=rank) for rank in (2, 33)], [0, 1])
    assert count(tiny_config(), LoraConfig(rank=32), 2)["trained"] == 3 * 2 * 2 * 32 * 32 + 66


def test_matrices_of_lora_are_decayed_and_vectors_of_ia3_are_not():
    decayed, undecayed = ParameterRows(build([LoraConfig(rank=2)] * 2, [0, 1]), 2).buffers
    assert (decayed.shape[1], undecayed.shape[1]) == (3 * 2 * 2 * 2 * 32 + 64, 2)
    decayed, undecayed = ParameterRows(build([IA3Config()] * 2, [0, 1]), 2).buffers
    assert (decayed.shape[1], undecayed.shape[1]) == (64, 3 * (2 * 32 + 64) + 2)
