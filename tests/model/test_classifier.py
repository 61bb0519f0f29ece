"""Heads that read one token, and heads that read all of them."""

import pytest
import torch

from harness.method_config import FullConfig, HeadConfig, TopLayersConfig
from harness.model.classifier import Classifier
from harness.model.families import FAMILIES
from harness.model.heads import HEADS
from harness.model.methods import apply_method
from harness.training.device import autocast
from harness.training.frozen_states import FrozenStates
from tests.fixtures.tiny import tiny_encoder
from tests.fixtures.training import build, rows


def reads_all(config, family="bert"):
    classifier = Classifier(tiny_encoder(family), 2, seeds=[0, 1], dropout_rate=0.0, reads_all_tokens=True)
    apply_method(classifier, [config] * 2)
    return classifier


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_that_reads_all_tokens_sees_the_last_hidden_states(family):
    classifier = reads_all(HeadConfig(), family).eval()
    ids, keep, types = rows().gather(torch.arange(6), 14)
    plain = tiny_encoder(family).eval()
    with torch.inference_mode():
        states = plain(input_ids=ids, attention_mask=keep.long()).last_hidden_state.view(2, 3, 14, 32)
        expected = torch.einsum("rbtd,rdo->rbto", states, classifier.head.weight)
        logits = classifier(ids, keep, types)
    assert logits.shape == (2, 3, 14, 2)
    torch.testing.assert_close(logits[keep.view(2, 3, 14)], expected[keep.view(2, 3, 14)], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [HeadConfig(), TopLayersConfig(layers=1)], ids=lambda config: config.name)
def test_frozen_states_hold_every_token_that_the_head_reads(config):
    classifier = Classifier(tiny_encoder(), 2, seeds=[0], dropout_rate=0.0, reads_all_tokens=True)
    apply_method(classifier, [config])
    data = rows()
    kept = FrozenStates(classifier, data, autocast(torch.device("cpu"), False))
    assert len(kept.states) == data.lengths.sum()
    chosen = torch.tensor([5, 17, 3])
    ids, keep, types = data.gather(chosen, 14)
    with torch.inference_mode():
        expected = classifier.eval()(ids, keep, types)
        found = classifier(ids, keep, types, states=kept.gather(chosen, 14))
    torch.testing.assert_close(found[:, keep], expected[:, keep])


def test_spans_read_all_tokens_and_need_no_pooler():
    assert [name for name, head in HEADS.items() if head.reads_all_tokens] == ["span"]
    classifier = reads_all(TopLayersConfig(layers=1))
    assert not classifier.has_pooler and classifier.pooling == "all tokens"
    assert build([TopLayersConfig(layers=1)]).pooling == "pooler"


def test_evaluation_mode_reaches_every_module_and_training_mode_all_but_the_frozen_ones():
    classifier = build([TopLayersConfig(layers=1)]).train()
    modes = {name: module.training for name, module in classifier.named_modules()}
    frozen = ("encoder.embeddings", "encoder.encoder.layer.0", "encoder.encoder.layer.1")
    for name, training in modes.items():
        assert training == (not name.startswith(frozen)), name
    assert not any(module.training for module in build([FullConfig()]).eval().modules())
