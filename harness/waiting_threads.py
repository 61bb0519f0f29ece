"""How the threads of torch wait for each other, settled before torch is loaded, since OpenMP reads it only then.

GNU's OpenMP lets a thread that waits spin, for several milliseconds. That is fast where every thread has a CPU of its
own, and stalls all of them where another process takes one away. Examples/s of a stack of two (synthetic RTE,
MiniLM, bf16) on a virtual machine whose two CPUs share a core: means of two runs that differ by up to a quarter, and
one run for the default beside a busy process:

    batch size          8, alone   8, beside a busy process   32, alone   32, beside a busy process
    OpenMP's default       130                30                 193                 52
    spin 10,000 times      135                28                 177                 65
    spin 1,000 times       104                66                 151                100
    never spin              86                83                 149                107
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def settle(loads: Path = Path("/proc/loadavg")) -> None:
    """Let waiting threads spin for a moment if the machine is idle, and not at all beside busy processes.

    Writes the environment of this process, unless it says something already: the user, or the command that started
    this one, has chosen. Only on Linux, where torch brings GNU's OpenMP.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _CHOICES):
        return
    if _others_running(loads) > 0:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    else:
        os.environ["GOMP_SPINCOUNT"] = "10000"


def _others_running(loads: Path) -> int:
    """How many threads of other processes want a CPU: the least of three looks, so that a short task does not count."""
    least = sys.maxsize
    for _ in range(3):
        try:
            least = min(least, int(loads.read_text().split()[3].split("/")[0]) - 1)  # all but this one
        except (OSError, ValueError, IndexError):
            return 1
        time.sleep(0.002)
    return least
