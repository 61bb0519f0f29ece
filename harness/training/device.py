"""The device: which one, its precision, its memory."""

from __future__ import annotations

import ctypes
import gc
import platform
import resource
import sys
import traceback
from functools import cache
from pathlib import Path

import torch

from harness.config import TrainConfig
from harness.errors import UserError

TOP_PAD = 2**28  # bytes by which a CPU's heap grows beyond what it needs
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


def autocast(device: torch.device, bf16: bool, *, cache_enabled: bool = True) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16, cache_enabled=cache_enabled)


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 natively; emulated bf16 is slower than fp32.

    On an Apple GPU never: torch cannot tell whether one emulates it, and what Metal refuses in mixed types ends the
    process instead of raising.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell: fp32
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Let glibc keep what a CPU step frees: returned to the system, it costs each step 3 to 15 % in page faults."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, TOP_PAD)):
            mallopt(option, value)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the device or the host ran out of memory."""
    # Of torch's CPU allocator, oneDNN and Apple's GPUs.
    words = ("can't allocate memory", "could not create a primitive", "MPS backend out of memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(part in str(error) for part in words)


def memory_remedy(settings: TrainConfig) -> str:
    """What to set where a single run with these settings does not fit into memory."""
    rows = min(settings.micro_batch_size or settings.batch_size, settings.batch_size)
    if rows > 1:
        return f"set train.micro_batch_size={rows // 2} (here {rows} rows were computed at once)"
    return f"lower train.max_length={settings.max_length} (rows are already computed one by one)"


def free_cached_memory(device: torch.device) -> None:
    """Give memory that is kept for later tensors back to the system: torch's of a GPU, the heap's of a CPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`: ten sizes, of which the ninth counts free blocks."""

    _fields_ = (("before", ctypes.c_size_t * 8), ("free", ctypes.c_size_t), ("after", ctypes.c_size_t))


def free_heap_bytes() -> int:
    """The bytes that a CPU's heap has mapped and free; 0 where the C library does not say."""
    read = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if read is None:
        return 0
    read.restype = _MallInfo
    return read().free


def release_memory(error: BaseException | None, device: torch.device) -> None:
    """Give back what a failed stack held: the tensors in the frames of its error, and of those behind it."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    free_cached_memory(device)


class PeakMemory:
    """The peak of a device's allocated memory, or of this process's resident memory on a CPU, from now on.

    An Apple GPU keeps no peak: there it is what the driver has allocated, which torch gives back only when asked.
    Linux lets a process set its high-water mark back to what is resident; where it cannot be set back, `read` gives
    the peak since the process started and says so.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            self.of = "device"
            torch.cuda.reset_peak_memory_stats(device)
        elif device.type == "mps":
            self.of = "device"
            free_cached_memory(device)
        else:
            self.of = "process" if _reset_high_water_mark() else "process so far"

    def read(self) -> dict[str, int | str]:
        """`peak_bytes` and what they are `of`: `device`, `process`, or `process so far`."""
        if self.device.type == "mps":
            peak = torch.mps.driver_allocated_memory()
        elif self.of == "device":
            peak = torch.cuda.max_memory_allocated(self.device)
        elif self.of == "process":
            peak = _status_bytes("VmHWM")
        else:
            scale = 1 if sys.platform == "darwin" else 1024  # others count kilobytes
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        return {"peak_bytes": peak, "of": self.of}


def _reset_high_water_mark() -> bool:
    """Give freed memory back to the system and set VmHWM to what is resident; whether that worked (Linux only)."""
    if sys.platform != "linux":
        return False
    free_cached_memory(torch.device("cpu"))  # else what `keep_freed_memory` keeps would count
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status_bytes("VmHWM") > 0
    except OSError:  # a container may forbid it
        return False


def _status_bytes(name: str) -> int:
    """A size of /proc/self/status in bytes; 0 if there is no such line."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def pick_device(name: str) -> torch.device:
    """`auto` is the first CUDA GPU, else the CPU; `UserError` if the named device does not exist.

    `auto` is never an Apple GPU, on which nothing of this harness has run yet: some of torch's in-place kernels there
    have been wrong on strided tensors, without an error, and `ParameterRows` consists of those.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"device={name} is unknown; choose auto, cpu, cuda or cuda:N, or mps")
    found = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if (device.index or 0) >= found[device.type]:
        there = ["cpu", *(f"cuda:{index}" for index in range(found["cuda"])), *["mps"] * found["mps"]]
        raise UserError(f"device={name} was not found; choose one of {', '.join(there)}, or device=auto")
    return device


def pick_precision(name: str, device: torch.device) -> bool:
    """Whether to compute in bf16: as asked, or if the hardware has it. `UserError` if an Apple GPU cannot."""
    if name == "bf16" and device.type == "mps" and not _multiplies_in_bf16(device):
        raise UserError("train.precision=bf16 needs macOS 14 on device=mps; set train.precision=fp32")
    return has_bf16(device) if name == "auto" else name == "bf16"


def _multiplies_in_bf16(device: torch.device) -> bool:
    try:
        with autocast(device, True):
            ones = torch.ones(8, 8, device=device)
            return (ones @ ones).dtype == torch.bfloat16
    except (RuntimeError, TypeError):
        return False


def device_title(device: torch.device) -> str:
    """A GPU's name (an Apple GPU has none: the system's), or a CPU's model with its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple GPU ({platform.processor() or platform.machine()}, {platform.platform(terse=True)})"
    threads = torch.get_num_threads()
    return f"{_cpu_model()}, {threads} thread{'s' * (threads > 1)}"


@cache
def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()
