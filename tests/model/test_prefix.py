"""Prefix tuning of our own: `peft`'s numbers, and replicas that do not see each other's."""

import numpy as np
import peft
import pytest
import torch

from harness.config import TrainConfig
from harness.method_config import PeftConfig, PrefixConfig
from harness.model.attention import attention
from harness.model.classifier import Classifier
from harness.model.families import get_family
from harness.model.methods import apply_method, can_stack
from harness.model.parameters import count
from harness.training.loop import predict
from harness.training.parameter_rows import ParameterRows
from tests.fixtures.tiny import tiny_config, tiny_encoder
from tests.fixtures.training import build, rows, train

OWN = PrefixConfig(virtual_tokens=3)
PEFT = PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3})
# Those in which peft's prefix tuning works: the others of ours take no `past_key_values`.
OF_PEFT = {
    "bert": 0,
    "electra": 0,
    "roberta": 1,
    "xlm-roberta": 2,
    "camembert": 2,
}  # with the position of a first token


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")
@pytest.mark.parametrize("family", OF_PEFT)
def test_states_equal_those_of_peft_under_the_same_weights(family):
    """Every token's last state of padded rows, from peft's prefix in transformers' own forward pass; fp32.

    `peft` leaves it to transformers to count positions, which starts after the prefix; they are given here.
    """
    classifier = Classifier(tiny_encoder(family), 32, seeds=[0], dropout_rate=0.0, reads_all_tokens=True).eval()
    apply_method(classifier, [OWN])
    encoder = tiny_encoder(family).eval()
    theirs = peft.get_peft_model(
        encoder, peft.PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=3)
    ).eval()
    ids, keep = torch.arange(5, 25).view(2, 10), torch.ones(2, 10, dtype=torch.bool)
    keep[1, 6:] = False
    places = torch.arange(10)[None].expand(2, -1) + OF_PEFT[family]
    with torch.no_grad():
        classifier.head.weight.copy_(torch.eye(32))  # so that the states are the logits
        classifier.head.bias.zero_()
        theirs.prompt_encoder["default"].embedding.weight.copy_(classifier.encoder.prefix.weight[0])
        longer = torch.cat([torch.ones(2, 3), keep], 1)
        expected = encoder(ids, longer, position_ids=places, past_key_values=theirs.get_prompt(2)).last_hidden_state
        without = encoder(ids, keep.long()).last_hidden_state
        found = classifier(ids, keep)[0]
    torch.testing.assert_close(found[keep], expected[keep], atol=1e-5, rtol=0)
    assert (expected - without)[keep].abs().max() > 1e-2


def test_training_equals_that_of_pefts_encoder_from_the_same_start():
    data, settings = rows(), TrainConfig(epochs=2, batch_size=32, weight_decay=0.1)
    own, theirs = build([OWN], dropout=0.1), build([PEFT], dropout=0.1)
    with torch.no_grad():
        theirs.encoder.prefix.encode.embedding.weight.copy_(own.encoder.prefix.weight[0])
    found, expected = (
        train(model, data, settings, learning_rates=[1e-2], seeds=[0], bf16=False).losses for model in (own, theirs)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert count(tiny_config(), OWN, 2) == count(tiny_config(), PEFT, 2)


@pytest.mark.parametrize("bf16", [False, True])
def test_rows_of_a_replica_attend_to_its_own_prefix(bf16):
    """One layer against the formula: two replicas with two rows each, one of them padded."""
    stack = build([OWN] * 2, [0, 1]).eval()
    layer = stack.layers[1].get_submodule(get_family("bert").attention)
    kind = torch.bfloat16 if bf16 else torch.float32
    query, key, value = (torch.randn(4, 4, tokens, 8).to(kind) for tokens in (5, 6, 6))
    mask = torch.ones(4, 1, 1, 6, dtype=torch.bool)
    mask[1, ..., 4:] = False
    with torch.no_grad():
        stack.encoder.prefix.compute()
        context, _ = attention(layer, query, key, value, mask)
        for row in range(4):
            # Layer 1 of three: numbers 64 to 127 of each virtual token, keys before values, four heads of eight.
            own = stack.encoder.prefix.weight[row // 2, :, 64:128].view(3, 2, 4, 8).permute(1, 2, 0, 3).to(kind)
            scores = query[row] @ torch.cat([own[0], key[row]], 1).mT * 8**-0.5
            scores[:, :, 3:].masked_fill_(~mask[row], -torch.inf)
            wanted = scores.softmax(-1) @ torch.cat([own[1], value[row]], 1)
            torch.testing.assert_close(context[row], wanted.transpose(0, 1), atol=2e-2 if bf16 else 1e-5, rtol=0)


def test_a_replica_is_drawn_from_its_own_seed():
    stack, alone = build([OWN] * 2, [3, 5]), build([OWN], [5])
    weight = stack.encoder.prefix.weight
    assert torch.equal(weight[1], alone.encoder.prefix.weight[0]) and not torch.equal(weight[0], weight[1])
    assert abs(weight.std().item() - 1) < 0.05 and abs(weight.mean().item()) < 0.05


def test_a_stack_in_bf16_follows_its_runs_in_fp32():
    data, settings, seeds = rows(96), TrainConfig(epochs=3, batch_size=32), [0, 1]
    found = {}
    for bf16 in (False, True):
        stack = build([OWN] * 2, seeds, bf16=bf16)
        losses = train(stack, data, settings, learning_rates=[1e-2, 1e-3], seeds=seeds, bf16=bf16).losses
        found[bf16] = losses, predict(stack, data, bf16=bf16)
    np.testing.assert_allclose(found[True][0], found[False][0], atol=0.05)
    np.testing.assert_allclose(found[True][1], found[False][1], atol=0.3)
    assert not np.array_equal(found[True][0], found[False][0])


def test_what_stacks_and_what_is_decayed():
    assert can_stack(OWN) and not can_stack(PEFT)
    decayed, undecayed = ParameterRows(build([OWN] * 2, [0, 1]), 2).buffers
    assert (decayed.shape[1], undecayed.shape[1]) == (3 * 3 * 2 * 32 + 64, 2)  # matrices, as peft has them
