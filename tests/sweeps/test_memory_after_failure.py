"""After a stack has run out of a CPU's memory, the memory is free again: a process of its own, under `ulimit -v`."""

import json
import sys

import pytest

from tests.fixtures.commands import python

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="the limit and the measurement are Linux's"),
]

# Each run takes 200 MB. Each stack fails behind another error, whose frames hold tensors too.
SCRIPT = """
import json, resource, sys
from pathlib import Path

import torch

from harness.sweeps.sweep import Sweep
from tests.sweeps.test_sweep import complete, runs, statuses

RUN = 200 * 10**6
resident, stacks = [], []


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def train(stack, device, progress):
    resident.append(status("VmRSS"))
    held = []
    try:
        for run in stack:
            for part in range(50):
                held.append(torch.ones(RUN // 200))
    except RuntimeError as error:
        stacks.append(-len(stack))
        copy = [tensor + 1 for tensor in held[:10]]
        raise RuntimeError(f"behind it: {error}") from error
    stacks.append(len(stack))
    return complete(stack)


limit = status("VmSize") + 2**28 + 5 * RUN
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
records = Sweep(runs(16), results_dir=sys.argv[1], max_stack=16, train_stack=train).work()
print(json.dumps({"resident": resident, "stacks": stacks, "statuses": statuses(records)}))
"""


def test_every_run_trains_in_a_smaller_stack_and_nothing_stays_behind(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    ended = python(script, tmp_path, PYTHONPATH=".")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["statuses"] == ["completed"] * 16
    assert found["stacks"][:3] == [-16, -8, 4] and min(found["stacks"]) == -16
    first, *later = found["resident"]
    after_failures = [size for size, before in zip(later, found["stacks"], strict=False) if before < 0]
    assert len(after_failures) >= 2 and max(after_failures) < first + 150e6
