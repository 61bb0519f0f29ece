"""Where the rows of a task come from: the hub, a local GLUE folder, or the bundled synthetic suite."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, DatasetDict

from harness.data.sources import glue_folder as local
from harness.data.sources import hub
from harness.data.sources.synthetic import suite as synthetic
from harness.errors import UserError
from harness.tasks.glue import DIAGNOSTICS
from harness.tasks.task import Task

SOURCES = ("auto", "hub", "local", "synthetic")
HUB_SECONDS = 3.0  # that `auto` waits for the hub
_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


@dataclass(frozen=True)
class DataChoice:
    """A source with all that it needs. `why` is one line for the user; `path` is of local, `revision` of hub only."""

    source: str
    path: str | None
    why: str
    revision: str | None

    @property
    def is_glue(self) -> bool:
        """False for synthetic data, whose scores say nothing about GLUE."""
        return self.source != "synthetic"


def resolve(
    *, source: str, path: str | None = None, revision: str | None = None, environ: Mapping[str, str] = os.environ
) -> DataChoice:
    """Settle on a source, and say why.

    `auto` is `GLUE_DIR` if that is set, else the hub if it answers within `HUB_SECONDS` (it is not asked in offline
    mode), else the synthetic suite. `local` without a path uses `GLUE_DIR`. Raises `UserError` for an unknown source
    and for a folder that does not exist.
    """
    glue_dir = environ.get("GLUE_DIR")
    if source == "hub":
        return _hub(revision, "data=hub")
    if source == "local":
        if path:
            return _local(path, "data.path", f"data=local data.path={path}")
        if glue_dir:
            return _local(glue_dir, "GLUE_DIR", f"data=local and GLUE_DIR={glue_dir}")
        raise UserError("data=local needs data.path=/folder/of/GLUE (the folder that holds CoLA/, MRPC/, ...)")
    if source == "synthetic":
        return _synthetic("data=synthetic: not GLUE")
    if source != "auto":
        raise UserError(f"data.source={source!r} is not one of {', '.join(SOURCES)}")
    if glue_dir:
        return _local(glue_dir, "GLUE_DIR", "GLUE_DIR is set")
    for name in _OFFLINE_VARIABLES:
        if environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return _synthetic(f"GLUE_DIR is not set and {name} is set: synthetic data, not GLUE")
    if hub.answers(HUB_SECONDS):
        return _hub(revision, "the hub answered")
    return _synthetic(f"GLUE_DIR is not set and the hub did not answer in {HUB_SECONDS:g} s: synthetic data, not GLUE")


def check(choice: DataChoice, task: Task) -> None:
    """Find out before any training that `load` would fail: missing files or columns, an unknown revision, no network.

    Raises `UserError`. Reads first lines of local files; makes one request where the hub's rows are not in the cache.
    """
    if choice.source == "local":
        local.check(task, choice.path)
    elif choice.source == "hub":
        hub.check(task, choice.revision)
    else:
        synthetic.fingerprint(task)  # raises for a task that the suite does not have


def fingerprint(choice: DataChoice, task: Task) -> str:
    """What names the task's rows in a run id: equal fingerprints mean equal rows. Does not load them."""
    if choice.source == "local":
        return local.fingerprint(task, choice.path)
    if choice.source == "hub":
        return hub.fingerprint(task, choice.revision)
    return synthetic.fingerprint(task)


def load(choice: DataChoice, task: Task) -> DatasetDict:
    """The task's rows: columns sentence1[, sentence2], label (ClassLabel, float32 for STS-B), idx (int32).

    Splits are "train", each of `task.evaluation_sets`, and those of `task.test_sets` that exist; their labels are -1,
    and their idx is what a submission to the benchmark numbers rows with. Raises `UserError`.
    """
    if choice.source == "local":
        return local.load(task, choice.path)
    if choice.source == "hub":
        return hub.load(task, choice.revision)
    return synthetic.load(task)


def load_diagnostic(choice: DataChoice, task: Task) -> Dataset | None:
    """The rows of GLUE's diagnostic set that a model of `task` predicts, or None where there is none.

    Columns as of `load`; all labels are -1. Raises `UserError` where the hub's cannot be had.
    """
    diagnostic = DIAGNOSTICS.get(task.name)
    if diagnostic is None or choice.source == "synthetic":
        return None
    return load(choice, diagnostic).get("test")


def _hub(revision: str | None, why: str) -> DataChoice:
    return DataChoice("hub", None, why, revision or hub.REVISION)


def _synthetic(why: str) -> DataChoice:
    return DataChoice("synthetic", None, why, None)


def _local(path: str, setting: str, why: str) -> DataChoice:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"{setting}={path} is no folder; give the folder of GLUE (the folder that holds CoLA/, MRPC/, ...)"
        )
    return DataChoice("local", str(folder.absolute()), why, None)
