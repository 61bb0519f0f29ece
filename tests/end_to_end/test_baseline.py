"""`method=tfidf`, all the way: run, record, predictions, report. No encoder is there."""

import json

import numpy as np
import pandas as pd
import pytest

from harness.commands import bank, report, submit
from harness.model import checkpoint
from harness.records.predictions import read_gold, read_predictions
from harness.records.record import task_of
from tests.fixtures.commands import records

GRID = ("method.inverse_penalty=[1,10]", "method.features=[word]")


@pytest.fixture
def no_encoder(monkeypatch):
    """Looking for a checkpoint, its tokenizer or its weights fails."""

    def refuse(*_, **__):
        raise AssertionError("the baseline has no encoder")

    monkeypatch.setattr("harness.sweeps.resolve.find_checkpoint", refuse)
    monkeypatch.setattr(checkpoint, "find_checkpoint", refuse)


@pytest.mark.parametrize(("task", "protocol"), [("mrpc", "paper"), ("stsb", "holdout"), ("mnli", "paper")])
def test_a_run_without_an_encoder(harness_run, tmp_path, no_encoder, task, protocol):
    """Classification, regression and two evaluation sets: scored, predicted and recorded like any other run."""
    limited = "data.max_train_rows=30"
    ended = harness_run(f"task={task}", "method=tfidf", f"protocol={protocol}", limited, *GRID, model=None)
    assert ended.status == 0, ended.err
    (record,) = records(tmp_path / "results").values()
    assert record["run_id"].rpartition("-")[0] == f"{task}-tfidf"
    assert record["config"]["model"] == record["config"]["train"] == {}
    assert "encoder" not in record and record["parameters"]["trained_fraction"] is None
    rows = record["data"]["rows"]
    assert rows["train"] == (30 if protocol == "paper" else 27)
    found = read_predictions(tmp_path / "results", record["run_id"])
    gold = read_gold(tmp_path / "results", record["predictions"]["gold"])
    assert found.keys() == gold.keys() == record["scores"].keys() == rows.keys() - {"train"}
    assert all(len(found[name]) == len(gold[name]) == rows[name] for name in found)
    tried = record["grid"]["tried"]
    assert [point["inverse_penalty"] for point in tried] == [1, 10]
    selected = record["scores"][record["protocol"]["chooses_on"]][task_of(record).headline]
    scores = [point["score"] for point in tried]
    assert selected == max((score for score in scores if score is not None), default=None)


def test_rates_and_seeds_are_one_run_next_to_those_of_adapters(harness_run, tmp_path):
    grid = ("task=mrpc", "method=adapter,tfidf", "train.learning_rate=1e-3,1e-4", "train.seed=0,1")
    ended = harness_run("--multirun", *grid)
    assert ended.status == 0, ended.err
    names = [record["config"]["method"]["name"] for record in records(tmp_path / "results").values()]
    assert sorted(names) == ["adapter"] * 4 + ["tfidf"]
    assert "3 combinations left out, the same run as another: tfidf ignores the options of model and train" in ended.out
    again = harness_run("--multirun", *grid)
    assert "0 runs to do" in again.out

    assert report.main([str(tmp_path / "results")]) == 0
    scores = pd.read_csv(tmp_path / "results/tables/glue.csv")
    assert scores["group"].nunique() == 1
    assert scores["row"].tolist()[:2] == ["Majority class", "TF-IDF"] and "Adapters (64)" in set(scores["row"])
    baseline = scores.set_index("row").loc["TF-IDF"]
    assert baseline["MRPC low"] <= baseline["MRPC"] <= baseline["MRPC high"]
    assert np.isnan(baseline["total_multiple"]) and np.isnan(baseline["trained_percent"])
    notes = (tmp_path / "results/tables/NOTES.md").read_text(encoding="utf-8")
    assert "TF-IDF: without an encoder" in notes
    assert "Seeds: n = 2 (seeds 0, 1)" in notes


def test_a_report_of_baselines_alone(harness_run, tmp_path, capsys):
    assert harness_run("task=mrpc", "method=tfidf", *GRID).status == 0
    assert report.main([str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "No encoder on GLUE" in printed and "| TF-IDF " in printed


def test_test_sets_are_predicted_for_a_submission(harness_run, tmp_path, capsys):
    assert harness_run("task=rte", "method=tfidf", "protocol=paper", *GRID).status == 0
    ended = harness_run("task=rte", "method=tfidf", "protocol=submit", *GRID)
    assert "1 run to do" in ended.out  # the same run, of which the test predictions are missing
    (run_id,) = records(tmp_path / "results")
    found = read_predictions(tmp_path / "results", run_id)
    assert len(found["test"]) == len(found["test.idx"]) > 0
    assert submit.main([str(tmp_path / "results"), "--data", "synthetic"]) == 0, capsys.readouterr().err
    manifest = json.loads((tmp_path / "results/submission.manifest.json").read_text())
    entry = next(entry for entry in manifest["files"].values() if entry["from"] == "run")
    assert entry["method"]["name"] == "tfidf" and entry["encoder"] is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.save=best", ("train.save=best", "method=tfidf", "set it to none")),
        ("train.evaluate_spans=true", ("train.evaluate_spans=true", "method=tfidf has none")),
        ("method.features=[words]", ("method.features", "one of word, char, word+char")),
        ("method.features=[]", ("method.features", "a list of different values")),
        ("method.inverse_penalty=[1,1]", ("method.inverse_penalty", "a list of different values, each above 0")),
        ("method.bottleneck_size=8", ("bottleneck_size",)),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(harness_run, tmp_path, override, words):
    ended = harness_run("task=mrpc", "method=tfidf", override)
    assert ended.status == 2 and len(ended.err) == 1
    assert all(word in ended.err[0] for word in words)
    assert not (tmp_path / "results").exists()


def test_a_bank_takes_none(harness_run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        bank.main(["add", str(tmp_path), "--method", "tfidf"])
    assert "invalid choice: 'tfidf'" in capsys.readouterr().err
