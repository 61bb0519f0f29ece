"""Tasks that are a few lines of YAML and a table: run, resumed, reported, banked, checked and predicted."""

import json

import numpy as np
import pandas as pd
import pytest

from harness.commands import bank, predict, report, run
from harness.records.predictions import read_gold
from tests.fixtures.commands import FAST, assert_one_line_error, records, train
from tests.fixtures.further_tasks import csv_text, write_further_task
from tests.fixtures.tiny import WORDS

REVIEWS = """
name: reviews
title: Reviews
kind: classification
file: reviews.csv
text: [title, body]
label: stars
labels: {"1": bad, "2": bad, "3": fair, "4": good, "5": good}
unknown_labels: drop
metrics: [macro_f1, accuracy, matthews_correlation]
missing: [n/a]
"""
AGES = """
name: ages
title: Ages
kind: regression
files: {train: train.jsonl, validation: dev.jsonl, test: test.jsonl}
text: [line]
label: age
"""


def write_data(folder):
    (folder / "reviews").mkdir(parents=True)
    stars = [str(1 + row % 6) for row in range(300)]  # 6 is no label
    rows = [[WORDS[row % 100], "n/a" if row == 0 else WORDS[row // 5], star] for row, star in enumerate(stars)]
    (folder / "reviews/reviews.csv").write_text(csv_text(["title", "body", "stars"], rows), encoding="utf-8")
    (folder / "ages").mkdir()
    for name, count in (("train", 60), ("dev", 30), ("test", 30)):
        frame = pd.DataFrame({"line": WORDS[:count], "age": np.arange(count) / 2})
        frame.to_json(folder / f"ages/{name}.jsonl", orient="records", lines=True)
    return folder


def write_tasks(folder):
    (folder / "task").mkdir(parents=True)
    for name, text in (("reviews", REVIEWS), ("ages", AGES)):
        (folder / f"task/{name}.yaml").write_text(text, encoding="utf-8")
    return folder


COMMAND = ("task=reviews,ages", "protocol=test", "train.seed=0,1", "train.epochs=1", "train.save=best",
           "data.max_train_rows=32")  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("own")
    data, tasks = write_data(folder / "data"), write_tasks(folder / "conf")
    train(folder, tiny_model, data, *COMMAND, f"--config-dir={tasks}")
    return folder


def test_records_say_what_was_read_and_which_split_selects(results):
    found = [record for record in records(results).values() if record["config"]["task"]["name"] == "reviews"]
    assert len(found) == 2
    for record in found:
        assert record["protocol"] == {"chooses_on": "validation", "reports_on": ["test"]}
        assert record["scores"].keys() == {"validation", "test"}
        assert record["scores"]["test"].keys() == {"macro_f1", "accuracy", "matthews_correlation"}
        assert record["data"]["rows"] == {"train": 32, "validation": 25, "test": 25}
        assert record["data"]["available"]["train"] == 199
        assert record["data"]["reading"]["dropped"] == {"no text": 1, "label '6'": 50}
        assert record["data"]["reading"]["read"] == {"rows": 300}
        assert len(record["training"]["stack"]) == 2
        assert str(results) not in json.dumps(record["config"])
        gold = read_gold(results, record["predictions"]["gold"])
        assert np.bincount(gold["test"]).tolist() == [10, 5, 10]  # bad, fair, good


def test_the_same_rows_elsewhere_are_the_same_runs(results, tiny_model, tmp_path):
    """Another folder, other file names and another title name the same rows: nothing is trained again."""
    elsewhere = tmp_path / "elsewhere"
    write_data(elsewhere)
    (elsewhere / "reviews/reviews.csv").rename(elsewhere / "mine.csv")
    renamed = ["task=reviews", "task.file=mine.csv", f"task.folder={tmp_path}"]
    before = records(results)
    train(results, tiny_model, elsewhere, *COMMAND[1:], *renamed, f"--config-dir={results / 'conf'}")
    assert records(results) == before  # times included


def test_the_report_shows_the_test_split(results, tmp_path, capsys):
    assert report.main([str(results), "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    scores = pd.read_csv(tmp_path / "tables/glue.csv")
    assert {"Reviews", "Reviews low", "Ages", "Ages high"} <= set(scores.columns)
    points = [100 * record["scores"]["test"]["macro_f1"] for record in records(results).values()
              if record["config"]["task"]["name"] == "reviews"]  # fmt: skip
    assert scores["Reviews"].dropna().iloc[-1] == pytest.approx(np.mean(points))
    notes = (tmp_path / "tables/NOTES.md").read_text(encoding="utf-8")
    assert "Protocol test: the selection split is the validation set; the test set is reported" in notes
    assert "Selection score" in (tmp_path / "tables/sweep.md").read_text(encoding="utf-8")


def test_gold_labels_and_a_bank_are_checked_against_the_files(results, tiny_model, tmp_path, capsys):
    data = ["--data", "local", "--data-path", str(results / "data")]
    for file in (results / "gold").iterdir():
        file.rename(tmp_path / file.name)
    assert report.main([str(results), "--out", str(tmp_path / "report"), *data]) == 0
    assert {file.name for file in (results / "gold").iterdir()} == {file.name for file in tmp_path.glob("*.npz")}
    folder = tmp_path / "bank"
    assert bank.main(["add", str(results), "--bank", str(folder), "--model", str(tiny_model)]) == 0
    capsys.readouterr()
    assert bank.main(["check", str(folder), "--model", str(tiny_model), *data]) == 0, capsys.readouterr().out
    assert "Reviews: ok, 0 of 25" in capsys.readouterr().out
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"task": "reviews", "title": "a1", "body": "b2"}\n', encoding="utf-8")
    given = ["--bank", str(folder), "--model", str(tiny_model), "--input", str(rows), "--device", "cpu"]
    assert predict.main([*given, "--output", str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["prediction"] in ("bad", "fair", "good")


def test_a_task_on_the_command_line(tmp_path, tiny_model):
    write_further_task(tmp_path, "sms_spam", in_folder=False)
    train(
        tmp_path / "results", tiny_model, tmp_path, "task=custom", "task.name=spam", "task.file=SMSSpamCollection",
        "task.header=false", "task.text=[1]", "task.label=0", "train.epochs=1", "data.max_train_rows=8",
    )  # fmt: skip
    (record,) = records(tmp_path / "results").values()
    assert record["config"]["task"]["labels"] == ["ham", "spam"] and record["data"]["rows"]["train"] == 8


def csv_of(*rows, header=("text", "label")):
    return csv_text(header, rows)


MANY = [(WORDS[row], "ab"[row % 2]) for row in range(40)]
FILES = ["task.files={train: a.csv, validation: b.csv, test: c.csv}", "protocol=test"]


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"a.csv": csv_of(*MANY)}, ["task.label=kind"], ["no column 'kind'", "text, label"]),
        ({"a.csv": csv_of(*MANY).replace(",", ";")}, [], ["one column", "task.delimiter=semicolon"]),
        ({"a.csv": csv_of(*MANY, ("it\u2019s", "a")).encode("cp1252")}, [], ["not UTF-8", "task.encoding=cp1252"]),
        ({"a.csv": csv_of()}, [], ["has no rows"]),
        ({"a.csv": csv_of(*MANY, ("one", "c"))}, [], ["'c' has one row only", "task.min_label_rows=2"]),
        ({"a.csv": csv_of(*MANY), "b.csv": csv_of(*MANY), "c.csv": csv_of(("x", "z"))}, FILES,
         ["c.csv: label 'z' (1 rows)", "task.unknown_labels=drop"]),
        ({"a.csv": csv_of(*MANY), "b.csv": csv_of(), "c.csv": csv_of(*MANY)}, FILES, ["b.csv has no rows"]),
        ({"a.csv": csv_of(*[(word, "1.5") for word, _ in MANY], ("x", "tall"))}, ["task.kind=regression"],
         ["a.csv line 42: the label 'tall' is not a number"]),
        ({"a.csv": csv_of(*[("", label) for _, label in MANY])}, [], ["no row has a text", "'text'"]),
        ({}, [], ["a.csv is neither in", "data.path"]),
        ({}, ["task.file=null", "task.hub.name=no/such"], ["task.hub.name=no/such", "HF_HUB_OFFLINE"]),
        ({"a.csv": csv_of(*MANY)}, ["task.split.test=0", "protocol=test"], ["protocol=test needs a test split"]),
        ({"a.csv": csv_of(*MANY)}, ["task=mrpc", "protocol=test"], ["MRPC", "protocol=holdout"]),
        ({"a.csv": csv_of(*MANY)}, ["task.format=xls"], ["task.format=xls", "csv, tsv, jsonl, parquet"]),
        ({"a.csv": csv_of(*MANY)}, ["task.split.validation=1"], ["task.split.validation=1", "below 1"]),
        ({"a.csv": csv_of(*MANY)}, ["task.split.sed=1"], ["task.split.sed", "did you mean seed?"]),
        ({"a.csv": csv_of(*MANY)}, ["+task.split.sed=1"], ["task.split.sed", "did you mean seed?"]),
        ({"a.csv": csv_of(*MANY)}, ["task.split.seed=x"], ["task.split.seed=x", "a whole number at least 0"]),
        ({"a.csv": csv_of(*MANY)}, ["task.metrics=[spearman]"], ["spearman is not a metric for classification"]),
        ({"a.csv": csv_of(*MANY)}, ["task.labels=[a,b,c]"], ["'c' has no training row"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_before_any_training(tmp_path, tiny_model, capsys, monkeypatch, files, options, words):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    which = [] if any(option.startswith(("task.files", "task.hub")) for option in options) else ["task.file=a.csv"]
    named = [] if "task=mrpc" in options else ["task=custom", "task.name=mine", "task.text=[text]", "task.label=label"]
    named = [option for option in named if option.split("=")[0] not in {given.split("=")[0] for given in options}]
    which = [] if "task=mrpc" in options or "task.file=null" in options else which
    status = run.main([
        *FAST, "model=local", f"model.name={tiny_model}", f"data.path={tmp_path}", f"results_dir={tmp_path}/results",
        *named, *which, *options,
    ])  # fmt: skip
    assert status == 2
    assert_one_line_error(capsys, *words)
    assert not records(tmp_path / "results")
