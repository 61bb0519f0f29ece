"""Sweeps that want more memory than there is."""

import pytest

from harness.sweeps.expectation import StackNeeds
from harness.training import available
from tests.fixtures.commands import records

GB = 10**9
SWEEP = ("--multirun", "train.seed=0,1,2,3,4", "method.bottleneck_size=4", "hydra.launcher.max_stack=4")


@pytest.fixture
def free(monkeypatch):
    """Sets what the machine has free, of which each run is taken to need a GB."""
    for name in ("bound", "growth"):
        monkeypatch.setattr(StackNeeds, name, lambda self, stack: len(stack) * GB)

    def let(gigabytes):
        there = available.Available(int(gigabytes * GB), "free on this machine")
        monkeypatch.setattr(available, "_machine", lambda root: [there])

    return let


def test_a_sweep_is_cut_to_what_fits_as_its_dry_run_says(harness_run, tmp_path, free):
    free(2.6)
    line = (
        "memory: 4.0 GB are expected to be needed, 2.6 GB are free on this machine (MRPC adapter x4): "
        "cut to 2 runs at once"
    )
    planned = harness_run("--dry-run", *SWEEP).out
    assert "5 runs: 5 to do in 3 stacks\n" in planned and line in planned.splitlines()
    status, out, err = harness_run(*SWEEP)
    assert (status, err) == (0, [])
    assert "5 runs to do in 3 stacks: " in out and out.splitlines().count(line) == 1
    stacks = [record["training"]["stack"] for record in records(tmp_path / "results").values()]
    assert sorted(map(len, stacks)) == [1, 2, 2, 2, 2]


def test_a_run_that_does_not_fit_alone_starts_all_the_same(harness_run, free):
    free(0.5)
    status, out, err = harness_run("train.batch_size=8")
    assert (status, err) == (0, [])
    (line,) = [line for line in out.splitlines() if line.startswith("memory: ")]
    assert "1.0 GB are expected to be needed, 0.5 GB are free on this machine (MRPC adapter, one run alone)" in line
    assert line.endswith("should it fail, set train.micro_batch_size=4 (here 8 rows were computed at once)")


def test_ample_memory_needs_no_word(harness_run, free):
    free(9)
    assert "memory:" not in harness_run("train.epochs=1").out
