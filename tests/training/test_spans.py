"""Span heads in training: the loss, stacks, every method and family, bf16, and the states of frozen layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.config import TrainConfig
from harness.data.encode import encode
from harness.data.squad_rows import Question, to_dataset
from harness.method_config import (
    AdapterConfig,
    BitFitConfig,
    FullConfig,
    HeadConfig,
    LayerNormConfig,
    LoraConfig,
    PeftConfig,
    TopLayersConfig,
)
from harness.model.build import fuse_projections, hold_frozen_in_bf16
from harness.model.classifier import Classifier
from harness.model.heads import HEADS
from harness.model.methods import apply_method
from harness.tasks.span import Span
from harness.tasks.task import task_from
from harness.training import loop
from harness.training.evaluation import evaluate, majority
from tests.fixtures.tiny import tiny_encoder, tiny_tokenizer
from tests.fixtures.training import DISTINCT

HEAD = HEADS["span"]
TASK = replace(task_from({"name": "squad", "kind": "span"}), kind=Span(stride=4, max_answer_tokens=3))
METHODS = [
    AdapterConfig(bottleneck_size=4), FullConfig(), TopLayersConfig(layers=2), LayerNormConfig(), BitFitConfig(),
    HeadConfig(), LoraConfig(rank=4), PeftConfig(options={"r": 4, "target_modules": ["query", "value"]}),
]  # fmt: skip


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Forty questions that name the word before their answer, some with contexts of several windows."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        words = [f"{letter}{digit}" for letter in "abc" for digit in range(10)]
        rng.shuffle(words)
        words = words[: rng.integers(6, 31)]
        place = rng.integers(len(words) - 1)
        context = " ".join(words)
        answer = words[place + 1]
        rows.append(Question(str(number), "t", f"j1 {words[place]}", context, (answer,), (context.index(answer),)))
    where = {"max_length": 20, "cache_dir": tmp_path_factory.mktemp("cache"), "device": "cpu"}
    return encode(to_dataset(rows, TASK), TASK, tiny_tokenizer(), **where)


def build(configs, seeds, *, family="bert", dropout=0.0, bf16=False):
    classifier = Classifier(tiny_encoder(family), 2, seeds=seeds, dropout_rate=dropout, reads_all_tokens=True)
    apply_method(classifier, configs)
    fuse_projections(classifier)
    if bf16:
        hold_frozen_in_bf16(classifier)
    return classifier


def train(classifier, split, rates, seeds, *, bf16=False, **settings):
    options = TrainConfig(**{"epochs": 2, "batch_size": 8, "dropout": 0.0} | settings)
    return loop.train(classifier, split, options, head=HEAD, learning_rates=rates, seeds=seeds, bf16=bf16)


def test_the_loss_is_the_mean_of_two_cross_entropies_over_real_tokens():
    torch.manual_seed(0)
    logits, lengths = torch.randn(2, 3, 7, 2), [7, 4, 5, 6, 3, 7]
    keep = torch.arange(7) < torch.tensor(lengths)[:, None]
    gold = torch.tensor([[1, 2], [0, 0], [4, 4], [5, 5], [0, 2], [6, 6]])
    found = HEAD.loss(logits, gold, keep)
    for replica in range(2):
        each = []
        for row in range(3):
            number = 3 * replica + row
            own = logits[replica, row, : lengths[number]]
            each += [F.cross_entropy(own[:, side][None], gold[number, side][None]) for side in (0, 1)]
        assert found[replica].item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_stack_of_four_equals_its_solo_runs(split, dropout):
    sizes, rates, seeds = (2, 4, 4, 8), (1e-3, 3e-3, 1e-2, 3e-3), (0, 1, 2, 3)
    configs = [AdapterConfig(bottleneck_size=size) for size in sizes]
    stack = build(configs, seeds, dropout=dropout)
    together = train(stack, split, rates, seeds).losses
    answers = evaluate(stack, TASK, {"validation": split}, bf16=False)
    for replica in range(4):
        alone = build(configs[replica : replica + 1], seeds[replica : replica + 1], dropout=dropout)
        losses = train(alone, split, rates[replica : replica + 1], seeds[replica : replica + 1]).losses
        np.testing.assert_allclose(together[replica], losses[0], atol=1e-4)
        (result,) = evaluate(alone, TASK, {"validation": split}, bf16=False)
        assert result["scores"] == answers[replica]["scores"]
        texts = [[one.text for one in found["predictions"]["validation"]] for found in (result, answers[replica])]
        assert texts[0] == texts[1]


def test_micro_batches_give_the_losses_of_the_whole_batch(split):
    configs, rates, seeds = [AdapterConfig(bottleneck_size=size) for size in (4, 8)], (1e-3, 1e-2), (0, 1)
    whole, divided = (
        train(build(configs, seeds), split, rates, seeds, micro_batch_size=size).losses for size in (None, 3)
    )
    np.testing.assert_allclose(divided, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", DISTINCT)
def test_every_family_learns(split, family):
    classifier = build([AdapterConfig(bottleneck_size=8)], [0], family=family)
    untyped = replace(split, token_types=None)  # RoBERTa and DistilBERT have none
    losses = train(classifier, untyped, [2e-2], [0], epochs=6).losses[0]
    assert losses[-5:].mean() < losses[:5].mean() - 0.1


@pytest.mark.parametrize("config", METHODS, ids=lambda config: config.name)
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_every_method_trains_in_every_precision(split, config, bf16):
    classifier = build([config], [0], bf16=bf16)
    before = classifier.head.weight.detach().clone()
    assert np.isfinite(train(classifier, split, [1e-2], [0], bf16=bf16, epochs=1).losses).all()
    assert not torch.equal(before, classifier.head.weight)
    (result,) = evaluate(classifier, TASK, {"validation": split}, bf16=bf16)
    assert result["finite"]["validation"] and len(result["predictions"]["validation"]) == split.rows


@pytest.mark.parametrize("config", [HeadConfig(), TopLayersConfig(layers=1)], ids=lambda config: config.name)
def test_kept_states_of_frozen_layers_change_nothing(split, config, monkeypatch):
    with_states = train(build([config], [0]), split, [1e-2], [0]).losses
    monkeypatch.setattr(loop, "frozen_states", lambda *_: None)
    without = train(build([config], [0]), split, [1e-2], [0]).losses
    np.testing.assert_allclose(with_states, without, atol=1e-5)


def test_it_learns_to_answer_and_is_scored_by_question(split):
    classifier = build([FullConfig()], [0])
    train(classifier, split, [5e-3], [0], epochs=30)
    (result,) = evaluate(classifier, TASK, {"validation": split}, bf16=False)
    scores = result["scores"]["validation"]
    constant = majority(TASK, split.gold_labels, {"validation": split.gold_labels})["validation"]
    assert scores["token_f1"] > constant["token_f1"] + 0.3
    assert not result["constant"]["validation"] and len(result["predictions"]["validation"]) == 40 < len(split)
