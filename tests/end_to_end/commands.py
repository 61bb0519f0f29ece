"""Runs the real commands, in this process where that is enough: an import of torch costs seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from harness import launcher, run
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


def train(results: Path, model: Path, glue: Path, *overrides: str) -> None:
    """`python -m harness.run --multirun` in this process, a short run on a local model and local data."""
    arguments = sys.argv
    sys.argv = [
        "harness.run", "--multirun", "train.epochs=2", "train.batch_size=8", "train.max_length=32", "device=cpu",
        "train.precision=fp32", "model=local", f"model.name={model}", "data=local", f"data.path={glue}",
        f"results_dir={results}", f"cache_dir={results}/cache", *overrides,
    ]  # fmt: skip
    try:
        launcher.RECORDS.clear()
        assert run.main() == 0
    finally:
        sys.argv = arguments


def records(results: Path) -> dict[str, dict]:
    """The records of a results folder by run id."""
    return {path.stem: json.loads(path.read_text()) for path in (results / "runs").glob("*.json")}
