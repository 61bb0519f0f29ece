"""Rows for prediction: formats, column names, and one clear line for what is wrong."""

import json

import pytest

from harness.data.row_files import format_of, read_rows
from harness.errors import UserError
from harness.tasks.glue import TASKS


def test_every_format_gives_the_same_rows():
    expected = [("mrpc", ("A 'b'.", 'C "d".')), ("mrpc", ("e", "f, g"))]
    texts = {
        "lines": "A 'b'.\tC \"d\".\ne\tf, g\n",
        "tsv": "sentence1\tsentence2\nA 'b'.\tC \"d\".\ne\tf, g\n",
        "csv": 'sentence1,sentence2\nA \'b\'.,"C ""d""."\ne,"f, g"\n',
        "jsonl": "".join(
            json.dumps(dict(zip(("sentence1", "sentence2"), row, strict=True))) + "\n" for _, row in expected
        ),
    }
    for kind, text in texts.items():
        assert read_rows(text, kind, TASKS, ["mrpc"], where="here") == expected
        assert read_rows(text.replace("\n", "\r\n"), kind, TASKS, ["mrpc"], where="here") == expected


@pytest.mark.parametrize(
    ("task", "header"),
    [("mrpc", "index\t#1 String\t#2 String"), ("qnli", "id\tquestion\tsentence"), ("mnli", "x\tpremise\thypothesis")],
)
def test_the_benchmarks_own_column_names_are_known(task, header):
    assert read_rows(f"{header}\n7\tone\ttwo\n", "tsv", TASKS, [task], where="here") == [(task, ("one", "two"))]


def test_rows_may_name_their_tasks_or_be_for_all_of_them():
    mixed = '{"task": "cola", "sentence": "a"}\n{"task": "rte", "sentence1": "b", "sentence2": "c"}\n'
    assert read_rows(mixed, "jsonl", TASKS, [], where="here") == [("cola", ("a",)), ("rte", ("b", "c"))]
    assert read_rows("a\n", "lines", TASKS, ["cola", "sst2"], where="here") == [("cola", ("a",)), ("sst2", ("a",))]


@pytest.mark.parametrize(
    ("text", "kind", "tasks", "words"),
    [
        ("", "lines", ["cola"], "here is empty"),
        ("\n\n", "tsv", ["cola"], "here is empty"),
        ("sentence\n", "tsv", ["cola"], "a header but no rows"),
        ("a\nb\tc\n", "lines", ["cola"], "here line 2 has 2 columns; CoLA takes one sentence"),
        ("a\tb\nc\n", "lines", ["mrpc"], "here line 2 has 1 column; MRPC takes two sentences separated by a tab"),
        ("a\n\nb\n", "lines", ["cola"], "here line 2 has an empty sentence"),
        (
            "sentence1\tsentence2\na\tb\nc\n",
            "tsv",
            ["mrpc"],
            r"here line 3 has 1 column, expected 2 \(sentence1, sent",
        ),
        ("sentence1,sentence2\na,b,c\n", "csv", ["mrpc"], "here line 2 has 3 columns, expected 2"),
        ('sentence\n"a\n', "csv", ["cola"], "is not CSV"),
        ("text\na\n", "tsv", ["cola"], r"here line 2 has no column 'sentence1' \(or sentence"),
        ("[1]\n", "jsonl", ["cola"], "here line 1 is not a JSON object"),
        ("{\n", "jsonl", ["cola"], "here line 1 is not JSON"),
        ('{"sentence": 3}\n', "jsonl", ["cola"], "here line 1 has an empty sentence"),
        ('{"sentence": "a"}\n', "jsonl", [], "here line 1 names no task; give --task"),
        ('{"sentence": "a", "task": "rte"}\n', "jsonl", ["cola"], "is for the task 'rte', but --task names only cola"),
        ('{"sentence": "a", "task": "glue"}\n', "jsonl", [], "here line 1 is for the task 'glue'; choose one of cola"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(text, kind, tasks, words):
    with pytest.raises(UserError, match=words) as caught:
        read_rows(text, kind, TASKS, tasks, where="here")
    assert "\n" not in str(caught.value)


def test_the_format_follows_the_suffix(tmp_path):
    assert [format_of(tmp_path / f"a{s}", "auto") for s in (".txt", ".tsv", ".CSV", ".jsonl")] == [
        "lines",
        "tsv",
        "csv",
        "jsonl",
    ]
    assert format_of(None, "auto") == "lines"
    assert format_of(tmp_path / "a.txt", "csv") == "csv"
    with pytest.raises(UserError, match="give --format"):
        format_of(tmp_path / "a.xlsx", "auto")
