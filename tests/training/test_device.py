"""The device's memory: what a stack's peak is of."""

import torch

from harness.training import device as module
from harness.training.device import PeakMemory, keep_freed_memory

CPU = torch.device("cpu")
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
