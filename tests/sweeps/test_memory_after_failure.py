"""After a stack has run out of a CPU's memory, the memory is free again: a process of its own, under `ulimit -v`."""

import json
import resource
import sys
from pathlib import Path

import pytest
import torch

from harness.sweeps.sweep import Sweep
from tests.fixtures.commands import PATIENCE, server
from tests.sweeps.test_sweep import complete, runs, statuses

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="the limit and the measurement are Linux's"),
]

# Each run takes 200 MB. Each stack fails behind another error, whose frames hold tensors too.
RUN = 200 * 10**6


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def sweep(folder):
    """Sixteen runs in one stack, where five fit; writes what it finds into `found.json`."""
    resident, stacks = [], []

    def train(stack, device, progress):
        resident.append(status("VmRSS"))
        held = []
        try:
            for _ in stack:
                for _ in range(50):
                    held.append(torch.ones(RUN // 200))
        except RuntimeError as error:
            stacks.append(-len(stack))
            copy = [tensor + 1 for tensor in held[:10]]  # noqa: F841 (a frame of the error holds it)
            raise RuntimeError(f"behind it: {error}") from error
        stacks.append(len(stack))
        return complete(stack)

    limit = status("VmSize") + 2**28 + 5 * RUN
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    records = Sweep(runs(16), results_dir=folder, max_stack=16, train_stack=train).work()
    found = {"resident": resident, "stacks": stacks, "statuses": statuses(records)}
    (folder / "found.json").write_text(json.dumps(found))


def test_every_run_trains_in_a_smaller_stack_and_nothing_stays_behind(tmp_path):
    process = server().Process(target=sweep, args=(tmp_path,))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["statuses"] == ["completed"] * 16
    assert found["stacks"][:3] == [-16, -8, 4] and min(found["stacks"]) == -16
    first, *later = found["resident"]
    after_failures = [size for size, before in zip(later, found["stacks"], strict=False) if before < 0]
    assert len(after_failures) >= 2 and max(after_failures) < first + 150e6
