"""Runs the real commands, in this process where that is enough: an import of torch costs seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without a GLUE folder, offline, on one thread."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GLUE_DIR", "HYDRA_FULL_ERROR")}
    return kept | ENVIRONMENT | changes


def python(*arguments: str, **changes: str) -> subprocess.CompletedProcess:
    """`python ARGUMENTS` in the repository, as a user types it."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
    )


def records(results: Path) -> dict[str, dict]:
    """The records of a results folder by run id."""
    return {path.stem: json.loads(path.read_text()) for path in (results / "runs").glob("*.json")}
