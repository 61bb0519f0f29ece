"""Where a record comes from: command, commit, package versions, device."""

from __future__ import annotations

import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from harness.sweeps.command import command_line
from harness.training.device import device_title

PACKAGES = (
    "glue-adapter-harness", "torch", "transformers", "tokenizers", "safetensors", "datasets", "evaluate", "peft",
    "hydra-core", "pandas", "numpy", "scikit-learn", "scipy",
)  # fmt: skip


def provenance(device: torch.device, *, bf16: bool) -> dict[str, Any]:
    """The record's `provenance`."""
    commit, dirty = commit_of_code(Path(__file__).resolve().parents[2])
    return {
        "commit": commit,
        "dirty": dirty,
        "versions": versions(device),
        "device": device_title(device),
        "precision": "bf16" if bf16 else "fp32",
        "command": command_line(sys.argv[1:]),
    }


def versions(device: torch.device) -> dict[str, str]:
    """Versions of Python, operating system and installed packages; on a GPU also of CUDA, cuDNN and the driver."""
    found = {"python": platform.python_version(), "os": platform.platform()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):  # peft is optional, and a checkout may run without installing it
            found[name] = metadata.version(name)
    if device.type == "cuda":
        found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
        found["driver"] = _driver()
    return found


@cache
def commit_of_code(root: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout at `root` and whether its code was changed; (None, None) where the code is in none.

    An installed copy may lie inside a repository of the user's, whose commit says nothing about this code: `root`
    must be the top of a repository that tracks it.
    """
    top = _output("git", "rev-parse", "--show-toplevel", folder=root)
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    if _output("git", "ls-files", "--error-unmatch", "harness/run.py", folder=root) is None:
        return None, None
    commit = _output("git", "rev-parse", "HEAD", folder=root)
    if commit is None:
        return None, None
    return commit, bool(_output("git", "status", "--porcelain", "--", "harness", "conf", folder=root))


@cache
def _driver() -> str:
    printed = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return printed.splitlines()[0] if printed else "unknown"  # one line per GPU, all the same


def _output(*command: str, folder: Path | None = None) -> str | None:
    """What a command prints, or None where it fails or does not exist."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def now() -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
