"""Sweeps under a limit of 60 % of the memory that their stack wants, in a real control group and by `ulimit -v`, and
under one that the kernel enforces by killing.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness.training.device import TOP_PAD
from tests.conftest import ROOT
from tests.fixtures.commands import environment, records
from tests.fixtures.tiny import WORDS, save_tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")

SHARE = 0.6
# A stack of four: two steps of 768 rows of 32 tokens.
ROWS = 768
SWEEP = (
    "--multirun", "task=cola", "data=local", "model=local", "method=adapter", "method.bottleneck_size=4",
    "train.seed=0,1,2,3", "train.epochs=2", f"train.batch_size={ROWS}", "train.max_length=32",
    "train.precision=fp32", "device=cpu", "checkpoint_minutes=0", "hydra.launcher.max_stack=4",
)  # fmt: skip

# The command in a process of its own (a forked one would share memory with others) that says how far it has grown since
# its imports, with at most `allowed` bytes to map.
SCRIPT = """
import json, resource, sys
from pathlib import Path

from harness.commands import run
from tests.fixtures import started


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


mapped, resident, allowed = status("VmSize"), status("VmRSS"), int(sys.argv[1])
if allowed:
    resource.setrlimit(resource.RLIMIT_AS, (mapped + allowed, resource.RLIM_INFINITY))
ended = run.main(sys.argv[2:])
print(json.dumps({"resident": status("VmHWM") - resident}))
sys.exit(ended)
"""


class Group:
    """A memory control group of its own below this process's, of version 1 or 2, without swap."""

    def __init__(self, folder, limit, peak, swap):
        self.folder, self._limit, self._peak = folder, folder / limit, folder / peak
        with suppress(OSError):  # no swap is counted here
            (folder / swap).write_text("0")

    def allow(self, size):
        self._limit.write_text(str(int(size)))

    @property
    def peak(self):
        return int(self._peak.read_text())

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))


FILES = {  # where each version is mounted, and the names of limit, peak and what keeps a group from swapping
    1: ("memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.swappiness"),
    2: ("", "memory.max", "memory.peak", "memory.swap.max"),
}


def make_group():
    """A group, or None where this user or system has none to give."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        version = 1 if "memory" in controllers.split(",") else 2
        if version == 2 and controllers:
            continue
        mounted, limit, peak, swap = FILES[version]
        mount = Path("/sys/fs/cgroup") / mounted
        own = mount / path.lstrip("/")
        for around in (own, *own.parents):  # in version 2 a group with processes of its own may have none below it
            folder = around / f"harness-test-{os.getpid()}"
            with suppress(OSError):
                folder.mkdir()
                if (folder / limit).exists() and (folder / peak).exists():
                    return Group(folder, limit, peak, swap)
                folder.rmdir()
            if around == mount:
                break
    return None


@pytest.fixture(scope="module")
def group_or_none():
    made = make_group()
    yield made
    if made is not None:
        made.folder.rmdir()


@pytest.fixture
def group(group_or_none):
    if group_or_none is None:
        pytest.skip("this user cannot make a memory control group")
    return group_or_none


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts the sweep into a folder, as a process with two pipes."""
    folder = tmp_path_factory.mktemp("sweep")
    script, model = folder / "script.py", save_tiny(folder / "model")
    script.write_text(SCRIPT)
    (folder / "glue/CoLA").mkdir(parents=True)
    for name, count in (("train", ROWS), ("dev", 16)):
        lines = [f"x\t{row % 2}\t\t{' '.join((WORDS[row % 100 :] + WORDS)[:30])}" for row in range(count)]
        (folder / f"glue/CoLA/{name}.tsv").write_text("\n".join(lines) + "\n")

    def popen(results, allowed=0, enter=None):
        where = (f"model.name={model}", f"data.path={folder}/glue", f"cache_dir={folder}/cache")
        command = [sys.executable, script, str(allowed), *SWEEP, *where, f"results_dir={results}"]
        variables = environment(PYTHONPATH=str(ROOT))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=ROOT, env=variables, preexec_fn=enter, **pipes)

    return popen


def ended(process):
    """The lines that a sweep of completed runs has printed, and by how many bytes it has grown."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    *lines, last = out.splitlines()
    return lines, json.loads(last)


def cut(lines):
    """The line that says why the stack is cut."""
    (line,) = [line for line in lines if line.startswith("memory: ")]
    return line


def stacks(results):
    found = records(results).values()
    assert [record["status"] for record in found] == ["completed"] * 4
    return sorted(len(record["training"]["stack"]) for record in found)


@pytest.fixture(scope="module")
def ample(start, group_or_none, tmp_path_factory):
    """By how many bytes an undisturbed sweep grows, and what the group holds at its peak."""
    results, group = tmp_path_factory.mktemp("ample"), group_or_none
    lines, grown = ended(start(results, enter=group.enter if group else None))
    assert stacks(results) == [4] * 4 and "memory:" not in "".join(lines)
    return grown | {"group": group.peak if group else None}


def test_a_control_group(start, tmp_path, group, ample):
    group.allow(SHARE * ample["group"])
    lines, _ = ended(start(tmp_path, enter=group.enter))
    assert "are left of the container's limit (CoLA adapter x4): cut to " in cut(lines)
    assert stacks(tmp_path)[-1] < 4
    expected = float(cut(lines).split()[1]) * 1e9
    assert expected == pytest.approx(ample["resident"], rel=0.25)


def test_ulimit_v(start, tmp_path, ample):
    # Not a share of what is mapped, which grows in steps of a quarter of a GB: some sweeps end with one less.
    lines, _ = ended(start(tmp_path, allowed=int(SHARE * ample["resident"]) + TOP_PAD))
    assert "are left of ulimit -v (CoLA adapter x4): cut to " in cut(lines)
    assert stacks(tmp_path)[-1] < 4


def test_a_stack_that_the_kernel_kills_twice_is_halved(start, tmp_path, group, ample):
    """The memory is there when the sweep starts, and taken when its stack does."""
    for status in (-9, -9, 0):
        group.allow(2 * ample["group"])
        process, begun = start(tmp_path, enter=group.enter), time.time()
        while not any(path.stat().st_mtime > begun for path in tmp_path.glob("starts/*.json")):
            assert process.poll() is None
            time.sleep(0.01)
        group.allow(0.75 * ample["group"])
        out, err = process.communicate()
        assert process.returncode == status, err
    assert out.count("CoLA adapter x4 was killed 2 times: continuing with 2 at once") == 1
    assert stacks(tmp_path)[-1] == 2
