"""The memory that is left, from files that say what those of Linux say."""

import resource

import pytest
import torch

from harness.training import available as module
from harness.training.available import available_memory

CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The files of a machine with 8 GiB free, outside any container, and no `ulimit -v`."""
    monkeypatch.setattr(module.resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    write(tmp_path, "proc/meminfo", f"MemTotal:  99999999 kB\nMemAvailable:  {8 * 2**20} kB\n")
    write(tmp_path, "proc/self/status", f"VmPeak:  1 kB\nVmSize:\t  {2**20} kB\n")
    return tmp_path


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def group(root, folder, *, v1=False, limit, used, files=0):
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if v1 else ("memory.max", "memory.current")
    write(root, f"{folder}/{names[0]}", limit)
    write(root, f"{folder}/{names[1]}", used)
    write(root, f"{folder}/memory.stat", f"anon 5\n{'total_' * v1}inactive_file {files}")


def test_without_limits_it_is_what_the_machine_has_free(root):
    assert available_memory(CPU, root) == module.Available(8 * GIB, "free on this machine")


def test_a_group_of_version_2_leaves_its_limit_without_its_use_and_with_files_that_can_be_dropped(root):
    write(root, "proc/self/cgroup", "0::/pod/box")
    group(root, "sys/fs/cgroup/pod/box", limit=3 * GIB, used=2 * GIB, files=GIB // 2)
    assert available_memory(CPU, root) == module.Available(3 * GIB // 2, "left of the container's limit")


def test_the_limit_of_a_group_around_counts_too_and_no_limit_is_none(root):
    write(root, "proc/self/cgroup", "0::/pod/box")
    group(root, "sys/fs/cgroup/pod/box", limit="max", used=GIB)
    assert available_memory(CPU, root).size == 8 * GIB
    group(root, "sys/fs/cgroup/pod", limit=4 * GIB, used=GIB)
    assert available_memory(CPU, root).size == 3 * GIB


def test_a_group_of_version_1_that_is_seen_by_the_name_of_the_host(root):
    """In the container its files are at the top of the mount."""
    write(root, "proc/self/cgroup", "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n0::/")
    group(root, "sys/fs/cgroup/memory", v1=True, limit=2 * GIB, used=GIB, files=GIB // 4)
    assert available_memory(CPU, root).size == 5 * GIB // 4
    group(root, "sys/fs/cgroup/memory", v1=True, limit=2 * GIB, used=3 * GIB)
    assert available_memory(CPU, root).size == 0


def test_the_unlimited_number_of_version_1_limits_nothing(root):
    write(root, "proc/self/cgroup", "4:memory:/")
    group(root, "sys/fs/cgroup/memory", v1=True, limit=9223372036854771712, used=GIB)
    assert available_memory(CPU, root).size == 8 * GIB


def test_ulimit_v_leaves_what_is_not_mapped_or_free_in_the_heap(root, monkeypatch):
    """The heap asks for a quarter of a GiB in advance."""
    monkeypatch.setattr(module, "free_heap_bytes", lambda: 5)
    monkeypatch.setattr(module.resource, "getrlimit", lambda kind: (3 * GIB, resource.RLIM_INFINITY))
    assert available_memory(CPU, root) == module.Available(2 * GIB - 2**28 + 5, "left of ulimit -v")


def test_where_nothing_says_it_nothing_is_known(root, tmp_path):
    assert available_memory(CPU, tmp_path / "elsewhere") is None
    assert available_memory(torch.device("mps"), root) is None
