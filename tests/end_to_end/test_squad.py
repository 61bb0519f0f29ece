"""SQuAD all the way: run, record, official predictions, report, bank, check, predict, export; hub; bad input."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch

from harness.commands import bank, describe, predict, report
from harness.data.encode import encode_texts
from harness.model.checkpoint import find_checkpoint, tokenizer_of
from harness.records.predictions import read_gold, read_predictions
from harness.records.record import task_of
from harness.serving.adapterhub import MODELS
from harness.serving.bank_folder import Bank
from harness.tasks.answer_text import best, token_f1
from tests.conftest import ROOT
from tests.end_to_end.test_export import PEERS_PYTHON
from tests.fixtures.bank import predictor
from tests.fixtures.commands import last_of_each, records, train
from tests.fixtures.hub_server import model_repo
from tests.fixtures.tiny import save_tiny
from tests.fixtures.tiny_squad import ARTICLES, PARAGRAPHS, QUESTIONS, squad, squad_repo, write_squad

WINDOWS = ("task=squad", "task.stride=4", "task.max_answer_tokens=3", "train.max_length=24")
ROWS = {split: count * PARAGRAPHS * QUESTIONS for split, count in ARTICLES.items()}


def questions():
    """The validation questions with their contexts."""
    paragraphs = [part for article in squad("validation")["data"] for part in article["paragraphs"]]
    return [(part["context"], one) for part in paragraphs for one in part["qas"]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_squad(tmp_path_factory.mktemp("squad"))


@pytest.fixture(scope="module")
def results(tmp_path_factory, data, tiny_model):
    """A stack of two, and full fine-tuning."""
    folder = tmp_path_factory.mktemp("results")
    options = (*WINDOWS, "train.save=best", "train.learning_rate=1e-2")
    train(folder, tiny_model, data, *options, "method.bottleneck_size=4,8")
    train(folder, tiny_model, data, *options, "method=full", "train.learning_rate=1e-3")
    return folder


def test_records_say_what_was_answered(results):
    found = records(results).values()
    assert sorted(len(record["training"]["stack"]) for record in found) == [1, 2, 2]
    for record in found:
        task = task_of(record)
        assert (task.kind.stride, task.kind.max_answer_tokens, task.headline) == (4, 3, "token_f1")
        assert record["data"]["rows"] == ROWS and record["training"]["examples"] > 2 * ROWS["train"]
        assert record["encoder"]["pooling"] == "all tokens"
        assert record["parameters"]["groups"]["pooler"]["total"] == 0
        assert record["parameters"]["groups"]["head"]["trained"] == 2 * 32 + 2
        assert (
            record["scores"]["validation"].keys()
            == {"token_f1", "exact_match"}
            == record["majority"]["validation"].keys()
        )


def test_a_dry_run_counts_windows_and_writes_nothing(harness_run, data, results, tmp_path):
    """Times of records and measured ones; on both ways the rows of batches are windows."""
    sweep = ("data=local", f"data.path={data}", *WINDOWS, "method.bottleneck_size=4,8", "train.learning_rate=1e-2")
    ended = harness_run("--dry-run", "--multirun", *sweep)
    assert (ended.status, ended.err) == (0, [])
    assert "2 runs: 2 to do in 1 stack\n" in ended.out and "NOT GLUE" not in ended.out
    assert "time of 1 stack: from a few batches measured now" in ended.out
    assert not (tmp_path / "results").exists()
    recorded = harness_run(
        "--dry-run", "--multirun", *sweep, "train.epochs=7", "train.precision=fp32", results=results
    ).out
    assert "2 runs: 2 to do in 1 stack\n" in recorded
    assert "time of 1 stack: from records of the same kind" in recorded


def test_predictions_are_in_the_official_format_and_score_what_the_record_says(results):
    contexts = {one["id"]: context for context, one in questions()}
    gold = {one["id"]: [answer["text"] for answer in one["answers"]] for _, one in questions()}
    for key, record in records(results).items():
        official = json.loads((results / "predictions" / f"{key}.json").read_text(encoding="utf-8"))
        assert official.keys() == gold.keys()
        assert all(text in contexts[one] for one, text in official.items())
        mean = np.mean(best(token_f1, [official[one] for one in gold], gold.values()))
        assert mean == pytest.approx(record["scores"]["validation"]["token_f1"])
        stored = read_predictions(results, key)["validation"]
        assert stored["token_f1"].mean() == pytest.approx(mean, abs=1e-6)
        assert len(read_gold(results, record["predictions"]["gold"])["validation"]) == len(gold)


def test_the_report_has_intervals_and_the_figure(results, data, tmp_path, capsys):
    gold = next((results / "gold").glob("*.npz"))
    gold.rename(tmp_path / "gold.npz")
    assert report.main([str(results), "--out", str(tmp_path), "--data", "local", "--data-path", str(data)]) == 0
    assert gold.exists()
    scores = pd.read_csv(tmp_path / "tables/glue.csv")
    assert {"SQuAD", "SQuAD low", "SQuAD high"} <= set(scores.columns)
    text = (tmp_path / "tables/glue.md").read_text(encoding="utf-8")
    assert "SQuAD v1.1, cut (local)" in text and "NOT GLUE" not in text
    assert "SQuAD F1" in (tmp_path / "tables/NOTES.md").read_text(encoding="utf-8")
    assert "trained parameters" in (tmp_path / "figures/README.md").read_text(encoding="utf-8")
    assert (tmp_path / "figures/spans.svg").exists()
    assert "| Adapters (8, best size) " in capsys.readouterr().out  # the table of GLUE, with a row per method


def test_a_bank_checks_and_predicts(results, data, tiny_model, tmp_path, capsys):
    folder = tmp_path / "bank"
    assert bank.main(["add", str(results), "--bank", str(folder), "--model", str(tiny_model)]) == 0
    where = ["--data", "local", "--data-path", str(data)]
    assert bank.main(["check", str(folder), "--model", str(tiny_model), *where]) == 0, capsys.readouterr().out
    assert f"SQuAD: ok, 0 of {ROWS['validation']}" in capsys.readouterr().out
    rows = [{"question": one["question"], "context": context} for context, one in questions()]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = ["--bank", str(folder), "--task", "squad", "--model", str(tiny_model)]
    out = tmp_path / "out.jsonl"
    assert predict.main([*command, "--input", str(tmp_path / "rows.jsonl"), "--output", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert all(
        row["context"][one["start"] : one["end"]] == one["prediction"] for row, one in zip(rows, found, strict=True)
    )
    run = Bank.open(folder).entry("squad").run["run_id"]
    kept = json.loads((results / "predictions" / f"{run}.json").read_text(encoding="utf-8"))
    assert list(kept.values()) == [one["prediction"] for one in found]
    (tmp_path / "bad.jsonl").write_text(json.dumps({"question": "j1 " * 30, "context": "a1"}) + "\n")
    assert predict.main([*command, "--input", str(tmp_path / "bad.jsonl")]) == 2
    assert "has 30 tokens" in capsys.readouterr().err
    assert predict.main([*command, "--input", str(tmp_path / "rows.jsonl"), "--output", str(tmp_path / "o.tsv")]) == 0
    assert list(pd.read_csv(tmp_path / "o.tsv", sep="\t").columns) == [
        "index",
        "task",
        "prediction",
        "start",
        "end",
        "score",
    ]


def test_whole_articles_are_held_out(data, tiny_model, tmp_path):
    train(tmp_path, tiny_model, data, *WINDOWS, "method=head", "protocol=holdout", "protocol.fraction=0.25")
    (record,) = records(tmp_path).values()
    assert record["data"]["rows"] == {"train": 36, "holdout": 12, "validation": ROWS["validation"]}
    official = json.loads((tmp_path / "predictions" / f"{record['run_id']}.json").read_text(encoding="utf-8"))
    assert len(official) == ROWS["validation"]


def test_describe_shows_questions_and_answers(data, tiny_model, capsys):
    arguments = [*WINDOWS, "model=local", f"model.name={tiny_model}", "data=local", f"data.path={data}"]
    assert describe.main(arguments) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "SQuAD (squad)" in printed and "j1" in printed and f"{ROWS['train']}" in printed


def test_it_comes_from_the_hub_at_the_pinned_commit(hub_commands, tmp_path):
    model = model_repo()
    arguments = ["task=squad", "task.stride=2", "task.max_answer_tokens=3", "train.max_length=64", "data=hub",
                 "method=head", "train.epochs=1", f"results_dir={tmp_path / 'r'}", f"cache_dir={tmp_path / 'cache'}",
                 "model=local", f"model.name={model.name}", f"model.revision={model.commit}"]  # fmt: skip

    def run(*more, **options):
        return hub_commands("run", *last_of_each(*arguments, *more), **options)

    hub_commands.serve(squad_repo(), model)
    done = run()
    assert done.returncode == 0, done.stderr
    wrong = run("data.revision=" + "cd" * 20)
    assert wrong.returncode == 2 and "cannot be loaded: there is no such revision" in wrong.stderr
    (record,) = records(tmp_path / "r").values()
    assert record["data"]["source"] == "hub" and record["data"]["rows"] == ROWS
    hub_commands.serve()
    again = run(f"results_dir={tmp_path / 'again'}", offline=True)
    assert (again.returncode, hub_commands.hub.log) == (0, []), again.stderr


def broken(change):
    """The training file with one change to its first article, paragraph and question."""

    def make(folder):
        whole = squad("train")
        part = whole["data"][0]["paragraphs"][0]
        change(whole, part, part["qas"][0])
        (folder / "train-v1.1.json").write_text(json.dumps(whole), encoding="utf-8")

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: (folder / "dev-v1.1.json").unlink(), ["dev-v1.1.json is missing"]),
        (lambda folder: (folder / "train-v1.1.json").write_text("{"), ["train-v1.1.json is not JSON"]),
        (lambda folder: (folder / "train-v1.1.json").write_text("[1]"), ["is not in SQuAD's layout", "paragraphs"]),
        (broken(lambda whole, part, one: one.pop("answers")), ["is not in SQuAD's layout (there is no 'answers')"]),
        (broken(lambda whole, part, one: one.update(answers=[], is_impossible=True)),
         ["version 2.0, are refused", "1 of 48 questions", "train-0-0-0"]),
        (broken(lambda whole, part, one: one["answers"][0].update(answer_start=1)),
         ["answer_start does not match", "1 of 48 questions, the first is train-0-0-0"]),
        (broken(lambda whole, part, one: part.update(context=" ")), ["the context is empty (3 of 48", "train-0-0-0"]),
        (broken(lambda whole, part, one: one.update(question="j1 " * 30)),
         ["SQuAD train: question train-0-0-0 has 30 tokens", "train.max_length"]),
        (broken(lambda whole, part, one: one.update(id="train-0-0-1")), ["the id occurs twice"]),
    ],
)  # fmt: skip
def test_bad_files_are_one_line(harness_run, tmp_path, make, words):
    folder = write_squad(tmp_path / "squad")
    make(folder)
    status, _, err = harness_run(*WINDOWS, f"data.path={folder}")
    assert status == 2 and len(err) == 1, err
    for word in words:
        assert word in err[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["protocol=test"], ["protocol=test", "SQuAD has none"]),
        (["task.stride=23"], ["task.stride=23", "train.max_length=24"]),
        (["task.labels=[a,b]"], ["a span task has no labels"]),
        (["task.file=rows.csv"], ["leave out task.file"]),
        (["task.metrics=[f1]"], ["f1 is not a metric for span tasks", "token_f1"]),
        (["method.train_pooler=true"], ["has no pooler"]),
        (["method=tfidf"], ["method=tfidf cannot find spans", "SQuAD", "choose another method"]),
    ],
)
def test_bad_options_are_one_line(harness_run, data, arguments, words):
    status, _, err = harness_run(*WINDOWS, f"data.path={data}", *arguments)
    assert status == 2 and len(err) == 1, err
    for word in words:
        assert word in err[0]


@pytest.mark.peers
@pytest.mark.parametrize("family", MODELS)
def test_adapterhubs_library_computes_the_same_spans(tmp_path, data, family):
    model, results = save_tiny(tmp_path / "encoder", family), tmp_path / "results"
    train(results, model, data, *WINDOWS, "train.learning_rate=1e-2", "method.bottleneck_size=8", "train.save=best")
    assert bank.main(["add", str(results), "--model", str(model)]) == 0
    assert bank.main(["export", str(results), "--format", "adapterhub", "--model", str(model)]) == 0
    columns = [["j1 a1", "j1 b2"], ["a1 b2 c3 d4", "e5 f6 b2 g7 h8"]]
    tokenizer = tokenizer_of(find_checkpoint(str(model)))
    inputs = tokenizer(*columns, padding=True)
    done = subprocess.run(
        [PEERS_PYTHON, ROOT / "scripts/peers/load_adapter.py", model, results / "bank/export/adapterhub-squad"],
        input=json.dumps(dict(inputs)), capture_output=True, text=True,
        env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.array(json.loads(done.stdout.splitlines()[-1]))
    ours = predictor(results / "bank", ["squad"], model)
    (stack,) = ours.stacks
    task = stack.entries[0].task
    rows = encode_texts(columns, task, ours.tokenizer, max_length=24, device="cpu")
    with torch.no_grad():
        logits = stack.classifier(*rows.gather(torch.arange(2), rows.ids.shape[1]))[0].numpy()
    keep = np.array(inputs["attention_mask"], bool)
    assert logits[keep] == pytest.approx(theirs[keep], abs=1e-4)
    assert np.ptp(logits) > 1e-3
