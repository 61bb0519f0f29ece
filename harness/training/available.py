"""The memory that is left for this process: of a GPU, of the machine, of its container, of `ulimit -v`."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.training.device import TOP_PAD, free_cached_memory, free_heap_bytes

# Where the two versions of cgroups say how much a group may use and how much it does, and the line of its memory.stat
# that counts files which the kernel drops before it runs out.
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@dataclass(frozen=True, order=True)
class Available:
    """So many bytes; `where` completes "3.0 GB are ..."."""

    size: int
    where: str


def available_memory(device: torch.device, root: Path = Path("/")) -> Available | None:
    """What a device has left for this process; None where that is not known (not Linux, an Apple GPU).

    On a CPU it is the least of what the machine has free, of what each container around this process has left, and of
    what `ulimit -v` has left. What the heap keeps for later tensors is given back first. `root` is the root of the
    files that say so.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Available(free + kept, f"free on {device}")
    if device.type != "cpu":
        return None
    free_cached_memory(device)
    return min((*_machine(root), *_containers(root), *_address_space(root)), default=None)


def _machine(root: Path) -> Iterator[Available]:
    kilobytes = _number(root / "proc/meminfo", "MemAvailable")
    if kilobytes is not None:
        yield Available(1024 * kilobytes, "free on this machine")


def _containers(root: Path) -> Iterator[Available]:
    """What the limits of this process's control group, and of those around it, leave.

    A container may see its group by the host's path, which is not there, and its own files at the top of the mount.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            mount, names = root / "sys/fs/cgroup/memory", _V1
        elif not controllers:
            mount, names = root / "sys/fs/cgroup", _V2
        else:
            continue
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            limit, used = (_number(folder / name) for name in names[:2])
            if limit is not None and used is not None:
                droppable = _number(folder / "memory.stat", names[2]) or 0
                yield Available(max(0, limit - used + droppable), "left of the container's limit")
            if folder == mount:
                break


def _address_space(root: Path) -> Iterator[Available]:
    """What `ulimit -v` leaves: what is not mapped, without the `TOP_PAD` bytes that the heap asks for in advance, and
    what of the heap is free.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    kilobytes = _number(root / "proc/self/status", "VmSize")
    if limit != resource.RLIM_INFINITY and kilobytes is not None:
        yield Available(max(0, limit - 1024 * kilobytes - TOP_PAD) + free_heap_bytes(), "left of ulimit -v")


def _number(path: Path, name: str = "") -> int | None:
    """The number after that name at the start of a line, or the only number; None if there is none."""
    found = re.search(rf"^{name}:?\s*(\d+)", _text(path), re.MULTILINE)
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
