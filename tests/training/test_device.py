"""The device: which one, its precision, and its memory."""

import pytest
import torch

from harness.config import TrainConfig
from harness.errors import UserError
from harness.training import device as module
from harness.training.device import (
    PeakMemory,
    device_title,
    keep_freed_memory,
    memory_remedy,
    pick_device,
    pick_precision,
)

CPU, APPLE = torch.device("cpu"), torch.device("mps")
LARGE = 400 * 2**20


def use(size):
    torch.ones(size, dtype=torch.uint8)


def test_the_peak_of_a_later_small_stack_is_below_that_of_an_earlier_large_one():
    """Although freed memory is kept, as it is while a sweep trains."""
    keep_freed_memory()
    first = PeakMemory(CPU)
    use(LARGE)
    large = first.read()
    second = PeakMemory(CPU)
    use(2**20)
    small = second.read()
    assert large["of"] == small["of"] == "process"
    assert 0 < small["peak_bytes"] < large["peak_bytes"] - 0.9 * LARGE


def test_where_the_high_water_mark_stays_the_record_says_so(monkeypatch):
    monkeypatch.setattr(module, "_reset_high_water_mark", lambda: False)
    use(LARGE)
    found = PeakMemory(CPU).read()
    assert found["of"] == "process so far"
    assert found["peak_bytes"] > LARGE


@pytest.fixture
def apple_gpu(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def test_an_apple_gpu_is_taken_only_when_it_is_named(apple_gpu):
    assert pick_device("mps") == APPLE
    assert pick_device("auto") == CPU
    with pytest.raises(UserError, match=r"device=mps:1 was not found; choose one of cpu, mps, or device=auto"):
        pick_device("mps:1")


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for name in ("mps", "cuda:2"):
        with pytest.raises(UserError, match=f"device={name} was not found; choose one of cpu, cuda:0, cuda:1, or"):
            pick_device(name)


def test_an_apple_gpu_computes_in_bf16_only_when_it_is_asked_for_and_can(monkeypatch):
    assert pick_precision("auto", APPLE) is False
    monkeypatch.setattr(module, "_multiplies_in_bf16", lambda device: True)
    assert pick_precision("auto", APPLE) is False
    assert pick_precision("bf16", APPLE) is True
    monkeypatch.setattr(module, "_multiplies_in_bf16", lambda device: False)
    with pytest.raises(UserError, match=r"train\.precision=bf16 .* set train\.precision=fp32"):
        pick_precision("bf16", APPLE)


def test_the_probe_of_bf16_tells_what_a_device_can():
    assert module._multiplies_in_bf16(CPU)
    assert not module._multiplies_in_bf16(APPLE)  # there is none here: the tensor cannot be made


def test_the_memory_of_an_apple_gpu_is_what_its_driver_has_allocated(monkeypatch):
    emptied = []
    monkeypatch.setattr("torch.mps.empty_cache", lambda: emptied.append(True))
    monkeypatch.setattr("torch.mps.driver_allocated_memory", lambda: 2**30)
    assert PeakMemory(APPLE).read() == {"peak_bytes": 2**30, "of": "device"}
    assert emptied
    assert device_title(APPLE).startswith("Apple GPU (")


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        (TrainConfig(), "set train.micro_batch_size=16 (here 32 rows"),
        (TrainConfig(micro_batch_size=5), "set train.micro_batch_size=2 (here 5 rows"),
        (TrainConfig(batch_size=8, micro_batch_size=64), "set train.micro_batch_size=4 (here 8 rows"),
        (TrainConfig(micro_batch_size=1), "lower train.max_length=128"),
    ],
)
def test_the_remedy_for_too_little_memory_is_a_smaller_micro_batch(settings, remedy):
    assert memory_remedy(settings).startswith(remedy)
