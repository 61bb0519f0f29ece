"""The device: which one, its precision, its memory."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys
from functools import cache
from pathlib import Path

import torch

from harness.errors import UserError

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


def autocast(device: torch.device, bf16: bool, *, cache_enabled: bool = True) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16, cache_enabled=cache_enabled)


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 natively; emulated bf16 is slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell: fp32
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Let glibc keep what a CPU step frees: given back, every step pays the page faults anew (3 to 15 % of it)."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28)):
            mallopt(option, value)


def peak_memory(device: torch.device) -> dict[str, int | str]:
    """Peak bytes allocated on the device, or resident in this process on a CPU."""
    if device.type == "cuda":
        return {"peak_bytes": torch.cuda.max_memory_allocated(device), "of": "device"}
    scale = 1 if sys.platform == "darwin" else 1024  # Linux counts kilobytes
    return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale, "of": "process"}


def pick_device(name: str) -> torch.device:
    """`auto` is the first GPU, else the CPU; `UserError` where the named device is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"device={name} is unknown; choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={name} is not here ({torch.cuda.device_count()} GPUs visible); use device=auto")
    return device


def pick_precision(name: str, device: torch.device) -> bool:
    """Whether to compute in bf16: as told, or where the hardware has it."""
    return has_bf16(device) if name == "auto" else name == "bf16"


@cache
def device_title(device: torch.device) -> str:
    """A GPU's name, or a CPU's model with its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {torch.get_num_threads()} threads"
