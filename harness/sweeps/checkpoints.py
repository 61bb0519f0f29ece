"""Checkpoints of stacks in training: `<results_dir>/checkpoints/<id of the stack's first run>.safetensors`.

Whoever holds the locks of a stack's runs owns its file. The name stays the same where a stack is composed otherwise,
so that the file of the old composition is noticed, said to be of no use, and replaced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from harness.records.record import FINISHED, read_record
from harness.sweeps.progress import Display
from harness.sweeps.provenance import versions
from harness.sweeps.resolve import Run
from harness.training.stack_checkpoint import StackCheckpoint, temporary_folder

CHECKPOINT_SCHEMA = 1  # raise it where a state has another meaning, or training continues otherwise from the same one


def checkpoint_of(runs: Sequence[Run], device: torch.device, progress: Display) -> StackCheckpoint | None:
    """The checkpoint of the stack of these runs, or None where `checkpoint_minutes` is 0.

    Run ids cover all of a config that changes a score; what else changes how a stack trains is named besides.
    """
    config = runs[0].config
    if not config.checkpoint_minutes:
        return None
    found = versions(device)
    made_by = {
        "schema": CHECKPOINT_SCHEMA,
        "harness": found.get("glue-adapter-harness"),
        "torch": found["torch"],
        "device": device.type,
        "cuda_graphs": config.cuda_graphs,
        "train.micro_batch_size": config.train.micro_batch_size,
        "train.evaluate_every_epoch": config.train.evaluate_every_epoch,
        "runs": [run.id for run in runs],
    }
    return StackCheckpoint(
        checkpoint_path(config.results_dir, runs[0].id),
        made_by,
        seconds=60 * config.checkpoint_minutes,
        say=progress.say,
        on_resume=progress.resume,
    )


def checkpointed_runs(results_dir: str | Path, run_id: str) -> list[str]:
    """The ids of the runs that train together in the checkpoint of the stack with that first run.

    Empty where there is none, or it is damaged at the beginning.
    """
    try:
        with safe_open(checkpoint_path(results_dir, run_id), framework="pt") as file:
            return json.loads(file.metadata()["head"])["made_by"]["runs"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return []


def remove_checkpoint(results_dir: str | Path, runs: Sequence[Run]) -> None:
    """Remove the checkpoint of a stack whose records are there."""
    _remove(checkpoint_path(results_dir, runs[0].id))


def remove_finished(results_dir: str | Path) -> None:
    """Remove the checkpoints that nobody will use: a process was killed between the records and the removal."""
    for path in _folder(results_dir).glob("*"):
        name = path.name.removeprefix(".").removesuffix(".part")  # see `temporary_folder`
        run_id = name.removesuffix(".safetensors")
        record = read_record(results_dir, run_id)
        if record is not None and record["status"] in FINISHED:
            _remove(checkpoint_path(results_dir, run_id))


def _folder(results_dir: str | Path) -> Path:
    return Path(results_dir) / "checkpoints"


def checkpoint_path(results_dir: str | Path, run_id: str) -> Path:
    """The checkpoint of the stack with that first run."""
    return _folder(results_dir) / f"{run_id}.safetensors"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    shutil.rmtree(temporary_folder(path), ignore_errors=True)  # of a process that was killed while it wrote
