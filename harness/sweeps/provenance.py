"""Where a record comes from: commit, package versions, device."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from harness.training.device import device_title

PACKAGES = ("torch", "transformers", "datasets", "evaluate", "hydra-core", "pandas", "numpy", "scikit-learn", "scipy")


def provenance(device: torch.device, *, bf16: bool) -> dict[str, Any]:
    """The record's `provenance`."""
    commit, dirty = commit_of_code()
    return {
        "commit": commit,
        "dirty": dirty,
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
        "device": device_title(device),
        "precision": "bf16" if bf16 else "fp32",
        "command": command_line(sys.argv[1:]),
    }


def command_line(arguments: list[str]) -> str:
    """The command with folders outside the working one cut to their last part: a record holds no machine's paths."""
    parts = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        parts.append(f"{key}={Path(value).name}" if equals and value.startswith(("/", "~", "..")) else argument)
    return shlex.join(["python", "-m", "harness.run", *parts])


@cache
def commit_of_code() -> tuple[str | None, bool | None]:
    """Commit of the checkout that holds this package and whether its code was changed; (None, None) outside git."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit, bool(git("status", "--porcelain", "--", "harness", "conf"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def now() -> str:
    """ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
