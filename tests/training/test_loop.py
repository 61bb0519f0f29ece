"""The loop: stacked equals alone, seeds fix everything, divergence stays alone."""

import warnings

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.config import TrainConfig
from harness.data.batches import Encoded
from harness.method_config import AdapterConfig, FullConfig, HeadConfig, LoraConfig, PeftConfig, TopLayersConfig
from harness.model.build import hold_frozen_in_bf16
from harness.model.heads import HEADS
from harness.tasks.glue import get_task
from harness.training.evaluation import evaluate
from harness.training.loop import Training, evaluation_tokens, predict
from tests.fixtures.training import build, rows, train


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_stack_of_four_equals_four_runs_alone_for_fifty_steps(dropout):
    """Different rates, seeds, sizes and initial scales; fp32: losses equal to 1e-4, on a CPU with dropout too."""
    data = rows()
    settings = TrainConfig(epochs=8, batch_size=32)
    sizes, seeds, rates, stds = [2, 5, 8, 8], [0, 1, 2, 0], [3e-3, 1e-3, 1e-2, 1e-3], [1e-2, 1e-2, 1e-1, 1e-3]
    configs = [AdapterConfig(bottleneck_size=size, init_std=std) for size, std in zip(sizes, stds, strict=True)]
    stacked = build(configs, seeds, dropout=dropout)
    together = train(stacked, data, settings, learning_rates=rates, seeds=seeds, bf16=False)
    assert together.losses.shape == (4, 56)
    outputs = predict(stacked, data, bf16=False)
    for index in range(4):
        single = build([configs[index]], [seeds[index]], dropout=dropout)
        alone = train(single, data, settings, learning_rates=[rates[index]], seeds=[seeds[index]], bf16=False)
        np.testing.assert_allclose(alone.losses[0], together.losses[index], atol=1e-4)
        np.testing.assert_allclose(predict(single, data, bf16=False)[0], outputs[index], atol=1e-3)
    # They are different runs, not one run four times.
    assert len({tuple(np.round(row, 3)) for row in together.losses}) == 4
    for adapter in (module for module in stacked.modules() if hasattr(module, "sizes")):
        assert adapter.down.weight[0, :, 2:].abs().max() == 0
        assert adapter.up.weight[1, 5:].abs().max() == 0


@pytest.mark.parametrize(
    ("config", "epochs", "bf16"),
    [
        (AdapterConfig(bottleneck_size=8), 6, False),
        (AdapterConfig(bottleneck_size=8), 6, True),
        (FullConfig(), 3, True),
    ],
)
def test_it_learns(config, epochs, bf16):
    classifier = build([config], [0], dropout=0.1)
    if bf16:
        hold_frozen_in_bf16(classifier)
    settings = TrainConfig(epochs=epochs, batch_size=16)
    result = train(classifier, rows(600), settings, learning_rates=[5e-3], seeds=[0], bf16=bf16)
    held_out = rows(seed=1)
    predicted = predict(classifier, held_out, bf16=bf16)[0].argmax(-1)
    assert (predicted == held_out.gold.numpy()).mean() > 0.9
    assert result.epoch_losses(0)[-1]["loss"] < result.epoch_losses(0)[0]["loss"]


@pytest.mark.parametrize(("steps", "every", "count"), [(7, 1, 7), (100, 1, 100), (101, 2, 51), (250, 3, 84)])
def test_a_learning_curve_has_the_mean_of_every_few_losses(steps, every, count):
    losses = np.linspace(0.7, 0.1, 2 * steps, dtype=np.float32).reshape(2, steps)
    curve = Training(losses, 1, [None, None]).block_losses(1)
    assert (curve["every"], len(curve["means"])) == (every, count)
    assert curve["means"][0] == pytest.approx(losses[1, :every].mean(), rel=1e-4)
    assert curve["means"][-1] == pytest.approx(losses[1, (count - 1) * every :].mean(), rel=1e-4)
    assert len(str(curve["means"][0])) <= 7


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_learning_curve_ends_before_a_loss_that_is_not_finite(bad):
    losses = np.full((1, 300), 0.5, np.float32)
    losses[0, 10:] = bad
    assert Training(losses, 100, [11]).block_losses(0) == {"every": 3, "means": [0.5] * 3}


def test_steps_through_graphs_equal_eager_steps():
    """A stand-in for CUDA's capture: what was recorded runs again on the tensors that it was recorded with."""
    captured = []

    def capture(run):
        result = torch.full((2,), torch.nan)
        captured.append(result)
        return lambda: result.copy_(run()), result

    def losses(capture):
        classifier = build([AdapterConfig(bottleneck_size=4)] * 2, [0, 1])
        settings = TrainConfig(epochs=6, dropout=0.0)
        return train(
            classifier, rows(), settings, learning_rates=[1e-3, 3e-3], seeds=[0, 1], bf16=False, capture=capture
        ).losses

    np.testing.assert_allclose(losses(capture), losses(None), atol=1e-5)
    # Widths 8 and 14 of whole batches; the last batch of an epoch, of 8 rows, comes six times too.
    assert 2 <= len(captured) <= 4


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize(
    "configs",
    [
        [AdapterConfig(bottleneck_size=4)],
        [AdapterConfig(bottleneck_size=size) for size in (2, 5, 8)],
        [FullConfig()],
        [TopLayersConfig(layers=1)],
        [HeadConfig()],
        [LoraConfig(rank=rank) for rank in (2, 5, 8)],
        [PeftConfig(type="LORA", options={"r": 2})],
        [PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3})],
    ],
    ids=lambda configs: f"{getattr(configs[0], 'type', configs[0].name)}-{len(configs)}",
)
def test_micro_batches_give_the_losses_and_weights_of_the_whole_batch(configs, graphs):
    """Micro-batches of 5 rows divide neither the batches of 32 nor the last one, of 8; most gradients are clipped."""
    seeds, rates = range(len(configs)), [3e-3, 1e-3, 1e-2][: len(configs)]

    def capture(run):
        result = torch.full((len(configs),), torch.nan)
        return lambda: result.copy_(run()), result

    def trained(micro_batch_size, capture=None):
        classifier = build(configs, seeds)
        sizes = []
        settings = TrainConfig(epochs=3, clip_norm=0.5, micro_batch_size=micro_batch_size)
        classifier.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
        result = train(classifier, rows(), settings, learning_rates=rates, seeds=seeds, bf16=False, capture=capture)
        return result, max(sizes) // len(configs), [parameter.detach() for parameter in classifier.parameters()]

    whole, most, weights = trained(None)
    assert most == 32
    divided, most, divided_weights = trained(5, capture if graphs else None)
    assert most == 5
    np.testing.assert_allclose(divided.losses, whole.losses, atol=2e-5)
    for found, expected in zip(divided_weights, weights, strict=True):
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)
    assert divided.examples == whole.examples == 600
    if not graphs:
        assert divided.padding_share < whole.padding_share  # a micro-batch is as wide as its own longest row


def test_evaluation_batches_are_as_bounded_as_those_of_training():
    cpu, settings = torch.device("cpu"), TrainConfig(micro_batch_size=4, max_length=16)
    assert evaluation_tokens(TrainConfig(), cpu) == evaluation_tokens(TrainConfig(micro_batch_size=500), cpu) == 4096
    assert evaluation_tokens(settings, cpu) == 64
    classifier = build([TopLayersConfig(layers=1)])
    whole = predict(classifier, rows(), bf16=False)
    tokens = []
    classifier.layers[0].register_forward_pre_hook(lambda module, args: tokens.append(args[0].shape[:2].numel()))
    divided = predict(classifier, rows(), bf16=False, max_tokens=64)
    evaluate(classifier, get_task("rte"), {"validation": rows()}, bf16=False, max_tokens=64)
    train(classifier, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False)  # its cached states
    assert 50 < max(tokens) <= 64
    np.testing.assert_allclose(divided, whole, atol=1e-5)


class NoFloat64(TorchDispatchMode):
    """Refuses every operation whose result is a tensor in fp64, a type that Apple's GPUs lack."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        results = operation(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            assert not isinstance(result, torch.Tensor) or result.dtype != torch.float64, operation
        return results


@pytest.mark.parametrize("config", [AdapterConfig(bottleneck_size=4), TopLayersConfig(layers=1)], ids=lambda c: c.name)
def test_nothing_is_computed_in_fp64(config):
    with NoFloat64():
        classifier, data = build([config], dropout=0.1), rows()
        train(classifier, data, TrainConfig(epochs=2), learning_rates=[1e-3], seeds=[0], bf16=False)
        predict(classifier, data, bf16=False)


def test_padding_for_graphs_is_counted():
    """Batches of 4 to 13 tokens are padded to 8 or 14; 14 is what the split is padded to."""

    def share(capture):
        classifier = build([HeadConfig()])
        settings = TrainConfig(epochs=1)
        return train(
            classifier, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False, capture=capture
        ).padding_share

    def replay_at_once(run):
        return (lambda: None), run()

    assert share(replay_at_once) > share(None) + 0.05


def test_the_loop_leaves_the_filters_of_warnings_as_they_were():
    before = list(warnings.filters)
    train(build([HeadConfig()]), rows(), TrainConfig(epochs=1), learning_rates=[1e-3], seeds=[0], bf16=False)
    assert warnings.filters == before


def test_regression_uses_the_squared_error():
    logits = torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]])
    labels = torch.tensor([0.0, 4.0, 3.0, 0.0])
    assert HEADS["regression"].loss(logits, labels).tolist() == [2.5, 4.5]


def test_classification_loss_is_each_replicas_own_mean():
    logits = torch.zeros(2, 3, 4)
    logits[1, :, 0] = 100.0
    losses = HEADS["classification"].loss(logits, torch.tensor([0, 1, 2, 0, 0, 0]))
    torch.testing.assert_close(losses, torch.tensor([np.log(4), 0.0], dtype=torch.float32))


def test_the_same_seeds_give_the_same_losses_with_dropout():
    def losses():
        classifier = build([AdapterConfig(bottleneck_size=4)], [7], dropout=0.1)
        settings = TrainConfig(epochs=2)
        return train(classifier, rows(), settings, learning_rates=[1e-3], seeds=[7], bf16=False).losses

    assert np.array_equal(losses(), losses())


def test_a_diverging_replica_is_reported_and_the_others_go_on():
    configs = [AdapterConfig(bottleneck_size=4)] * 3
    seeds, rates = [0, 1, 2], [1e-3, 1e30, 1e-3]
    settings = TrainConfig(epochs=10, dropout=0.0)
    classifier = build(configs, seeds)
    result = train(classifier, rows(), settings, learning_rates=rates, seeds=seeds, bf16=False)
    assert result.diverged_at[0] is None
    assert result.diverged_at[2] is None
    assert result.diverged_at[1] > 1
    quiet = build([configs[0]], [0])
    alone = train(quiet, rows(), settings, learning_rates=[1e-3], seeds=[0], bf16=False)
    np.testing.assert_allclose(alone.losses[0], result.losses[0], atol=1e-4)


def test_training_ends_early_where_every_replica_has_diverged():
    classifier = build([AdapterConfig(bottleneck_size=4)], [0])
    settings = TrainConfig(epochs=100, dropout=0.0)
    seen = []
    result = train(
        classifier, rows(), settings, learning_rates=[1e30], seeds=[0], bf16=False, on_epoch=lambda e: seen.append(e)
    )
    assert result.diverged_at[0] is not None
    assert len(seen) < 20


def test_the_learning_rate_warms_up_and_decays_to_zero(monkeypatch):
    rates = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a: (rates.append(self.param_groups[0]["lr"]), step(self, *a))[1]
    )
    classifier = build([AdapterConfig(bottleneck_size=4)], [0])
    settings = TrainConfig(epochs=10, batch_size=20, warmup_fraction=0.1)
    train(classifier, rows(), settings, learning_rates=[1.0e-3], seeds=[0], bf16=False)
    assert len(rates) == 100
    assert rates[0] == 0.0
    assert rates[5] == pytest.approx(0.5e-3)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(0.5e-3)
    assert rates[-1] == pytest.approx(1e-3 / 90)


def test_predictions_are_in_the_splits_order_whatever_the_batches():
    classifier = build([AdapterConfig(bottleneck_size=4), AdapterConfig(bottleneck_size=6)], [0, 1])
    data = rows()
    whole = predict(classifier, data, bf16=False)
    assert whole.shape == (2, 200, 2)
    for row in (0, 17, 199):
        one = slice(row, row + 1)
        part = Encoded(data.ids[one], None, data.lengths[one], data.gold[one], data.device_lengths[one])
        np.testing.assert_allclose(predict(classifier, part, bf16=False)[:, 0], whole[:, row], atol=1e-5)


def test_frozen_products_are_held_in_bf16_and_trained_ones_in_fp32():
    classifier = build([AdapterConfig(bottleneck_size=4)], [0])
    hold_frozen_in_bf16(classifier)
    for name, parameter in classifier.named_parameters():
        linear = parameter.dim() == 2 and "embeddings" not in name and not parameter.requires_grad
        assert parameter.dtype == (torch.bfloat16 if linear else parameter.dtype)
        if parameter.requires_grad or "embeddings" in name:
            assert parameter.dtype == torch.float32
    full = build([FullConfig()], [0])
    hold_frozen_in_bf16(full)
    assert all(parameter.dtype == torch.float32 for parameter in full.parameters())
