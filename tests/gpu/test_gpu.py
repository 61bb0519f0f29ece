"""What only a GPU can show: training there, CUDA graphs, streams and memory. Skipped without one."""

import gc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness.config import TrainConfig
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
from harness.model.replicas import ReplicatedLinear
from harness.sweeps.sweep import is_out_of_memory
from harness.training.cuda_graphs import GraphedStep, cuda_capture
from harness.training.device import PeakMemory
from harness.training.loop import predict
from harness.training.optimizer import make_optimizer
from harness.training.parameter_rows import ParameterRows
from tests.fixtures.training import build, rows, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

GPU = torch.device("cuda")
ADAPTER = AdapterConfig(bottleneck_size=4)
EVERY = [
    ADAPTER,
    FullConfig(),
    TopLayersConfig(layers=1),
    LayerNormConfig(),
    BitFitConfig(),
    HeadConfig(),
    LoraConfig(rank=2, dropout=0.1),
    IA3Config(),
    PrefixConfig(virtual_tokens=3),
    PeftConfig(type="LORA", options={"r": 2}),
    PeftConfig(type="PREFIX_TUNING", options={"num_virtual_tokens": 3}),
]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("config", EVERY, ids=lambda config: getattr(config, "type", config.name))
def test_steps_of_every_method_move_exactly_what_it_trains(config, bf16):
    check_moves(config, GPU, bf16=bf16)


def check_moves(config, device, *, bf16):
    classifier = build([config], dropout=0.1, bf16=bf16, device=device)
    before = {name: parameter.detach().clone() for name, parameter in classifier.named_parameters()}
    trained = {name for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    settings = TrainConfig(epochs=3, batch_size=200, weight_decay=0.0)
    result = train(classifier, rows(device=device), settings, learning_rates=[1e-2], seeds=[0], bf16=bf16)
    assert result.losses.shape == (1, 3)
    assert np.isfinite(result.losses).all()
    moved = {name for name, parameter in classifier.named_parameters() if not torch.equal(parameter, before[name])}
    deaf = {name for name in trained if name.endswith("key.bias")}  # the softmax does not see it
    assert moved - deaf == trained - deaf
    assert np.isfinite(predict(classifier, rows(device=device), bf16=bf16)).all()


def test_a_stack_equals_its_runs_alone():
    check_stack(GPU)


def check_stack(device):
    """fp32 without dropout, whose masks a GPU draws for the whole stack."""
    data, settings = rows(device=device), TrainConfig(epochs=4, batch_size=32)
    configs = [AdapterConfig(bottleneck_size=size) for size in (2, 4, 8)]
    seeds, rates = [0, 1, 2], [3e-3, 1e-3, 1e-2]
    stacked = build(configs, seeds, device=device)
    together = train(stacked, data, settings, learning_rates=rates, seeds=seeds, bf16=False)
    outputs = predict(stacked, data, bf16=False)
    for index in range(3):
        single = build([configs[index]], [seeds[index]], device=device)
        alone = train(single, data, settings, learning_rates=[rates[index]], seeds=[seeds[index]], bf16=False)
        np.testing.assert_allclose(alone.losses[0], together.losses[index], atol=1e-4)
        np.testing.assert_allclose(predict(single, data, bf16=False)[0], outputs[index], atol=1e-3)


def test_a_gpu_computes_what_a_cpu_computes():
    classifier = build([ADAPTER] * 2, [0, 1])
    expected = predict(classifier, rows(), bf16=False)
    np.testing.assert_allclose(predict(classifier.to(GPU), rows(device=GPU), bf16=False), expected, atol=1e-4)


def test_it_learns_in_bf16():
    check_bf16(GPU)


def check_bf16(device):
    classifier = build([ADAPTER], dropout=0.1, bf16=True, device=device)
    settings = TrainConfig(epochs=15, batch_size=16)
    result = train(classifier, rows(600, device=device), settings, learning_rates=[5e-3], seeds=[0], bf16=True)
    assert np.isfinite(result.losses).all()
    held_out = rows(seed=1)
    predicted = predict(classifier, rows(seed=1, device=device), bf16=True)[0].argmax(-1)
    assert (predicted == held_out.gold.numpy()).mean() > 0.9


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("config", [ADAPTER, TopLayersConfig(layers=1)], ids=lambda config: config.name)
def test_steps_through_cuda_graphs_give_the_losses_of_eager_steps(config, bf16):
    check_graphs(config, GPU, cuda_capture, bf16=bf16)


def check_graphs(config, device, capture_of, *, bf16):
    data, settings = rows(device=device), TrainConfig(epochs=6, batch_size=32)
    captured = []

    def losses(enabled):
        classifier = build([config], bf16=bf16, device=device)
        with capture_of(enabled) as capture:
            counted = None if capture is None else lambda run: captured.append(run) or capture(run)
            return train(
                classifier, data, settings, learning_rates=[1e-3], seeds=[0], bf16=bf16, capture=counted
            ).losses

    np.testing.assert_allclose(losses(True), losses(False), atol=2e-2 if bf16 else 1e-4)
    assert captured


def test_every_replay_of_a_graph_draws_new_dropout_masks():
    x = torch.ones(1000, device=GPU)
    with cuda_capture(True) as capture:
        step = GraphedStep(lambda x: F.dropout(x, 0.5), capture)
        results = [step(x).clone() for _ in range(5)]
    assert len(step.graphs) == 1
    assert all(not torch.equal(results[-1], other) for other in results[:-1])


def test_graphs_of_two_shapes_are_replayed_with_the_inputs_of_their_calls():
    with cuda_capture(True) as capture:
        step = GraphedStep(lambda x: x.square().sum(), capture)
        for number in range(1, 6):
            for size in (10, 20):
                assert step(torch.full((size,), float(number), device=GPU)).item() == size * number**2
    assert len(step.graphs) == 2


def test_the_captured_stream_and_the_default_stream_wait_for_each_other():
    """Long work before, inside and after the body, where each step reads what the previous one wrote."""
    generator = torch.Generator(GPU).manual_seed(0)
    start, weights = (torch.randn(2048, 2048, generator=generator, device=GPU) for _ in range(2))

    def slowly(x):
        for _ in range(50):
            x = (x @ weights / 2048**0.5).tanh()  # far longer than a launch
        return x

    expected = slowly(slowly(slowly(start)))
    torch.cuda.synchronize()
    before = slowly(start)
    with cuda_capture(True):
        assert torch.cuda.current_stream() != torch.cuda.default_stream()
        inside = slowly(before)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    torch.testing.assert_close(slowly(inside), expected, atol=1e-3, rtol=1e-3)
    assert expected.std() > 0.01  # the tolerance would hide nothing


def test_running_out_of_memory_is_recognised_and_a_smaller_stack_then_fits():
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    allowed = torch.cuda.memory_reserved() + 256 * 2**20
    before = torch.cuda.memory_allocated()
    torch.cuda.set_per_process_memory_fraction(allowed / total)
    try:
        with pytest.raises(torch.OutOfMemoryError) as caught:
            train_wide(200)
        assert is_out_of_memory(caught.value)
        del caught  # its traceback holds the stack's tensors
        gc.collect()
        torch.cuda.empty_cache()
        assert torch.cuda.memory_allocated() - before < 2**25
        assert np.isfinite(train_wide(1).losses).all()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def train_wide(replicas, device=GPU):
    """A stack of adapters so wide that 200 replicas need more than 256 MB: 3.2 MB each, their moments and gradients."""
    configs = [AdapterConfig(bottleneck_size=2048)] * replicas
    seeds = list(range(replicas))
    classifier = build(configs, seeds, device=device)
    settings = TrainConfig(epochs=1, batch_size=32)
    return train(
        classifier, rows(64, device=device), settings, learning_rates=[1e-3] * replicas, seeds=seeds, bf16=False
    )


def test_the_peak_of_a_later_small_stack_is_below_that_of_an_earlier_large_one():
    large = PeakMemory(GPU)
    torch.empty(2**28, dtype=torch.uint8, device=GPU)
    peak = large.read()
    small = PeakMemory(GPU)
    torch.empty(2**20, dtype=torch.uint8, device=GPU)
    assert peak["of"] == "device"
    assert small.read()["peak_bytes"] < peak["peak_bytes"] - 2**27


@pytest.mark.parametrize("name", ["adamw", "bert_adam"])
def test_fused_steps_give_every_replica_its_own_rate_and_clipping(name):
    expected, found = (optimizer_steps(device, name) for device in (torch.device("cpu"), GPU))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found[0], found[1])


def optimizer_steps(device, name):
    """The weights `[2, 6, 4]` of two replicas after ten steps from the same start with the same gradients."""
    torch.manual_seed(0)
    model = nn.Sequential(ReplicatedLinear(2, 6, 4)).to(device)
    nn.init.ones_(model[0].weight)
    parameters = ParameterRows(model, 2)
    settings = TrainConfig(optimizer=name, weight_decay=0.1, warmup_fraction=0.2)
    optimizer, schedule = make_optimizer(parameters, settings, [1e-2, 1e-1], 10)
    for _ in range(10):
        gradient = torch.randn(1, 6, 4).to(device)
        parameters.zero_grad()
        model[0].weight.grad.add_(gradient)
        parameters.clip(1.0)
        optimizer.step()
        schedule.step()
    return model[0].weight.detach().cpu().clone()
