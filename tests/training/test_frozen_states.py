"""The outputs of frozen layers, computed once."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from harness.config import TrainConfig
from harness.method_config import HeadConfig, LayerNormConfig, TopLayersConfig
from harness.training import loop
from harness.training.device import autocast
from harness.training.frozen_states import FrozenStates, frozen_states
from tests.fixtures import training
from tests.fixtures.training import DISTINCT, rows, train

build = partial(training.build, dropout=0.1)


@pytest.mark.parametrize("family", DISTINCT)
@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_cached_states_give_the_logits_of_the_whole_encoder(family, frozen):
    config = HeadConfig() if frozen == 3 else TopLayersConfig(layers=3 - frozen)
    classifier = build([config], family=family, dropout=0.0)
    data = rows()
    cache = FrozenStates(classifier, data, autocast(torch.device("cpu"), False))
    chosen = torch.tensor([5, 17, 3, 199])
    inputs = data.gather(chosen, 14)
    with torch.inference_mode():
        expected = classifier.eval()(*inputs)
        torch.testing.assert_close(classifier(*inputs, states=cache.gather(chosen, 14)), expected)
    tokens = len(data) if frozen == 3 else int(data.lengths.sum())
    assert cache.states.shape == (tokens, 32)


def test_training_is_the_same_with_and_without_the_cache(monkeypatch):
    """Nothing is dropped below the lowest trained layer, so that keeping its outputs changes nothing."""

    def losses():
        classifier = build([TopLayersConfig(layers=1)])
        settings = TrainConfig(epochs=3, batch_size=32)
        return train(classifier, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False).losses

    cached = losses()
    monkeypatch.setattr(loop, "frozen_states", lambda *_: None)
    np.testing.assert_allclose(losses(), cached, atol=1e-5)


def test_the_frozen_part_runs_once_and_without_a_graph(monkeypatch):
    classifier = build([TopLayersConfig(layers=1)])
    calls = []
    classifier.layers[1].register_forward_hook(
        lambda module, *_: calls.append((module.training, torch.is_grad_enabled()))
    )
    settings = TrainConfig(epochs=4, batch_size=32)
    train(classifier, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False)
    assert calls == [(False, False)]  # 200 short rows fit into one batch


def test_states_that_do_not_fit_are_not_kept(monkeypatch):
    classifier = build([TopLayersConfig(layers=1)])
    monkeypatch.setattr("harness.training.frozen_states._MAX_BYTES", {"cpu": 100})
    assert frozen_states(classifier, rows(), autocast(torch.device("cpu"), False)) is None
    assert frozen_states(build([LayerNormConfig()]), rows(), autocast(torch.device("cpu"), False)) is None
