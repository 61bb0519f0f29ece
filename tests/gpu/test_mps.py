"""What only an Apple GPU can show. Skipped without one, and not run on one yet."""

import numpy as np
import pytest
import torch

from harness.training.device import PeakMemory, pick_device
from harness.training.loop import predict
from tests.fixtures.training import build, rows
from tests.gpu.test_gpu import ADAPTER, EVERY, check_moves, check_stack, optimizer_steps

pytestmark = pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs an Apple GPU")


@pytest.mark.parametrize("config", EVERY, ids=lambda config: getattr(config, "type", config.name))
def test_steps_of_every_method_move_exactly_what_it_trains(config):
    check_moves(config, pick_device("mps"), bf16=False)


def test_a_stack_equals_its_runs_alone():
    check_stack(pick_device("mps"))


def test_it_computes_what_a_cpu_computes():
    classifier = build([ADAPTER] * 2, [0, 1])
    expected = predict(classifier, rows(), bf16=False)
    there = pick_device("mps")
    np.testing.assert_allclose(predict(classifier.to(there), rows(device=there), bf16=False), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["adamw", "bert_adam"])
def test_fused_steps_give_every_replica_its_own_rate_and_clipping(name):
    expected, found = (optimizer_steps(device, name) for device in (torch.device("cpu"), pick_device("mps")))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_its_memory_is_counted():
    memory = PeakMemory(pick_device("mps"))
    held = torch.empty(2**28, dtype=torch.uint8, device="mps")
    assert memory.read()["peak_bytes"] >= len(held)
