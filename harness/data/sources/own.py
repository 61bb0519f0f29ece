"""Rows that a task brings itself: files in any table format, or a data set on the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import datasets
import pandas as pd
from datasets import ClassLabel, Dataset, DatasetDict
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError

from harness.data.content import hash_file
from harness.data.own_rows import OwnRows, Table, own_rows, to_datasets
from harness.data.sources.hub import DOWNLOAD_SECONDS, from_cache, reason_of, within
from harness.data.sources.source import Settings, Source
from harness.data.tables import as_strings, line_of, read_table
from harness.errors import UserError
from harness.tasks.reading import WHOLE, HubSet, Reading
from harness.tasks.task import Task

log = logging.getLogger(__name__)


class OwnSource(Source, Protocol):
    """A source of rows that a task's `reading` describes."""

    def tables(self, task: Task) -> Mapping[str, Table]:
        """The task's tables by split, or one `WHOLE`. Test sets whose gold labels are not asked for have no label."""


@dataclass(frozen=True)
class TaskFiles:
    """A task's own files, in the folder `path` or in the sub-folder that the task names."""

    path: str
    why: str
    name: ClassVar[str] = "local"
    is_glue: ClassVar[bool] = False

    @classmethod
    def make(cls, settings: Settings) -> TaskFiles:
        folder = Path(settings.path or ".").expanduser()
        if not folder.is_dir():
            raise UserError(f"data.path={settings.path} is not a folder; give the one that holds the task's files")
        return cls(str(folder.absolute()), f"the task's own files, data.path={settings.path or '.'}")

    def check(self, task: Task) -> None:
        """Raise `UserError` for the first file that does not exist."""
        self._paths(task)

    def fingerprint(self, task: Task) -> str:
        """`sha256:<hash of the bytes of the files and of how they are read>`."""
        files = {split: hash_file(path) for split, path in self._paths(task).items()}
        return f"sha256:{_hash_of(task, files)}"

    def load(self, task: Task) -> DatasetDict:
        return _load(self, task)

    def tables(self, task: Task) -> dict[str, Table]:
        found = {}
        for split, path in self._paths(task).items():
            rows = _cached_table(path, hash_file(path), _parsing(task.reading), _columns(task, split))
            found[split] = Table(rows, str(path), lambda row, path=path: _line(path, task.reading, row))
        return found

    def _paths(self, task: Task) -> dict[str, Path]:
        return {split: self._find(path, task.reading, task.name) for split, path in _wanted_files(task)}

    def _find(self, name: str, reading: Reading, task_name: str) -> Path:
        path = Path(name).expanduser()
        places = [Path(self.path) / path, Path(self.path) / reading.folder / path]  # an absolute path stays as it is
        for place in places:
            if place.is_file():
                return place
        if path.is_absolute():
            raise UserError(f"{path} does not exist; task {task_name} needs it")
        raise UserError(
            f"{name} is neither in {self.path} nor in its folder {reading.folder}; data.path must be the folder "
            f"that holds the files of task {task_name}"
        )


@dataclass(frozen=True)
class TaskHub:
    """A task's own data set on the Hugging Face hub."""

    why: str = "the task's own data set"
    name: ClassVar[str] = "hub"
    is_glue: ClassVar[bool] = False

    @classmethod
    def make(cls, _settings: Settings) -> TaskHub:
        return cls()

    def check(self, task: Task) -> None:
        """Raise `UserError` where there is no such data set, or no such commit of it."""
        _commit(task.reading.hub)

    def fingerprint(self, task: Task) -> str:
        """`<name>@<commit>/<config>:<hash of how it is read>`: a commit on the hub never changes."""
        hub = task.reading.hub
        return f"{hub.name}@{_commit(hub)}/{hub.config or 'default'}:{_hash_of(task, {})}"

    def load(self, task: Task) -> DatasetDict:
        return _load(self, task)

    def tables(self, task: Task) -> dict[str, Table]:
        hub, loaded = task.reading.hub, _download(task.reading.hub)
        found = {}
        for split in task.splits:
            if split in loaded:
                rows = _strings(loaded[split], _columns(task, split), task.reading, f"{hub.name} ({split})")
                found[split] = Table(rows, f"{hub.name} ({split})", lambda row, s=split: f"{hub.name} ({s}) row {row}")
            elif split in task.labelled_splits and not getattr(task.reading.division, split, 0):
                raise UserError(
                    f"task.hub.name={hub.name} has no split {split!r}, only {', '.join(loaded)}; "
                    f"task.split.{split}=0.1 takes it from the training rows"
                )
        return found


OWN_SOURCES = (TaskFiles, TaskHub)


@lru_cache(maxsize=2)  # the tables of one task at a time stay in memory
def rows_of_task(source: OwnSource, task: Task) -> OwnRows:
    """The rows of a task that brings its own; `UserError` for what no run could use."""
    return own_rows(source.tables(task), task)


def _load(source: OwnSource, task: Task) -> DatasetDict:
    """The data sets of a task; a number of rows other than the expected one is a warning."""
    own, expected = rows_of_task(source, task), task.reading.expected_rows
    rows = sum(map(len, own.splits.values()))
    if expected not in (None, rows):
        log.warning("task %s: %s rows, and the complete data has %s", task.name, f"{rows:,}", f"{expected:,}")
    return to_datasets(own, task)


@cache
def reading_summary(source: Source, task: Task) -> dict[str, Any]:
    """What a record says about how a task's own rows were read; empty for other rows."""
    if not isinstance(source, OWN_SOURCES):
        return {}
    return rows_of_task(source, task).summary(task.columns)


def _columns(task: Task, split: str) -> tuple[str, ...]:
    has_label = split == WHOLE or split in task.labelled_splits
    return (*task.text, task.reading.label) if has_label else task.text


def _wanted_files(task: Task) -> list[tuple[str, str]]:
    """The files of the task's splits; a labelled test set that nothing reads may be missing."""
    files = task.reading.files
    return list(files) if task.reading.is_whole else [(split, path) for split, path in files if split in task.splits]


def _hash_of(task: Task, files: Mapping[str, str]) -> str:
    what = [task.kind.name, task.kind.labels, task.text, task.reading.content_settings(), files]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _parsing(reading: Reading) -> Reading:
    """Of a reading, what decides how a file is parsed, so that tasks that share a file read it once."""
    names = ("format", "delimiter", "quoting", "header", "encoding", "missing")
    return Reading(**{name: getattr(reading, name) for name in names})


@lru_cache(maxsize=3)  # the files of one task
def _cached_table(path: Path, _content: str, reading: Reading, columns: tuple[str, ...]) -> pd.DataFrame:
    return read_table(path, reading, columns)


def _line(path: Path, reading: Reading, row: int) -> str:
    line = line_of(path, reading, row)
    return f"{path} row {row}" if line is None else f"{path} line {line}"


@cache
def _commit(hub: HubSet) -> str:
    """The commit of a data set: `revision`, if it is in the cache or on the hub, or the newest one."""
    where = f"task.hub.name={hub.name}"
    if hub.revision is not None and not re.fullmatch("[0-9a-f]{40}", hub.revision):
        raise UserError(f"task.hub.revision={hub.revision} is not a full commit hash; give all 40 hexadecimal digits")
    if hub.revision is not None and from_cache(hub.name, hub.config or "default", hub.revision) is not None:
        return hub.revision
    if datasets.config.HF_HUB_OFFLINE:
        which = f"@{hub.revision} is not in the cache" if hub.revision else " has no task.hub.revision"
        raise UserError(f"{where}{which} and HF_HUB_OFFLINE is set; unset it, or give a commit that was loaded before")
    seconds = constants.HF_HUB_ETAG_TIMEOUT
    try:
        return within(seconds, lambda: HfApi().dataset_info(hub.name, revision=hub.revision, timeout=seconds).sha)
    except RepositoryNotFoundError:
        raise UserError(f"{where}: the hub has no such data set, or not for you (HF_TOKEN)") from None
    except Exception as error:  # errors of several libraries share no base class
        raise UserError(f"{where} cannot be loaded: {reason_of(error)}") from None


def _download(hub: HubSet) -> DatasetDict:
    commit = _commit(hub)
    if (kept := from_cache(hub.name, hub.config or "default", commit)) is not None:
        return kept
    try:
        return within(DOWNLOAD_SECONDS, lambda: datasets.load_dataset(hub.name, hub.config, revision=commit))
    except Exception as error:  # errors of half a dozen libraries share no base class
        raise UserError(f"task.hub.name={hub.name} cannot be loaded: {reason_of(error)}") from None


def _strings(rows: Dataset, columns: tuple[str, ...], reading: Reading, where: str) -> pd.DataFrame:
    """Columns as strings, with the names of class labels; the label -1 of unlabelled rows is missing."""
    for column in columns:
        if column not in rows.column_names:
            raise UserError(f"{where} has no column {column!r}; its columns are {', '.join(rows.column_names)}")
    values = {}
    for number, column in enumerate(columns):
        values[number] = pd.Series(rows[column][:], dtype=object)
        feature = rows.features[column]
        if isinstance(feature, ClassLabel):
            values[number] = values[number].map(lambda item, names=feature.names: names[item] if item >= 0 else None)
    return as_strings(pd.DataFrame(values), reading)
