"""GLUE from a folder in the official layout: `<folder>/CoLA/train.tsv`, `<folder>/MNLI/dev_matched.tsv`, ...

The files are tab-separated with quoting off: a double quote is a character like any other. They are read line by line
here, because a CSV parser that honours quotes, or takes "\\r" for a line end, would merge or split rows.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from datasets import Dataset, DatasetDict

from harness.data.columns import features
from harness.data.content import hash_file
from harness.data.sources.source import Settings
from harness.errors import UserError
from harness.tasks.glue import GLUE_FILES, TASKS, GlueFiles
from harness.tasks.task import Task

log = logging.getLogger(__name__)

COLA_COLUMNS = 4  # source, label, original mark, sentence: CoLA's train and dev files have no header
INDEX_COLUMNS = ("index", "id")  # the row numbers of test files; "id" in QQP

# In a few records of the official QQP train and dev files, a line break inside a question tore the line in two. The
# hub's copy omits them (363,846 and 40,430 rows are left), and so does this one. A file with more of them is damaged.
TORN_LINES = {"qqp": 100}

Line = tuple[int, list[str]]  # line number from 1, fields


@dataclass(frozen=True)
class _Layout:
    """Which field of a line holds what. Test files have no "label"; files without row numbers have no "idx"."""

    positions: dict[str, int]  # column of this project -> index of the field
    width: int  # fields per line
    has_header: bool


@dataclass(frozen=True)
class GlueFolder:
    """GLUE in a folder (`data.path`, or GLUE_DIR) with the official layout."""

    path: str
    why: str
    name: ClassVar[str] = "local"
    is_glue: ClassVar[bool] = True

    @classmethod
    def make(cls, settings: Settings) -> GlueFolder:
        if settings.path:
            return _open(settings.path, "data.path", f"data=local data.path={settings.path}")
        if glue_dir := settings.environ.get("GLUE_DIR"):
            return _open(glue_dir, "GLUE_DIR", f"data=local and GLUE_DIR={glue_dir}")
        raise UserError("data=local needs data.path=/folder/of/GLUE (the folder that holds CoLA/, MRPC/, ...)")

    def check(self, task: Task) -> None:
        """Check that the task's files exist and, by their first lines, that they hold its columns.

        Raises `UserError` that names the file and what it lacks.
        """
        for split, path in _files(task, self.path).items():
            _layout(task, split, path)

    def fingerprint(self, task: Task) -> str:
        """`sha256:<hash of the names and bytes of the task's files>`; a file is read again only if it has changed."""
        digest = hashlib.sha256()
        for path in _files(task, self.path).values():
            digest.update(f"{path.name} {hash_file(path)}\n".encode())
        return f"sha256:{digest.hexdigest()}"

    def load(self, task: Task) -> DatasetDict:
        """All splits. Raises `UserError` that names the file, the line and the wrong value."""
        return DatasetDict({split: _read(task, split, path) for split, path in _files(task, self.path).items()})


def cola_sources(folder: GlueFolder) -> dict[str, list[str]]:
    """The publication that each labelled sentence of CoLA is from, by split and in the order of `folder.load`.

    It is the first column of the official files (Warstadt et al. 2019), which the hub's copy does not have.
    Raises `UserError` as `load` does, and for a line without a source.
    """
    task = TASKS["cola"]
    files = {split: path for split, path in _files(task, folder.path).items() if split not in task.test_sets}
    return {
        split: [_source(path, *line) for line in _rows(task, split, path, _layout(task, split, path))]
        for split, path in files.items()
    }


def _source(path: Path, number: int, fields: list[str]) -> str:
    if not fields[0].strip():
        raise UserError(f"{path} line {number} names no source in its first field; give CoLA's official file")
    return fields[0]


def _open(path: str, setting: str, why: str) -> GlueFolder:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"{setting}={path} is not a folder; give the folder of GLUE (the one that holds CoLA/, MRPC/, ...)"
        )
    return GlueFolder(str(folder.absolute()), why)


def _files_of(task: Task) -> GlueFiles:
    try:
        return GLUE_FILES[task.name]
    except KeyError:
        raise UserError(f"task={task.name} is not a GLUE task, and data=local reads GLUE only") from None


def _files(task: Task, folder: str) -> dict[str, Path]:
    """The file of each split. Only test files may be missing."""
    official = _files_of(task)
    directory = Path(folder) / official.folder
    paths = {split: directory / f"{stem}.tsv" for split, stem in official.files.items()}
    for split, path in paths.items():
        if split not in task.test_sets and not path.is_file():
            raise UserError(
                f"{path} is missing: {task.title} needs it; data.path (or GLUE_DIR) must be the folder of GLUE "
                f"that holds {official.folder}/{path.name}"
            )
    return {split: path for split, path in paths.items() if path.is_file()}


def _lines(path: Path) -> Iterator[Line]:
    """A file's lines. They end with "\\n" or "\\r\\n"; a lone "\\r" is part of a field. Blank lines are skipped."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                # MRPC's files may start with a byte order mark, as their Microsoft originals do.
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError as error:
                raise UserError(f"{path} line {number} is not UTF-8 ({error.reason}); download it again") from None
            if text:
                yield number, text.split("\t")


def _layout(task: Task, split: str, path: Path) -> _Layout:
    official, is_test = _files_of(task), split in task.test_sets
    _, first = next(_lines(path), (0, None))
    if first is None:
        raise UserError(f"{path} is empty; download it again")
    if not is_test and not official.has_header:
        if len(first) != COLA_COLUMNS:
            raise UserError(f"{path} line 1 has {len(first)} fields, expected {COLA_COLUMNS} (this file has no header)")
        texts = zip(task.columns, official.text, strict=True)
        return _Layout({**dict(texts), "label": official.label}, COLA_COLUMNS, has_header=False)
    names = dict(zip(task.columns, official.test_text if is_test else official.text, strict=True))
    if not is_test:
        names["label"] = official.label
    for name in names.values():
        if name not in first:
            raise UserError(f"{path} has no column {name!r}; its header is {_shown(', '.join(first), limit=200)}")
    index = [name for name in INDEX_COLUMNS if name in first]
    if is_test and index:
        names["idx"] = index[0]
    return _Layout({column: first.index(name) for column, name in names.items()}, len(first), has_header=True)


def _read(task: Task, split: str, path: Path) -> Dataset:
    layout = _layout(task, split, path)
    parse = {"label": task.kind.parse, "idx": _index}
    columns: dict[str, list[Any]] = {column: [] for column in layout.positions}
    for number, fields in _rows(task, split, path, layout):
        for column, position in layout.positions.items():
            text = fields[position]
            try:
                columns[column].append(parse[column](text) if column in parse else text)
            except ValueError as error:
                raise UserError(f"{path} line {number} has the {column} {_shown(text)}; allowed are {error}") from None
    rows = len(columns["sentence1"])
    if not rows:
        raise UserError(f"{path} has a header but no rows; download it again")
    columns.setdefault("label", [task.kind.unlabelled] * rows)  # -1, as on the hub
    columns.setdefault("idx", list(range(rows)))
    schema = features(task)
    return Dataset.from_dict({column: columns[column] for column in schema}, features=schema)


def _rows(task: Task, split: str, path: Path, layout: _Layout) -> Iterator[Line]:
    """The lines below the header, all with `layout.width` fields."""
    torn: list[int] = []
    allowed = 0 if split in task.test_sets else TORN_LINES.get(task.name, 0)
    lines = _lines(path)
    if layout.has_header:
        next(lines)
    for number, fields in lines:
        if len(fields) == layout.width:
            yield number, fields
            continue
        torn.append(number)
        if len(torn) > allowed:
            raise UserError(
                f"{path} line {number} has {len(fields)} fields, expected {layout.width}; "
                "fields are separated by tabs and hold no tab or line break"
            )
    if torn:
        log.warning("%s: omitted %d torn lines (the first is line %d), as the hub does", path, len(torn), torn[0])


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**31):
        raise ValueError("whole numbers from 0 to 2147483647")
    return int(text)


def _shown(text: str, limit: int = 60) -> str:
    """`text` on one line, cut to a length that fits in a message."""
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
