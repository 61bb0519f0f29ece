"""The check of a bank: one line per task, against its files and against the predictions of its training runs."""

import dataclasses

import numpy as np
import pytest
import torch

from harness.data.sources.glue_folder import GlueFolder
from harness.records.predictions import predictions_path, read_predictions, store_predictions, write_predictions
from harness.serving.bank_folder import Bank, add
from harness.serving.check import check
from harness.serving.predictor import Predictor
from harness.tasks.glue import get_task
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.stored_runs import store_runs

TASKS = ("mrpc", "stsb")
ROWS = 200  # evaluation rows, so that 1 % is two of them


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    return GlueFolder(str(write_glue(tmp_path_factory.mktemp("glue"), rows=3 * ROWS, tasks=TASKS, words=True)), "given")


@pytest.fixture
def bank(tmp_path, tiny_model, glue):
    """With the predictions of its own weights, as training would have left them."""
    results, folder = tmp_path / "results", tmp_path / "bank"
    _, records = store_runs(results, tiny_model, TASKS)
    add(results, folder, tasks=TASKS, method=None, run_id=None, replace=False, model=str(tiny_model))
    bank = Bank.open(folder)
    checkpoint = bank.checkpoint(str(tiny_model))
    for record, name in zip(records, TASKS, strict=True):
        task, rows = get_task(name), glue.load(get_task(name))["validation"]
        one = Predictor(bank, [name], checkpoint=checkpoint, device=torch.device("cpu"))
        logits = np.stack(one.logits([(name, pair) for pair in zip(rows["sentence1"], rows["sentence2"], strict=True)]))
        answers = {"validation": task.kind.decide(logits)}
        store_predictions(folder, record["run_id"], task, answers, answers)
    return bank


def lines_of(bank, model, data=None):
    lines = []
    passed = check(bank, model=str(model), data=data, say=lines.append)
    return passed, lines


def change(bank, name, function):
    run_id = bank.entry(name).run["run_id"]
    values = read_predictions(bank.folder, run_id)["validation"]
    write_predictions(bank.folder, run_id, {"validation": function(values)})


def flipped(count):
    return lambda values: np.where(np.arange(len(values)) < count, 1 - values, values)


def test_a_whole_bank_passes(bank, tiny_model, glue):
    assert lines_of(bank, tiny_model) == (True, ["MRPC: ok", "STS-B: ok"])
    passed, lines = lines_of(bank, tiny_model, glue)
    same = "ok, 0 of 200 predictions differ from those of its training run"
    assert passed and lines == [f"MRPC: {same}", f"STS-B: {same}"]


def test_one_percent_may_differ_by_rounding_and_no_more(bank, tiny_model, glue):
    change(bank, "mrpc", flipped(2))
    passed, (line, _) = lines_of(bank, tiny_model, glue)
    assert passed and line.startswith("MRPC: ok, 2 of 200 predictions differ") and line.endswith("on cpu (rounding)")
    change(bank, "mrpc", flipped(5))  # two are as they were again, three are not
    passed, (line, other) = lines_of(bank, tiny_model, glue)
    assert not passed and other.startswith("STS-B: ok")
    assert line == "MRPC: 3 of 200 predictions differ from those of its training run"


def test_scores_may_move_by_a_hundredth_of_their_range(bank, tiny_model, glue):
    change(bank, "stsb", lambda values: values + np.float32(0.04))
    assert lines_of(bank, tiny_model, glue)[0]
    change(bank, "stsb", lambda values: values + np.float32(0.04))
    passed, (_, line) = lines_of(bank, tiny_model, glue)
    assert not passed and line.startswith("STS-B: 200 of 200 predictions differ")


def test_what_cannot_be_compared_is_reported_for_its_task_alone(bank, tiny_model, glue, tmp_path):
    predictions_path(bank.folder, bank.entry("mrpc").run["run_id"]).unlink()
    change(bank, "stsb", lambda values: values[:-1])
    passed, lines = lines_of(bank, tiny_model, glue)
    assert not passed
    assert lines == [
        "MRPC: the bank does not hold the predictions of its training run; it was added without them",
        "STS-B: validation has 200 rows here, but its training run had 199",
    ]
    without = dataclasses.replace(glue, path=str(write_glue(tmp_path / "other", tasks=["stsb"])))
    (bank.folder / bank.entry("mrpc").run["weights"]["file"]).write_bytes(b"torn")
    passed, (mrpc, stsb) = lines_of(bank, tiny_model, without)
    assert not passed and "truncated" in mrpc and "has 16 rows here" in stsb
