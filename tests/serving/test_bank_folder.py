"""A bank on disk: what is added, what is refused, and which encoders it takes."""

import itertools
import json
import multiprocessing
import shutil
import time

import pytest
import torch
from torch import Tensor

from harness.errors import UserError
from harness.model.checkpoint import find_checkpoint
from harness.records.predictions import read_predictions, write_predictions
from harness.serving import bank_folder
from harness.serving.bank_folder import Bank, add, difference
from harness.serving.bank_table import contents
from harness.serving.check import check
from harness.serving.predictor import Predictor
from tests.fixtures.commands import PATIENCE
from tests.fixtures.stored_runs import store_runs
from tests.fixtures.tiny import tiny_encoder


def put(results, folder, model, *tasks, **options):
    options = {"method": None, "run_id": None, "replace": False} | options
    return add(results, folder, tasks=tasks, model=str(model), **options)


@pytest.fixture
def bank(tmp_path, tiny_model):
    store_runs(tmp_path / "results", tiny_model, ["mrpc", "stsb", "cola"])
    put(tmp_path / "results", tmp_path / "bank", tiny_model)
    return Bank.open(tmp_path / "bank")


@pytest.fixture
def twin(tmp_path, tiny_model):
    """The encoder with the same weights and, so far, the same config and tokenizer."""
    return shutil.copytree(tiny_model, tmp_path / "twin")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def error_of(function, *arguments, **options):
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_bank_lists_its_tasks_in_glues_order_and_opens_from_its_results_folder(bank, tmp_path, tiny_model):
    assert bank.tasks == ["cola", "mrpc", "stsb"]
    store_runs(tmp_path / "other", tiny_model, ["rte"])
    put(tmp_path / "other", tmp_path / "other/bank", tiny_model)
    assert Bank.open(tmp_path / "other").tasks == ["rte"]
    assert "there is no bank in" in error_of(Bank.open, tmp_path / "results")
    assert "has no task 'rte'; it has cola, mrpc, stsb" in error_of(bank.entry, "rte")


def test_the_list_names_method_scores_and_sizes(bank):
    table = contents(bank)
    assert table.rows[0][:3] == ["CoLA", "Adapters (4)", "86.0"]
    assert table.rows[-3][0] == "Encoder" and table.rows[-1][0] == "3 full checkpoints"
    sizes = [float(row[4]) for row in table.rows]
    assert sum(sizes[:4]) == pytest.approx(sizes[4], abs=0.02)


def test_predictions_come_along_and_go_when_the_task_is_replaced(tmp_path, tiny_model):
    results, folder = tmp_path / "results", tmp_path / "bank"
    _, (worse,) = store_runs(results, tiny_model, ["mrpc"], score=0.6)
    write_predictions(results, worse["run_id"], {"validation": [1, 0]})
    (line,) = put(results, folder, tiny_model)
    assert line.startswith(f"MRPC: {worse['run_id']}, ")
    assert read_predictions(folder, worse["run_id"])["validation"].tolist() == [1, 0]
    (line,) = put(results, folder, tiny_model)
    assert line == f"MRPC: {worse['run_id']} is already in the bank"
    _, (better,) = store_runs(results, tiny_model, ["mrpc"], score=0.9, rate=3e-3)
    (line,) = put(results, folder, tiny_model)
    assert f"kept {worse['run_id']}; use --replace" in line
    put(results, folder, tiny_model, replace=True)
    assert Bank.open(folder).entry("mrpc").run["run_id"] == better["run_id"]
    assert read_predictions(folder, worse["run_id"]) is None
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [f"{better['run_id']}.safetensors"]


@pytest.fixture
def replaced(tmp_path, tiny_model):
    """A bank of one task, and a function that replaces its run by another one."""
    results, folder = tmp_path / "results", tmp_path / "bank"
    _, runs = store_runs(results, tiny_model, ["mrpc"], score=0.6)
    _, others = store_runs(results, tiny_model, ["mrpc"], score=0.9, rate=3e-3)
    ids = [run["run_id"] for run in runs + others]
    put(results, folder, tiny_model, run_id=ids[0])
    return Bank.open(folder), lambda: put(results, folder, tiny_model, run_id=ids[1], replace=True), ids[1]


def test_a_task_that_is_replaced_while_it_is_read_is_read_again(replaced, tiny_model, monkeypatch):
    bank, replace, new = replaced
    original, once = Bank.tensors, [replace, replace]

    def tensors(self, entry):
        if len(once) > 1:
            once.pop()()
        return original(self, entry)

    monkeypatch.setattr(Bank, "tensors", tensors)
    entry, read = bank.read("mrpc")
    assert entry.run["run_id"] == new and sum(map(Tensor.numel, read.values())) == entry.run["weights"]["parameters"]


def test_a_predictor_survives_a_replacement_while_it_loads(replaced, tiny_model, monkeypatch):
    bank, replace, new = replaced
    original, once = Bank.entry, [replace]

    def entry(self, task):
        found = original(self, task)
        if once:
            once.pop()()
        return found

    monkeypatch.setattr(Bank, "entry", entry)
    loaded = Predictor(bank, ["mrpc"], checkpoint=bank.checkpoint(str(tiny_model)), device=torch.device("cpu"))
    assert loaded.entries["mrpc"].run["run_id"] == new


def test_a_run_that_a_sweep_replaces_while_it_is_added_is_chosen_again(tmp_path, tiny_model, monkeypatch):
    """train.save=best: the weights of the worse run go when those of the better one are there."""
    results = tmp_path / "results"
    _, (worse,) = store_runs(results, tiny_model, ["mrpc"], score=0.6)
    original, better = bank_folder._best_of, []

    def best_of(*found, **wanted):
        chosen = original(*found, **wanted)
        if not better:
            better.extend(store_runs(results, tiny_model, ["mrpc"], score=0.9, rate=3e-3)[1])
            for path in (results / "weights").glob(f"{worse['run_id']}.*"):
                path.unlink()
        return chosen

    monkeypatch.setattr(bank_folder, "_best_of", best_of)
    (line,) = put(results, tmp_path / "bank", tiny_model)
    assert line.startswith(f"MRPC: {better[0]['run_id']}, ")


@pytest.mark.process
def test_others_read_while_runs_are_replaced_again_and_again(replaced, tmp_path, tiny_model):
    bank, _, new = replaced
    ids = [bank.entry("mrpc").run["run_id"], new]

    def replace_for_ever():
        for number in itertools.count():
            put(tmp_path / "results", bank.folder, tiny_model, run_id=ids[number % 2], replace=True)

    process = multiprocessing.get_context("fork").Process(target=replace_for_ever)
    process.start()
    try:
        seen, end = set(), time.monotonic() + PATIENCE
        for reads in itertools.count():
            if (reads >= 200 and seen == set(ids)) or time.monotonic() > end:
                break
            seen.add(bank.read("mrpc")[0].run["run_id"])
        lines = []
        for _ in range(5):
            assert check(bank, model=str(tiny_model), data=None, say=lines.append), lines
            assert contents(bank).rows[0][0] == "MRPC"
        assert process.is_alive()
    finally:
        process.kill()
        process.join()
    assert seen == set(ids), "the runs were not replaced meanwhile"


@pytest.mark.parametrize(
    ("file", "change"),
    [("config.json", {"hidden_act": "relu"}), ("tokenizer_config.json", {"do_lower_case": False})],
)
def test_an_encoder_with_the_same_weights_but_another_config_or_tokenizer_is_refused(
    bank, tmp_path, twin, tiny_model, file, change
):
    assert bank.checkpoint(str(twin)).sha256 == bank.encoder["sha256"]
    edit(twin / file, **change)
    message = error_of(bank.checkpoint, str(twin))
    assert f"the bank {bank.folder} was trained on another encoder; found {twin}" in message
    assert "the same weights but another config or tokenizer, not tiny-bert" in message and "--model" in message
    # Nor do runs on it get into the bank.
    store_runs(tmp_path / "more", twin, ["rte"])
    message = error_of(put, tmp_path / "more", bank.folder, twin)
    assert "twin, which has the same weights but another config or tokenizer" in message and "--bank" in message
    assert Bank.open(bank.folder).tasks == ["cola", "mrpc", "stsb"]
    # A new bank of runs whose encoder is not the one that is found is refused before anything is written.
    message = error_of(put, tmp_path / "more", tmp_path / "new", tiny_model)
    assert message.startswith("the run rte-") and "another config or tokenizer" in message
    assert not (tmp_path / "new").exists()


def test_an_encoder_with_other_weights_is_refused_by_its_hash(bank, twin):
    tiny_encoder(seed=1).save_pretrained(twin)
    found, own = find_checkpoint(str(twin)).sha256[:12], bank.encoder["sha256"][:12]
    message = error_of(bank.checkpoint, str(twin))
    assert f"(sha256 {found}...), not tiny-bert ({own}...)" in message
    assert "config" not in message


def test_a_task_of_another_encoder_is_found_when_it_is_read(bank):
    edit(bank.folder / "mrpc.json", encoder=bank.entry("mrpc").run["encoder"] | {"fingerprint": "other"})
    message = error_of(bank.entry, "mrpc")
    assert "mrpc.json was trained on tiny-bert, which has the same weights but another config" in message
    assert "add that task again" in message
    assert bank.entry("cola").task.name == "cola"


def test_differences_are_told_in_words():
    one, same, other = ({"name": name, "sha256": sha * 32} for name, sha in (("a", "12"), ("b", "12"), ("c", "34")))
    assert difference(one, same) == "a, which has the same weights but another config or tokenizer, not b"
    assert difference(one, other) == "a (sha256 121212121212...), not c (343434343434...)"


def test_runs_on_two_encoders_do_not_make_a_bank(tmp_path, tiny_model, twin):
    edit(twin / "config.json", hidden_act="relu")
    results = tmp_path / "results"
    store_runs(results, tiny_model, ["mrpc"])
    store_runs(results, twin, ["rte"])
    message = error_of(put, results, tmp_path / "bank", tiny_model)
    assert "were trained on 2 encoders" in message and "--task" in message
    assert put(results, tmp_path / "bank", tiny_model, "mrpc")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "encoder.json").write_text("{}"), "encoder.json does not describe an encoder"),
        (lambda folder: (folder / "mrpc.json").write_text("{}"), "mrpc.json does not describe trained weights"),
    ],
)
def test_damaged_files_are_reported(bank, spoil, words):
    spoil(bank.folder)
    assert words in error_of(lambda: Bank.open(bank.folder).entry("mrpc"))


def test_a_method_of_another_version_is_reported(bank):
    config = bank.entry("mrpc").run["config"]
    edit(bank.folder / "mrpc.json", config=config | {"method": {"name": "sparse"}})
    assert "this version does not know the method {'name': 'sparse'}" in error_of(bank.entry, "mrpc")
