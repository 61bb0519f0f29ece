"""Memory and pace of stacks that have not been trained."""

import pytest

from harness.config import TrainConfig
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
from harness.model.heads import HEADS
from harness.training import estimate
from harness.training.estimate import memory_bound, stack_memory, stack_pace
from tests.fixtures.tiny import tiny_encoder
from tests.fixtures.training import DISTINCT, build, rows

METHODS = [AdapterConfig(bottleneck_size=8), FullConfig(), TopLayersConfig(), LayerNormConfig(), BitFitConfig()]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_what_autograd_keeps_of_a_batch_is_foreseen_from_a_row_or_two(method, bf16):
    classifier = build([method], dropout=0.1, bf16=bf16)
    memory = stack_memory(classifier, bf16=bf16)
    foreseen = memory.casts + 16 * (memory.linear * 20 + memory.quadratic * 20**2)
    assert foreseen == pytest.approx(estimate._kept_bytes(classifier, 16, 20, bf16=bf16), rel=0.1)


LORA = LoraConfig(rank=16, alpha=16.0, dropout=0.1, target_modules=["query", "key", "value", "output"])
PREFIX = PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 16})


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("method", [AdapterConfig(bottleneck_size=16), FullConfig(), TopLayersConfig(), LORA, PREFIX])
@pytest.mark.parametrize("family", DISTINCT)
def test_the_bound_is_above_the_estimate_and_of_its_order(family, method, bf16):
    replicas = 3 if method.name in ("adapter", "lora") else 1
    memory = stack_memory(build([method] * replicas, range(replicas), family=family, dropout=0.1, bf16=bf16), bf16=bf16)
    size = {"size": 16, "replicas": replicas, "device": "cpu"}
    most = 100 if method.name == "top_layers" else 12  # frozen layers keep nothing, which the bound does not know
    for count, width, evaluated in ((32 * replicas, 60, 2048), (4 * replicas, 20, 4096)):
        bound = memory_bound(tiny_encoder(family), rows=count, width=width, evaluated=evaluated, **size)
        peak = memory.peak(count, width, evaluated)
        assert peak < bound < most * peak


def test_a_stack_keeps_its_rows_for_every_replica():
    alone, stack = (stack_memory(build([METHODS[0]] * n, range(n), dropout=0.1), bf16=False) for n in (1, 4))
    assert stack.peak(4 * 512, 20) > 3 * (alone.peak(512, 20) - alone.weights) + stack.weights


def test_two_replicas_tell_what_a_stack_needs():
    two, four = (stack_memory(build([METHODS[0]] * n, range(n), dropout=0.1, bf16=True), bf16=True) for n in (2, 4))
    assert two.of(4).weights == four.weights
    on_gpu = [estimate.replace(memory, device="cuda") for memory in (two.of(4), four)]  # without a CPU's constant part
    assert on_gpu[0].peak(4096, 14, 1) == pytest.approx(on_gpu[1].peak(4096, 14, 1), rel=0.03)


def test_smaller_batches_with_and_without_gradients_need_less():
    memory = stack_memory(build([METHODS[0]]), bf16=False)
    whole, trained_in_parts, all_in_parts = memory.peak(64, 20), memory.peak(8, 20), memory.peak(8, 20, 160)
    assert all_in_parts < trained_in_parts <= whole


def test_training_adds_a_gradient_and_two_moments_to_trained_weights():
    classifier = build([FullConfig()])
    size = sum(parameter.numel() for parameter in classifier.parameters())
    assert stack_memory(classifier, bf16=False).weights == 4 * 4 * size
    frozen = build([HeadConfig()])
    trained = sum(parameter.numel() for parameter in frozen.head.parameters())
    assert stack_memory(frozen, bf16=False).weights == 4 * (size + 3 * trained)


def test_only_a_cpu_has_a_heap_with_holes():
    memory = stack_memory(build([FullConfig()], dropout=0.1), bf16=False)
    on_gpu = estimate.replace(memory, device="cuda")
    assert memory.peak(4096, 14) > on_gpu.peak(4096, 14)


def paced(monkeypatch, method, batch_size=8, seconds=2.0):
    """The pace of a stack, and the batch sizes and rows that it was measured on."""
    seen = []
    train = estimate.train

    def watched(classifier, split, settings, **options):
        seen.append((settings.batch_size, len(split)))
        return train(classifier, split, settings, **options)

    monkeypatch.setattr(estimate, "train", watched)
    monkeypatch.setattr(estimate, "_forward_seconds", lambda *_, **__: seconds / 3 / 8)
    settings = TrainConfig(batch_size=batch_size)
    pace = stack_pace(build([method]), rows(), settings, head=HEADS["classification"], bf16=False)
    return pace, seen


def test_the_pace_is_measured_on_as_many_batches_as_the_time_allows(monkeypatch):
    pace, seen = paced(monkeypatch, AdapterConfig(), seconds=0.5)
    assert seen == [(8, 32)]
    assert pace.train > 0 and pace.evaluate > 0 and pace.once == 0


def test_a_batch_that_takes_too_long_is_cut(monkeypatch):
    assert paced(monkeypatch, FullConfig(), batch_size=64, seconds=6.0)[1] == [(8, 8)]


def test_outputs_of_frozen_layers_are_computed_once(monkeypatch):
    assert paced(monkeypatch, HeadConfig())[0].once > 0
