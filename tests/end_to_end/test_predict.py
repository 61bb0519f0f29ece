"""Predictions of a bank: those of the training run, tasks mixed in a batch, and one line for what is wrong."""

import csv
import io
import json

import numpy as np
import pytest

from harness.commands import bank as bank_command
from harness.commands import predict
from harness.records.predictions import read_predictions
from harness.serving.bank_folder import Bank
from harness.tasks.glue import get_task
from tests.fixtures.bank import BANKED, TRAINED, predictor, validation_rows
from tests.fixtures.commands import assert_one_line_error, train
from tests.fixtures.tiny import save_tiny


@pytest.mark.parametrize("name", BANKED)
def test_predictions_equal_those_of_the_training_run(bank, bank_runs, tiny_model, word_glue, name):
    """To the last bit, though the run was trained in a stack of four."""
    run_id = Bank.open(bank).entry(name).run["run_id"]
    expected = read_predictions(bank_runs, run_id)["validation"]
    found = predictor(bank, [name], tiny_model).logits(validation_rows(word_glue, name))
    if name == "stsb":
        assert [row[0] for row in found] == expected.tolist()
    else:
        assert [int(row.argmax()) for row in found] == expected.tolist()


def test_the_command_writes_predictions_and_probabilities(bank, tiny_model, word_glue, tmp_path, capsys):
    where = ["--bank", str(bank), "--model", str(tiny_model)]
    dev = word_glue / "MRPC/dev.tsv"
    out = tmp_path / "out.tsv"
    assert predict.main([*where, "--task", "mrpc", "--input", str(dev), "--output", str(out)]) == 0
    lines = list(csv.DictReader(io.StringIO(out.read_text()), delimiter="\t"))
    logits = predictor(bank, ["mrpc"], tiny_model).logits(validation_rows(word_glue, "mrpc"))
    assert len(lines) == len(logits)
    labels = get_task("mrpc").kind.labels
    for index, (line, row) in enumerate(zip(lines, logits, strict=True)):
        assert list(line) == ["index", "task", "prediction", *(f"p_{label}" for label in labels)]
        shares = [float(line[f"p_{label}"]) for label in labels]
        assert shares == pytest.approx((np.exp(row) / np.exp(row).sum()).tolist(), abs=1e-4)
        assert line["prediction"] == labels[int(row.argmax())] == labels[int(np.argmax(shares))]
        assert line["index"] == str(index)
    jsonl = tmp_path / "out.jsonl"
    assert predict.main([*where, "--task", "mrpc", "--input", str(dev), "--output", str(jsonl)]) == 0
    first = json.loads(jsonl.read_text().splitlines()[0])
    assert first["prediction"] == lines[0]["prediction"] and sum(first["probabilities"].values()) == pytest.approx(1)
    assert capsys.readouterr().out == ""


def test_tasks_mixed_in_one_batch_equal_separate_ones(bank, bank_runs, tiny_model, word_glue):
    bank_command.main(["add", str(bank_runs), "--bank", str(bank), "--model", str(tiny_model)])  # the fourth task
    rows = [row for name in TRAINED for row in validation_rows(word_glue, name)[: {"cola": 16, "mrpc": 3}.get(name, 9)]]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    together = predictor(bank, TRAINED, tiny_model)
    assert len(together.stacks) == 1
    mixed = together.logits(rows)
    for name in TRAINED:
        alone = predictor(bank, [name], tiny_model).logits([row for row in rows if row[0] == name])
        own = [logits for row, logits in zip(rows, mixed, strict=True) if row[0] == name]
        assert np.concatenate(own) == pytest.approx(np.concatenate(alone), abs=1e-5)
        assert {len(logits) for logits in own} == {get_task(name).kind.outputs}


def test_what_is_wrong_is_one_line_and_nothing_is_written(bank, tiny_model, tmp_path, capsys, monkeypatch):
    out = tmp_path / "never.tsv"
    base = ["--bank", str(bank), "--model", str(tiny_model), "--output", str(out)]
    good, empty, wide = (tmp_path / f"{name}.txt" for name in ("good", "empty", "wide"))
    good.write_text("a1 b2\n")
    empty.write_text("")
    wide.write_text("a1\nb2\tc3\n")

    assert predict.main([*base, "--task", "rte", "--input", str(good)]) == 2
    assert_one_line_error(capsys, "no task 'rte'", "cola, mrpc, stsb")
    assert predict.main([*base, "--task", "cola", "--input", str(empty)]) == 2
    assert_one_line_error(capsys, "empty.txt is empty")
    assert predict.main([*base, "--task", "cola", "--input", str(wide)]) == 2
    assert_one_line_error(capsys, "wide.txt line 2 has 2 columns")
    assert predict.main([*base, "--task", "cola", "--input", str(tmp_path / "absent.txt")]) == 2
    assert_one_line_error(capsys, "absent.txt cannot be read")
    assert predict.main(["--bank", str(tmp_path / "nowhere"), "--task", "cola", "--input", str(good)]) == 2
    assert_one_line_error(capsys, "there is no bank in", "harness.bank add")
    assert predict.main(["--bank", str(bank), "--task", "cola", "--input", str(good)]) == 2
    assert_one_line_error(capsys, "encoder was not found, give --model")  # records hold no folders

    other = save_tiny(tmp_path / "other", "electra")
    assert predict.main(["--bank", str(bank), "--model", str(other), "--task", "cola", "--input", str(good)]) == 2
    assert_one_line_error(capsys, f"trained on another encoder; found {other} (sha256", "--model")

    entry = Bank.open(bank).entry("cola")
    file = bank / entry.run["weights"]["file"]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert predict.main([*base, "--task", "cola", "--input", str(good)]) == 2
    assert_one_line_error(capsys, file.name, "truncated")
    assert bank_command.main(["check", str(bank), "--model", str(tiny_model)]) == 1
    printed = capsys.readouterr().out
    assert "CoLA: " in printed and "truncated" in printed and "MRPC: ok" in printed
    mrpc = bank / Bank.open(bank).entry("mrpc").run["weights"]["file"]
    file.write_bytes(mrpc.read_bytes())
    assert predict.main([*base, "--task", "cola", "--input", str(good)]) == 2
    assert_one_line_error(capsys, file.name)
    assert not out.exists()
    assert not list(tmp_path.glob(".never*"))


@pytest.mark.parametrize("method", ["full", "bitfit", "lora", "ia3", "peft"])
def test_other_methods_are_banked_too(tmp_path, tiny_model, word_glue, method, capsys):
    results = tmp_path / "results"
    options = {"lora": ["method.rank=2"], "peft": ["+method.options.r=2"]}.get(method, [])
    options += ["train.learning_rate=1e-2", "train.save=best"]
    train(results, tiny_model, word_glue, "task=mrpc,cola", f"method={method}", *options)
    assert bank_command.main(["add", str(results), "--model", str(tiny_model)]) == 0
    folder = results / "bank"
    for name in ("mrpc", "cola"):
        expected = read_predictions(results, Bank.open(folder).entry(name).run["run_id"])["validation"]
        found = predictor(folder, [name], tiny_model).logits(validation_rows(word_glue, name))
        assert [int(row.argmax()) for row in found] == expected.tolist()
    capsys.readouterr()
    assert bank_command.main(["export", str(folder), "--format", "adapterhub", "--model", str(tiny_model)]) == 2
    assert_one_line_error(capsys, "adapterhub holds adapters")
