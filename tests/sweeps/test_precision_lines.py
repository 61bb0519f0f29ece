"""A sweep says so where its runs are finished in the other precision, and where bf16 is emulated."""

import pytest
import torch

from harness.sweeps import precision_lines as module

CPU = torch.device("cpu")
EMULATED = "emulated on this CPU"


@pytest.fixture
def cpu_with(monkeypatch):
    """Sets whether this CPU has bf16, wherever `train.precision=auto` and the lines look."""

    def set_it(bf16: bool) -> None:
        monkeypatch.setattr("harness.training.device.has_bf16", lambda device: bf16)
        monkeypatch.setattr(module, "has_bf16", lambda device: bf16)

    return set_it


def lines_about(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith(("finished in", "train.precision"))]


def test_a_sweep_that_goes_on_in_the_other_precision_is_told_so(harness_run, cpu_with):
    cpu_with(False)
    seeds = ("--multirun", "train.seed=0,1", "method.bottleneck_size=4")
    assert lines_about(harness_run(*seeds, "train.precision=bf16").out) == [
        f"train.precision=bf16 is {EMULATED}, several times slower than fp32"
    ]
    more = ("--multirun", "train.seed=0,1,2", "method.bottleneck_size=4", "train.precision=auto")
    (line,) = lines_about(harness_run("--dry-run", *more).out)
    assert line == (
        "finished in bf16: 2 of 3 runs to do; train.precision=auto is fp32 here and trains them again, "
        f"train.precision=bf16 keeps them, but is {EMULATED}, several times slower than fp32"
    )
    assert lines_about(harness_run(*more).out) == [line]
    assert lines_about(harness_run(*more).out) == []  # nothing is left to train
    cpu_with(True)
    assert lines_about(harness_run("--dry-run", *more, "train.epochs=3").out) == []
    assert lines_about(harness_run("--dry-run", *more, "train.seed=2,3").out) == [
        "finished in fp32: 1 of 2 runs to do; train.precision=auto is bf16 here and trains them again, "
        "train.precision=fp32 keeps them"
    ]


def test_a_named_precision_is_what_was_wanted(harness_run, cpu_with):
    cpu_with(True)
    assert lines_about(harness_run("train.precision=bf16").out) == []
    assert lines_about(harness_run("--dry-run", "train.precision=fp32").out) == []
    assert lines_about(harness_run("--dry-run", "method=tfidf").out) == []
