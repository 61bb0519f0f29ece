"""Data sources: the one that a config asks for, and the rows that this process has read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from datasets import Dataset, DatasetDict

from harness.data.sources import hub
from harness.data.sources.glue_folder import GlueFolder
from harness.data.sources.hub import Hub
from harness.data.sources.own import TaskFiles, TaskHub, rows_of_task
from harness.data.sources.source import Settings, Source
from harness.data.sources.squad import SPAN_SOURCES, SquadFolder, SquadHub, SquadSynthetic
from harness.data.sources.synthetic.suite import Synthetic
from harness.errors import UserError
from harness.tasks.glue import DIAGNOSTICS
from harness.tasks.task import Task, with_labels

SOURCES: dict[str, type[Source]] = {source.name: source for source in (Hub, GlueFolder, Synthetic)}
HUB_SECONDS = 3.0  # how long `auto` waits for the hub
_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


class NoData(UserError):  # noqa: N818
    """`auto` found no source; `why` says where it looked."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"there is no GLUE data: {why}. Three ways to give some: set GLUE_DIR=/folder/of/GLUE (the same as "
            "data=local data.path=...), go online for the Hugging Face hub (data=hub), or name the bundled rows, "
            "which are not GLUE (data=synthetic)"
        )
        self.why = why


def source_names() -> list[str]:
    """The allowed values of `data.source`."""
    return ["auto", *SOURCES]


def resolve(
    *, source: str, path: str | None = None, revision: str | None = None, environ: Mapping[str, str] = os.environ
) -> Source:
    """The source that the settings ask for; its `why` says how it was chosen.

    `auto` is `GLUE_DIR` if that is set, else the hub if it answers within `HUB_SECONDS` (in offline mode it is not
    asked), else `NoData`. Raises `UserError` for an unknown source and for incomplete settings.
    """
    settings = Settings(path, revision, environ)
    if source == "auto":
        return _automatic(settings)
    if source not in SOURCES:
        raise UserError(f"data.source={source} is out of range: it must be one of {', '.join(source_names())}")
    return SOURCES[source].make(settings)


def _automatic(settings: Settings) -> Source:
    if settings.environ.get("GLUE_DIR"):
        return replace(GlueFolder.make(replace(settings, path=None)), why="GLUE_DIR is set")
    for name in _OFFLINE_VARIABLES:
        if settings.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise NoData(f"GLUE_DIR is not set and {name} is set")
    if hub.answers(HUB_SECONDS):
        return replace(Hub.make(settings), why="the hub answered")
    raise NoData(f"GLUE_DIR is not set and the hub did not answer in {HUB_SECONDS:g} s")


@cache
def find_source(source: str, path: str | None, revision: str | None) -> Source:
    """`resolve`, decided once per process."""
    return resolve(source=source, path=path, revision=revision)


@cache
def find_rows(source: str, path: str | None, revision: str | None, task: Task) -> tuple[Source, Task]:
    """The source of a task's rows, and the task with the labels that its rows have; decided once per process.

    A task that brings its own rows takes them from its files (below `path`) or its data set on the hub, if `source` is
    `auto` or names that place. Raises `UserError` where it does not fit, and as `resolve`.
    """
    if task.kind.name == "span" and source in ("auto", *SPAN_SOURCES):
        return _span_source(source, path, revision), task
    reading = task.reading
    if reading is None or source not in ("auto", "local", "hub", "synthetic"):
        return find_source(source, path, revision), task
    own = TaskFiles if reading.hub is None else TaskHub
    if source not in ("auto", own.name):
        raise UserError(f"data={source} has no rows of task {task.name}, which brings its own; use data={own.name}")
    return _with_labels(own.make(Settings(path, revision, os.environ)), task)


def _span_source(source: str, path: str | None, revision: str | None) -> Source:
    """`auto` is the folder `path` if it is given, else the hub if it answers."""
    settings = Settings(path, revision, os.environ)
    if source != "auto":
        return SPAN_SOURCES[source].make(settings)
    if path is not None:
        return SquadFolder.make(settings)
    hub_there = SquadHub.make(settings)
    try:
        hub_there.check(None)
    except UserError as error:
        raise UserError(f"there are no rows for this task: data.path is not given, and {error}") from None
    return hub_there


def of_task(source: Source, task: Task) -> Source:
    """The source of this task's rows where `source` was asked for: the task's own files below a folder of GLUE."""
    if task.kind.name == "span":
        if isinstance(source, GlueFolder):
            return SquadFolder(source.path, source.why)
        if isinstance(source, Hub):
            return SquadHub.make(Settings(None, None, os.environ))
        return SquadSynthetic() if isinstance(source, Synthetic) else source
    if task.reading is None or source.name not in (TaskFiles.name, TaskHub.name):
        return source
    if source.name == TaskFiles.name and task.reading.hub is None:
        return TaskFiles(source.path, source.why)
    return TaskHub() if task.reading.hub else source


def _with_labels(source: Source, task: Task) -> tuple[Source, Task]:
    if task.kind.labels or task.kind.name != "classification":
        return source, task
    source.check(task)
    return source, with_labels(task, rows_of_task(source, task).labels)


@cache
def checked_fingerprint(source: Source, task: Task) -> str:
    """The fingerprint of a task's rows; they are checked and read once per process."""
    source.check(task)
    rows = rows_of(source, task)
    if task.selection_set is not None:  # a source from outside the package may know the usual splits only
        for name in task.labelled_splits:
            if name not in rows or (task.kind.labels and min(rows[name]["label"]) < 0):
                raise UserError(
                    f"data={source.name} has no split {name} with gold labels of task {task.name}; use protocol=holdout"
                )
    return source.fingerprint(task)


@cache
def rows_of(source: Source, task: Task) -> DatasetDict:
    """The rows of a task, read once per process."""
    return source.load(task)


@cache
def test_sets(source: Source, task: Task) -> dict[str, Dataset]:
    """The test sets that are available: the task's own and, for MNLI, GLUE's diagnostic set as `ax`."""
    loaded = rows_of(source, task)
    found = {name: loaded[name] for name in task.test_sets if name in loaded}
    diagnostic = diagnostic_rows(source, task)
    return found if diagnostic is None else found | {DIAGNOSTICS[task.name].name: diagnostic}


def diagnostic_rows(source: Source, task: Task) -> Dataset | None:
    """The rows of GLUE's diagnostic set if a model of `task` predicts them and they exist, else None.

    The columns are those of `Source.load`; no row has a gold label. Raises `UserError` where the hub fails.
    """
    diagnostic = DIAGNOSTICS.get(task.name)
    if diagnostic is None or not source.is_glue:
        return None
    return source.load(diagnostic).get("test")
