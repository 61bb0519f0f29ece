"""Rows to predict, from a file, stdin or a program; all are checked before any is predicted."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.tasks.glue import GLUE_FILES
from harness.tasks.task import Task

FORMATS = ("lines", "tsv", "csv", "jsonl")
_SUFFIXES = {".txt": "lines", ".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
TASK = "task"  # the column that names the task of each row

Row = tuple[str, tuple[str, ...]]  # task, sentences


def format_of(path: Path | None, wanted: str) -> str:
    """The format of an input: `wanted`, or for `auto` by the file's suffix; stdin is lines."""
    if wanted != "auto":
        return wanted
    if path is None:
        return "lines"
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise UserError(f"{path}: the suffix {path.suffix!r} does not tell the format; give --format") from None


def read_rows(text: str, kind: str, known: Mapping[str, Task], wanted: Sequence[str], *, where: str) -> list[Row]:
    """The rows of an input with their tasks: the one in a row's column `task`, else each of `wanted`.

    `known` holds every task that a row may name, by name. `lines` has one sentence per line, or two separated by a tab
    for tasks of sentence pairs; `tsv` (no quoting) and `csv` have a header, `jsonl` one object per line. Columns are
    sentence1 and sentence2, the task's own names, or those of GLUE's files (sentence, question, premise, ...). Raises
    `UserError` that names `where`, the line and what is wrong with it.
    """
    if not text.strip():
        raise UserError(f"{where} is empty; give one row per line")
    rows = [
        row
        for line, fields in _records(text, kind, where)
        for row in _rows(fields, known, wanted, f"{where} line {line}")
    ]
    if not rows:
        raise UserError(f"{where} has a header but no rows")
    return rows


def check_rows(
    rows: Iterable[str | Sequence[str] | Mapping[str, str]], known: Mapping[str, Task], wanted: Sequence[str]
) -> list[Row]:
    """The rows of a program with their tasks, like those of `read_rows`: a sentence, several, or those by column."""
    found = []
    for number, row in enumerate(rows):
        fields = dict(row) if isinstance(row, Mapping) else [row] if isinstance(row, str) else list(row)
        found += _rows(fields, known, wanted, f"rows[{number}]")
    if not found:
        raise UserError("there are no rows to predict; give one or more")
    return found


def _records(text: str, kind: str, where: str) -> Iterator[tuple[int, dict[str, str] | list[str]]]:
    """Line numbers from 1 with their fields: by column name, or in order where columns have no names."""
    if kind == "lines":
        for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
            yield number, line.removesuffix("\r").split("\t")
    elif kind == "jsonl":
        for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise UserError(f"{where} line {number} is not JSON: {error}") from None
            if not isinstance(value, dict):
                raise UserError(f"{where} line {number} is not a JSON object")
            yield number, {str(key): item for key, item in value.items()}
    else:
        yield from _table(text, kind, where)


def _table(text: str, kind: str, where: str) -> Iterator[tuple[int, dict[str, str]]]:
    options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if kind == "tsv" else {"strict": True}
    reader = csv.reader(io.StringIO(text, newline=""), **options)
    header: list[str] | None = None
    try:
        for fields in reader:
            if header is None:
                header = fields
            elif fields:
                if len(fields) != len(header):
                    raise UserError(
                        f"{where} line {reader.line_num} has {_columns(len(fields))}, expected {len(header)} "
                        f"({', '.join(header)})"
                    )
                yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{where} line {reader.line_num} is not {kind.upper()}: {error}") from None


def _rows(
    fields: dict[str, str] | list[str], known: Mapping[str, Task], wanted: Sequence[str], place: str
) -> list[Row]:
    named = fields.get(TASK) if isinstance(fields, dict) else None
    if named is None and not wanted:
        raise UserError(f"{place} names no task; give --task, or a column {TASK!r}")
    if named is not None and wanted and named not in wanted:
        raise UserError(f"{place} is for the task {named!r}, but --task names only {', '.join(wanted)}")
    if named is not None and named not in known:
        raise UserError(f"{place} is for the task {named!r}; choose one of {', '.join(known)}")
    return [(name, _sentences(fields, known[name], place)) for name in ([named] if named is not None else wanted)]


def _column_names(task: Task) -> Iterator[tuple[str | int, ...]]:
    """All names that each text column may have: this project's, the task's own, and those in GLUE's files."""
    names = [task.columns, task.text]
    if task.name in GLUE_FILES:
        names += [GLUE_FILES[task.name].text, GLUE_FILES[task.name].test_text]
    return zip(*names, strict=True)


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _sentences(fields: dict[str, str] | list[str], task: Task, place: str) -> tuple[str, ...]:
    count = len(task.columns)
    if isinstance(fields, list):
        if len(fields) != count:
            needs = "two sentences separated by a tab" if count == 2 else "one sentence and no tab"
            raise UserError(f"{place} has {_columns(len(fields))}; {task.title} takes {needs}")
        found = fields
    else:
        found = []
        for column, *names in _column_names(task):
            present = [name for name in (column, *names) if name in fields]
            if not present:
                raise UserError(
                    f"{place} has no column {column!r} (or {', '.join(dict.fromkeys(map(str, names)))}), which "
                    f"{task.title} needs; it has {', '.join(fields)}"
                )
            found.append(fields[present[0]])
    for text in found:
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{place} has an empty sentence; {task.title} needs {count}")
    return tuple(found)
