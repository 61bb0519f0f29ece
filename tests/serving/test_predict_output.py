"""What `predict` writes: one column per label in tables, an object per row in JSON lines."""

import csv
import io
import json

import pytest

from harness.commands.predict import render
from harness.serving.predictor import Prediction

COLA = Prediction("cola", "acceptable", {"unacceptable": 0.25, "acceptable": 0.75})
MNLI = Prediction("mnli", "neutral", {"entailment": 0.2, "neutral": 0.7, "contradiction": 0.1})
RTE = Prediction("rte", "entailment", {"entailment": 0.99996, "not_entailment": 0.00004})
STSB = Prediction("stsb", 3.14159, {})


def table(text, delimiter="\t"):
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def test_a_table_has_one_column_per_label():
    assert table(render([COLA, COLA], "tsv")) == [
        ["index", "task", "prediction", "p_unacceptable", "p_acceptable"],
        ["0", "cola", "acceptable", "0.2500", "0.7500"],
        ["1", "cola", "acceptable", "0.2500", "0.7500"],
    ]


def test_rows_of_several_tasks_share_columns_and_leave_those_of_others_empty():
    header, *rows = table(render([MNLI, RTE, STSB], "csv"), ",")
    assert header[3:] == ["p_entailment", "p_neutral", "p_contradiction", "p_not_entailment"]
    assert [row[1:] for row in rows] == [
        ["mnli", "neutral", "0.2000", "0.7000", "0.1000", ""],
        ["rte", "entailment", "1.0000", "", "", "0.0000"],
        ["stsb", "3.1416", "", "", "", ""],
    ]


def test_scores_alone_have_no_columns_of_probabilities():
    assert render([STSB], "tsv") == "index\ttask\tprediction\n0\tstsb\t3.1416\n"


@pytest.mark.parametrize(("kind", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_labels_with_separators_and_quotes_survive_a_csv_reader(kind, delimiter):
    labels = ["a,b", 'say "no"', "tab\there", "line\nbreak", "größer"]
    one = Prediction("odd", labels[0], dict.fromkeys(labels, 0.2))
    header, row = table(render([one], kind), delimiter)
    assert header[3:] == [f"p_{label}" for label in labels]
    assert row == ["0", "odd", "a,b", *["0.2000"] * 5]


def test_json_lines_keep_every_digit_and_name_each_label():
    lines = [json.loads(line) for line in render([RTE, STSB], "jsonl").splitlines()]
    assert lines == [
        {"index": 0, "task": "rte", "prediction": "entailment", "probabilities": RTE.probabilities},
        {"index": 1, "task": "stsb", "prediction": 3.14159, "probabilities": {}},
    ]
