"""How many processes a sweep has, and what each of them gets."""

from dataclasses import replace

import pytest
import torch

from harness.errors import UserError
from harness.sweeps.fit import largest_first, place
from harness.sweeps.placement import devices_title, share_of_threads, threads_of_each
from harness.sweeps.stacks import make_stacks
from tests.sweeps.test_sizes import Needs, there
from tests.sweeps.test_sweep import runs


@pytest.fixture
def threads(monkeypatch):
    return lambda number: monkeypatch.setattr(torch, "get_num_threads", lambda: number)


AMPLE = there(1000)


def placed(stacks, *, devices=("cpu",), processes=None, memory=AMPLE):
    return place(list(devices), processes, stacks, stacks, Needs(), memory)


@pytest.mark.parametrize(("number", "stacks", "expected"), [(1, 5, 1), (2, 5, 2), (16, 3, 3), (16, 1, 1), (16, 20, 8)])
def test_a_cpu_has_a_process_for_each_thread_and_stack_and_at_most_eight(threads, number, stacks, expected):
    threads(number)
    assert placed(make_stacks(runs(stacks), 1)) == ["cpu"] * expected


def test_stacks_that_are_done_count_so_that_a_resumed_sweep_has_as_many_threads_each(threads):
    threads(4)
    stacks = make_stacks(runs(8), 2)
    assert place(["cpu"], None, stacks, stacks[:1], Needs(), AMPLE) == ["cpu"] * 4


@pytest.mark.parametrize(("gigabytes", "expected"), [(26.5, 6), (8.7, 2), (8.5, 1), (1, 1)])
def test_each_process_has_memory_for_the_largest_stack(threads, gigabytes, expected):
    """Four GB for a stack, whose bound is twelve, and 0.3 for a process."""
    threads(6)
    stacks = [*make_stacks(runs(8), 4), *make_stacks(runs(12, task="cola"), 2), *make_stacks(runs(2, task="rte"), 2)]
    assert placed(stacks, memory=there(gigabytes)) == ["cpu"] * expected


def test_one_process_where_memory_is_not_known_or_no_stack_has_an_encoder(threads):
    threads(4)
    assert placed(make_stacks(runs(4), 1), memory=lambda device: None) == ["cpu"]
    assert placed([[replace(run, checkpoint=None)] for run in runs(4)]) == ["cpu"]


def test_a_gpu_has_one_process_unless_more_are_asked_for(threads):
    threads(4)
    stacks = make_stacks(runs(4), 1)
    assert placed(stacks, devices=["cuda:0", "cuda:1"]) == ["cuda:0", "cuda:1"]
    assert placed(stacks, devices=["cuda:0", "cuda:1"], processes=2) == ["cuda:0", "cuda:1"] * 2
    assert placed(stacks, processes=3, memory=there(1)) == ["cpu"] * 3


def test_there_is_at_least_one_process():
    with pytest.raises(UserError, match=r"processes=0 .* at least 1, or null"):
        placed(make_stacks(runs(4), 1), processes=0)


def test_what_is_left_of_the_largest_stacks_comes_first():
    class Tokens:
        def tokens(self, stack):
            if stack[0].task.name == "wnli":
                raise RuntimeError("no rows")
            return len(stack) * {"mrpc": 5, "rte": 7, "cola": 100}[stack[0].task.name]

    mrpc, rte, cola, wnli = (runs(2, task=task) for task in ("mrpc", "rte", "cola", "wnli"))
    open_of = {"mrpc": mrpc, "rte": rte[:1], "cola": [], "wnli": wnli}  # one of RTE and all of CoLA are finished
    found = largest_first([wnli, cola, rte, mrpc], lambda stack: open_of[stack[0].task.name], Tokens())
    assert found == [mrpc, rte, wnli, cola]


def test_processes_share_the_threads_and_are_counted_where_they_are_named():
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        for devices, expected in ((["cpu"], 5), (["cpu"] * 2, 2), (["cpu"] * 8, 1), (["cuda:0", "cuda:1"], 5)):
            assert threads_of_each(devices) == expected
            with share_of_threads(devices):
                assert torch.get_num_threads() == expected
            assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(before)
    assert devices_title(["cpu"]) == "cpu"
    assert devices_title(["cuda:0", "cuda:1"]) == "cuda:0, cuda:1"
    assert devices_title(["cuda:0", "cuda:1"] * 2) == "cuda:0 (2 processes), cuda:1 (2 processes)"
