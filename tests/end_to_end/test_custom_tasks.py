"""Tasks that the package does not know, all the way: run, record, report, bank, check and predict."""

import json

import numpy as np
import pandas as pd
import pytest

from harness.commands import bank, predict, report
from harness.data.sources import SOURCES
from harness.records.predictions import read_gold, read_predictions
from harness.records.record import task_of
from harness.tasks.glue import TASKS
from tests.fixtures.commands import records, train
from tests.fixtures.listed_source import LABELS, ROWS, TASK_FILES, Listed, write_task_files


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_model):
    """Two runs of each task, in stacks of two."""
    folder = tmp_path_factory.mktemp("custom")
    tasks = write_task_files(folder / "conf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, Listed.name, Listed)
        train(
            folder, tiny_model, folder, "task=topics,ages", "data.source=listed",
            "train.seed=0,1", "train.learning_rate=1e-2", "train.epochs=1", "protocol.predict_test=true",
            "train.save=best", f"--config-dir={tasks}",
        )  # fmt: skip
    return folder


def test_neither_task_is_known_to_the_package():
    assert not TASK_FILES.keys() & TASKS.keys() and "listed" not in SOURCES


def test_records_carry_their_task(results):
    found = records(results)
    assert sorted(record["config"]["task"]["name"] for record in found.values()) == ["ages", "ages", "topics", "topics"]
    for record in found.values():
        task = task_of(record)
        assert record["status"] == "completed"
        assert record["data"]["is_glue"] is False
        assert len(record["training"]["stack"]) == 2
        assert record["scores"]["validation"].keys() == set(task.metrics)
        groups = record["parameters"]["groups"]
        assert groups["head"]["total"] == (LABELS if task.name == "topics" else 1) * 33


def test_three_hundred_classes_are_stored_whole(results):
    topics = next(record for record in records(results).values() if record["config"]["task"]["name"] == "topics")
    gold = read_gold(results, topics["predictions"]["gold"])["validation"]
    assert gold.tolist() == [row % LABELS for row in range(ROWS["validation"])]
    predicted = read_predictions(results, topics["run_id"])
    assert predicted["validation"].min() >= 0 and len(predicted["test"]) == ROWS["test"]
    accuracy = np.mean(predicted["validation"] == gold)
    assert topics["scores"]["validation"]["accuracy"] == pytest.approx(accuracy)


def test_the_report_shows_them_with_intervals(results, tmp_path, capsys):
    assert report.main([str(results), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "own data (listed)" in printed and "NOT GLUE" not in printed and "official validation" not in printed
    scores = pd.read_csv(tmp_path / "tables/glue.csv")
    assert {"Ages", "Topics", "Topics low", "Topics high"} <= set(scores.columns)
    text = (tmp_path / "tables/NOTES.md").read_text(encoding="utf-8")
    assert "Topics macro-F1" in text and "Ages Spearman" in text


def test_a_bank_predicts_both(results, tiny_model, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "bank"
    assert bank.main(["add", str(results), "--bank", str(folder), "--model", str(tiny_model)]) == 0
    assert bank.main(["list", str(folder)]) == 0
    assert "Topics" in (listed := capsys.readouterr().out) and "Ages" in listed
    monkeypatch.setitem(SOURCES, Listed.name, Listed)
    checked = ["check", str(folder), "--model", str(tiny_model), "--data", "listed"]
    assert bank.main(checked) == 0, capsys.readouterr().out
    assert f"Topics: ok, 0 of {ROWS['validation']}" in capsys.readouterr().out
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"task": "topics", "headline": "a1 a0", "body": "a1 a0"}\n{"task": "ages", "sentence": "b2 a0"}\n',
        encoding="utf-8",
    )
    out = tmp_path / "out.jsonl"
    given = ["--bank", str(folder), "--model", str(tiny_model), "--input", str(rows), "--output", str(out)]
    assert predict.main([*given, "--device", "cpu"]) == 0
    topic, age = (json.loads(line) for line in out.read_text().splitlines())
    assert topic["prediction"] in topic["probabilities"] and len(topic["probabilities"]) == LABELS
    assert sum(topic["probabilities"].values()) == pytest.approx(1)
    assert isinstance(age["prediction"], float) and age["probabilities"] == {}
