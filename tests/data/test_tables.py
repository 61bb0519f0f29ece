"""Columns of tables in every format, and what is wrong with a file that cannot be read."""

import numpy as np
import pandas as pd
import pytest

from harness.data import tables
from harness.data.tables import line_of, read_table
from harness.errors import UserError
from harness.tasks.reading import Reading
from tests.fixtures.further_tasks import csv_text

HEADER = ["id", "text", "label"]
ROWS = [["1", 'a "quoted", word', "yes"], ["2", "two\nlines", "NA"], ["3", "", "no"], ["4", "last", "1"]]
EXPECTED = [('a "quoted", word', "yes"), ("two\nlines", "NA"), (None, "no"), ("last", "1")]


def write_csv(path, end="\n", encoding="utf-8", rows=ROWS, header=HEADER):
    path.write_bytes(csv_text(header, rows, end).encode(encoding))
    return path


def write(path):
    frame = pd.DataFrame(ROWS, columns=HEADER)
    if path.suffix == ".csv":
        write_csv(path)
    elif path.suffix == ".tsv":
        frame.to_csv(path, sep="\t", index=False)
    elif path.suffix == ".jsonl":
        frame.assign(label=["yes", "NA", "no", 1]).to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return path


def listed(rows):
    return [tuple(None if pd.isna(value) else value for value in row) for row in rows.itertuples(index=False)]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet", "rows"])
@pytest.mark.parametrize("chunk", [2, 50_000])
def test_every_format_gives_the_same_columns_whatever_the_size_of_a_chunk(tmp_path, monkeypatch, name, chunk):
    monkeypatch.setattr(tables, "CHUNK_ROWS", chunk)
    reading = Reading(quoting="minimal" if name == "rows.tsv" else None)
    path = write(tmp_path / name) if "." in name else write_csv(tmp_path / name)
    rows = read_table(path, reading, ["text", "label"])
    assert listed(rows) == EXPECTED
    assert list(rows.columns) == [0, 1] and rows.index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end(tmp_path, end):
    assert listed(read_table(write_csv(tmp_path / "rows.csv", end), Reading(), ["text", "label"])) == EXPECTED


def test_only_named_values_are_missing(tmp_path):
    path = write_csv(tmp_path / "rows.csv")
    assert read_table(path, Reading(missing=("NA", "1")), ["label"])[0].isna().tolist() == [False, True, False, True]


def test_tabs_without_quoting_are_found_in_a_file_without_a_suffix(tmp_path):
    path = tmp_path / "Collection"
    path.write_text('ham\tan "open quote\nspam\tand "another" one', encoding="utf-8")
    rows = read_table(path, Reading(header=False), ["1", "0"])
    assert listed(rows) == [('an "open quote', "ham"), ('and "another" one', "spam")]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = write_csv(tmp_path / "rows.csv", encoding="utf-8-sig", header=["text", "id", "label"])
    assert len(read_table(path, Reading(), ["text"])) == 4


def test_whole_numbers_stay_whole_where_some_are_missing(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"text": ["a", "b", "c"], "label": [1.0, np.nan, 2.5]}).to_parquet(path)
    assert listed(read_table(path, Reading(), ["label"])) == [("1",), (None,), ("2.5",)]


def test_the_line_of_a_row_counts_line_breaks_in_fields(tmp_path):
    path = write_csv(tmp_path / "rows.csv")
    assert [line_of(path, Reading(), row) for row in range(4)] == [2, 4, 5, 6]
    lines = write(tmp_path / "rows.jsonl")
    assert line_of(lines, Reading(), 2) == 3


def bad_json(path):
    path.with_suffix(".jsonl").write_text('{"text": "a", "label": 1}\nno json\n', encoding="utf-8")
    return path.with_suffix(".jsonl")


def text(content):
    def make(path):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (text("id,body,label\n1,a,b\n"), {}, ["no column 'text'", "its columns are id, body, label"]),
        (text("text;label\na;b,c\n"), {}, ["one column", "'text;label'", "task.delimiter=semicolon"]),
        (text("text\tlabel\na\tb,c,d\n"), {}, ["one column", "task.delimiter=tab"]),
        (text("a,b\nc,d\n"), {"header": False}, ["has no column text; its 2 columns are numbered from 0"]),
        (text("text,label\na,b\nc,d,e\n"), {}, ["is not CSV", "Expected 2 fields in line 3, saw 3"]),
        (text("text,label\na,b,c\nd,e,f\n"), {}, ["more fields than the header"]),
        (text('text,label\n"a,b\n'), {}, ["is not CSV", "task.quoting=none"]),
        (text("text,label\ndon\u2019t,b\n".encode("cp1252")), {}, ["is not UTF-8", "0x92", "task.encoding=cp1252"]),
        (text(b"text,label\n\x9d,b\n"), {}, ["is not UTF-8", "task.encoding=mac_roman"]),
        (text(b"text,label\n\x9d,b\n"), {"encoding": "cp1252"}, ["is not CP1252", "task.encoding=mac_roman"]),
        (text("text,label\na,b\n".encode("utf-16")), {}, ["is not UTF-8", "task.encoding=utf-16"]),
        (text(""), {}, ["is empty"]),
        (text("text,label\n"), {}, ["has no rows"]),
        (text("text,label\n"), {"format": "parquet"}, ["is not PARQUET"]),
        (bad_json, {}, ["is not JSONL"]),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_with_the_remedy(tmp_path, make, options, words):
    path = make(tmp_path / "rows.csv")
    with pytest.raises(UserError) as caught:
        read_table(path, Reading(**options), ["text", "label"])
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    for word in words:
        assert word in message


def test_a_file_that_vanished_while_it_was_wanted(tmp_path):
    with pytest.raises(UserError, match=r"rows.csv cannot be read \(No such file"):
        read_table(tmp_path / "rows.csv", Reading(), ["text"])
