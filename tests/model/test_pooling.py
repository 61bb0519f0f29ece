"""What the head reads: pooler, first token or mean."""

import pytest
import torch

from harness.errors import UserError
from harness.method_config import AdapterConfig, HeadConfig, TopLayersConfig
from harness.model.classifier import Classifier
from harness.model.pooling import resolve_pooling
from harness.training.device import autocast
from harness.training.frozen_states import FrozenStates
from harness.training.loop import predict
from tests.fixtures.tiny import tiny_encoder
from tests.fixtures.training import DISTINCT, build, rows


def read_by_the_head(classifier, inputs):
    seen = []
    classifier.head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.inference_mode():
        classifier.eval()(*inputs)
    return seen[0]


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("family", DISTINCT)
def test_the_head_reads_the_first_token_or_the_mean_of_those_that_are_not_padding(family, pooling):
    """Against transformers' own forward, in a stack of two; the adapters start at the identity."""
    method = AdapterConfig(bottleneck_size=4, init_std=1e-7)
    classifier = build([method] * 2, (0, 1), family=family, pooling=pooling)
    ids, keep, _ = inputs = rows().gather(torch.arange(8), 14)
    assert len(set(keep.sum(1).tolist())) > 3
    with torch.inference_mode():
        states = tiny_encoder(family).eval()(input_ids=ids, attention_mask=keep.long()).last_hidden_state
    own = [row[kept] for row, kept in zip(states, keep, strict=True)]
    expected = torch.stack([row[0] if pooling == "first" else row.mean(0) for row in own])
    torch.testing.assert_close(read_by_the_head(classifier, inputs), expected, atol=1e-5, rtol=1e-5)
    assert classifier.pooling == {"first": "first token", "mean": "mean"}[pooling]
    assert not classifier.has_pooler


def test_only_the_mean_computes_the_last_layer_for_every_token():
    for pooling, tokens in (("pooler", 1), ("first", 1), ("mean", 14)):
        classifier, widths = build([HeadConfig()], pooling=pooling), []
        output = classifier.layers[-1].output
        output.register_forward_hook(lambda *arguments, seen=widths: seen.append(arguments[-1].shape[1]))
        classifier(*rows().gather(torch.arange(8), 14))
        assert widths == [tokens]


@pytest.mark.parametrize("config", [HeadConfig(), TopLayersConfig(layers=1)], ids=lambda config: config.name)
def test_frozen_states_of_the_mean_give_the_logits_of_the_whole_encoder(config):
    """Where every layer is frozen the mean itself is kept, one state per row."""
    classifier, data = build([config], pooling="mean"), rows()
    kept = FrozenStates(classifier, data, autocast(torch.device("cpu"), False))
    assert len(kept.states) == (len(data) if config.name == "head" else data.lengths.sum())
    chosen = torch.tensor([5, 17, 3])
    inputs = data.gather(chosen, 14)
    with torch.inference_mode():
        expected = classifier.eval()(*inputs)
        torch.testing.assert_close(classifier(*inputs, states=kept.gather(chosen, 14)), expected)


def test_poolings_differ():
    found = [predict(build([HeadConfig()], pooling=name), rows(), bf16=False) for name in ("pooler", "first", "mean")]
    assert all(abs(one - other).max() > 1e-2 for one in found for other in found if one is not other)


def test_a_head_of_every_token_reads_all_tokens():
    assert Classifier(tiny_encoder(), 2, dropout_rate=0.0, seeds=[0], reads_all_tokens=True).pooling == "all tokens"


def test_auto_is_the_pooler_of_the_checkpoint_or_else_the_first_token():
    assert resolve_pooling("auto", tiny_encoder("bert")) == "pooler"
    for family in ("electra", "deberta-v2", "modernbert"):
        assert resolve_pooling("auto", tiny_encoder(family)) == "first"
        with pytest.raises(UserError, match=f"model.pooling=pooler: this {family} checkpoint has no pooler; choose"):
            resolve_pooling("pooler", tiny_encoder(family))
