"""Columns of a table in a file: CSV, TSV, JSON lines or Parquet, read by pandas in chunks, as strings."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from harness.errors import UserError
from harness.tasks.reading import DELIMITERS, Reading

CHUNK_ROWS = 50_000  # rows of all columns that are in memory at once; of 1.2 kB each, 0.3 GB with pandas' copies
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
# Encodings that are tried on a file that is not what it should be. cp1252 lacks five bytes, the others refuse none.
_GUESSES = ("utf-8", "cp1252", "mac_roman")
_LINE = 4096  # bytes of a first line that are looked at


def read_table(path: Path, reading: Reading, columns: Sequence[str]) -> pd.DataFrame:
    """These columns of a file as strings, named 0, 1, …; missing values are NaN and the index numbers the rows from 0.

    A column may be wanted twice. Raises `UserError` that names the file, what is wrong with it and the option that
    would read it.
    """
    kind = reading.format or _format(path)
    try:
        chunks = _READERS[kind](path, reading, columns)
        parts = [chunk[list(columns)].set_axis(range(len(columns)), axis=1) for chunk in chunks]
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, reading, error) from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path} is empty") from None
    except pd.errors.ParserError as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        hint = "task.quoting=none reads quotes as characters" if "string" in reason else "check task.delimiter"
        raise UserError(f"{path} is not {kind.upper()}: {reason}; {hint}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # of JSON and Parquet
        raise UserError(f"{path} is not {kind.upper()}: {' '.join(str(error).split())}") from None
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=range(len(columns)))
    if rows.empty:
        raise UserError(f"{path} has no rows")
    return rows


def as_strings(rows: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Values of any type as they would stand in a text file: whole numbers without a fraction, missing ones as NaN."""
    missing = {"", *reading.missing}

    def shown(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if isinstance(value, str) else str(value)

    strings = rows.apply(lambda column: column.map(shown, na_action="ignore").astype(object))
    return strings.mask(strings.isin(missing) | strings.isna()).astype("str")


def line_of(path: Path, reading: Reading, row: int) -> int | None:
    """The line, from 1, on which a row of a text file ends; None for Parquet. For messages: the file is read again."""
    kind = reading.format or _format(path)
    if kind == "parquet":
        return None
    with path.open(encoding=_encoding(reading), newline="") as file:
        if kind == "jsonl":
            return next(line for line, text in _counted(enumerate(file, 1), lambda text: text.strip(), row))
        rows = csv.reader(file, **_dialect(kind, reading))
        numbered = ((rows.line_num, fields) for fields in rows)
        return next(line for line, _ in _counted(numbered, bool, row + reading.header))


def _counted(lines: Iterable[tuple[int, Any]], is_row: Any, skip: int) -> Iterator[tuple[int, Any]]:
    """The lines that are rows, without the first `skip` of them."""
    found = (item for item in lines if is_row(item[1]))
    return (item for number, item in enumerate(found) if number >= skip)


def _format(path: Path) -> str:
    """By the suffix; a file with another one is TSV if its first line has a tab, else CSV."""
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    return "tsv" if b"\t" in _first_line(path) else "csv"


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return (file.read(_LINE).replace(b"\r", b"\n").lstrip(b"\n").splitlines() or [b""])[0]


def _encoding(reading: Reading) -> str:
    return reading.encoding or "utf-8-sig"  # with or without a byte order mark


def _dialect(kind: str, reading: Reading) -> dict[str, Any]:
    """Delimiter and quoting. TSV has none unless it is asked for, as in GLUE's files and for `harness.predict`."""
    quoting = reading.quoting or ("none" if kind == "tsv" else "minimal")
    delimiter = reading.delimiter or ("\t" if kind == "tsv" else ",")
    return {
        "delimiter": DELIMITERS.get(delimiter, delimiter),
        "quoting": csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL,
    }


def _read_csv(path: Path, reading: Reading, columns: Sequence[str], kind: str = "csv") -> Iterator[pd.DataFrame]:
    options = _dialect(kind, reading) | {"header": 0 if reading.header else None, "encoding": _encoding(reading)}
    options |= {"dtype": str, "keep_default_na": False, "na_values": ["", *reading.missing]}
    first = pd.read_csv(path, nrows=0 if reading.header else 1, **options)
    _need_columns(columns, list(map(str, first.columns)), path, reading)
    with pd.read_csv(path, chunksize=CHUNK_ROWS, **options) as chunks:
        for chunk in chunks:
            if not isinstance(chunk.index, pd.RangeIndex):  # pandas takes the fields that have no header for an index
                raise UserError(
                    f"{path}: rows have more fields than the header; check task.delimiter, task.quoting and task.header"
                )
            yield chunk.rename(columns=str)


def _read_tsv(path: Path, reading: Reading, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    return _read_csv(path, reading, columns, "tsv")


def _read_jsonl(path: Path, reading: Reading, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    with pd.read_json(
        path, lines=True, dtype=False, convert_dates=False, encoding=_encoding(reading), chunksize=CHUNK_ROWS
    ) as chunks:
        for chunk in chunks:
            _need_columns(columns, list(chunk.columns), path, reading)
            yield as_strings(chunk[list(dict.fromkeys(columns))], reading)


def _read_parquet(path: Path, reading: Reading, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    file = pq.ParquetFile(path)
    _need_columns(columns, file.schema_arrow.names, path, reading)
    for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=list(dict.fromkeys(columns))):
        yield as_strings(batch.to_pandas(), reading)


_READERS = {"csv": _read_csv, "tsv": _read_tsv, "jsonl": _read_jsonl, "parquet": _read_parquet}


def _need_columns(columns: Sequence[str], found: Sequence[str], path: Path, reading: Reading) -> None:
    """`UserError` for the first wanted column that a file lacks."""
    missing = [column for column in columns if column not in found]
    if not missing:
        return
    text = _first_line(path).decode(_encoding(reading), errors="replace")
    others = [name for name, sign in DELIMITERS.items() if name not in ("\\t", "space") and sign in text]
    if len(found) == 1 and others:
        raise UserError(
            f"{path} has one column with this delimiter, {_cut(found[0])!r}; try task.delimiter={others[0]}"
        )
    if not reading.header:
        raise UserError(f"{path} has no column {missing[0]}; its {len(found)} columns are numbered from 0")
    raise UserError(f"{path} has no column {missing[0]!r}; its columns are {_cut(', '.join(map(str, found)), 400)}")


def _wrong_encoding(path: Path, reading: Reading, error: UnicodeDecodeError) -> UserError:
    """Names the first byte that the encoding refuses, and an encoding that takes the whole file."""
    data = path.read_bytes()
    guess = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else next(
        name for name in _GUESSES if name != reading.encoding and _decodes(data, name)
    )  # fmt: skip
    byte = error.object[error.start]
    return UserError(
        f"{path} is not {(reading.encoding or 'utf-8').upper()} (byte 0x{byte:02X}: {error.reason}); "
        f"task.encoding={guess} reads it"
    )


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _cut(text: Any, limit: int = 60) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
