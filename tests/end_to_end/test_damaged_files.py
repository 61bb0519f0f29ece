"""Files of a results folder and of a bank that were truncated, emptied or replaced: no traceback, no wrong table.

A damaged file is named in one line, and its run is left out or trained again.
"""

import io
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from harness.commands import bank, predict, report, submit
from tests.fixtures.commands import records, train
from tests.fixtures.glue_fixture import write_glue

# In stacks of one run: what is trained again alone is the same to the last digit.
SWEEP = (
    *("task=rte", "method.bottleneck_size=2", "train.learning_rate=1e-3,3e-2", "train.epochs=1"),
    *("train.batch_size=48", "hydra.launcher.max_stack=1"),
)
KEPT = ("train.save=all", "protocol.predict_test=true")
TIMELY = ("time", "memory", "provenance")


def truncate(path, sibling):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path, sibling):
    path.write_bytes(b"")


def replace(path, sibling):
    """Put the other run's file in its place, or where there is none, another file of that kind."""
    if sibling is not None:
        shutil.copyfile(sibling, path)
    elif path.suffix == ".json":
        path.write_text('{"a": [1]}')
    elif path.suffix == ".npz":
        np.savez(path, a=np.arange(3))
    else:
        path.write_bytes(b"\0" * 1000)


DAMAGES = (truncate, empty, replace)


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_model, glue):
    """A results folder of two runs with a bank and a report. Tests copy it."""
    results = tmp_path_factory.mktemp("whole") / "results"
    train(results, tiny_model, glue, *SWEEP, *KEPT)
    assert bank.main(["add", str(results), "--model", str(tiny_model)]) == 0
    assert report.main([str(results)]) == 0
    return results


@pytest.fixture
def results(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def again(results, tiny_model, glue):
    """The same sweep over the folder, which completes."""
    return lambda: train(results, tiny_model, glue, *SWEEP, *KEPT)


@pytest.fixture
def call(capsys):
    """A command in this process: its exit status and output. What fails says one line."""

    def run(command, *arguments):
        capsys.readouterr()
        status = command.main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert len(err.splitlines()) == (status == 2), err
        return status, out, err

    return run


def of_best(results, folder, suffix):
    """The file of the better run, and that of the other."""
    best = json.loads((results / "bank/rte.json").read_text())["run_id"]
    (other,) = set(records(results)) - {best}
    return results / folder / f"{best}{suffix}", results / folder / f"{other}{suffix}"


def scores(results):
    """The table without its intervals."""
    table = pd.read_csv(results / "tables/glue.csv")
    return table.drop(columns=[name for name in table if name.endswith((" low", " high"))]).to_csv()


def timeless(results):
    found = records(results).items()
    return {run_id: {k: v for k, v in record.items() if k not in TIMELY} for run_id, record in found}


def assert_named(ended, path):
    status, _, err = ended
    assert status == 2 and err.startswith("error: ") and str(path) in err, err


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_record(results, whole, again, call, damage, capsys):
    path, other = of_best(results, "runs", ".json")
    damage(path, other)
    for command in (report, submit):
        assert_named(call(command, results), path)
    with pytest.raises(AssertionError):
        again()
    assert str(path) in capsys.readouterr().err
    path.unlink()
    _, out, _ = call(report, results)
    assert f"without a record: 1 (`{path.stem}`)" in out
    again()
    assert timeless(results) == timeless(whole)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_journal(results, whole, again, call, damage, capsys):
    path, (record, _) = results / "pending/1.json", of_best(results, "runs", ".json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([json.loads(record.read_text())]))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "running"}))
    damage(path, None)
    for command in (report, submit):
        assert_named(call(command, results), path)
    with pytest.raises(AssertionError):
        again()
    assert str(path) in capsys.readouterr().err
    path.unlink()
    again()
    assert timeless(results) == timeless(whole)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_plan(results, again, call, damage):
    (path,) = (results / "plans").glob("*.json")
    damage(path, None)
    assert_named(call(report, results), path)
    again()  # the same sweep writes the same plan
    assert call(report, results)[0] == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_predictions(results, whole, again, call, damage, glue):
    path, other = of_best(results, "predictions", ".npz")
    damage(path, other)
    status, out, _ = call(report, results)
    assert status == 0 and f"{path} is damaged" in out
    assert scores(results) == scores(whole)
    data = ("--data", "local", "--data-path", glue)
    status, _, _ = call(submit, results, *data)
    assert status == 2 and not (results / "submission.zip").exists()
    again()  # the test set is to be predicted, so that this run is repeated
    assert path.exists() and timeless(results) == timeless(whole)
    status, out, _ = call(report, results)
    assert status == 0 and "damaged" not in out
    assert (results / "tables/glue.csv").read_text() == (whole / "tables/glue.csv").read_text()
    assert call(submit, results, *data)[0] == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_gold_labels(results, whole, glue, call, damage):
    (path,) = (results / "gold").glob("*.npz")
    damage(path, None)
    status, out, _ = call(report, results)
    assert status == 0 and f"{path} is damaged" in out
    assert scores(results) == scores(whole)
    status, out, _ = call(report, results, "--data", "local", "--data-path", glue)
    assert status == 0 and "damaged" not in out
    assert (results / "tables/glue.csv").read_text() == (whole / "tables/glue.csv").read_text()


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights(results, whole, again, call, damage, tiny_model):
    shutil.rmtree(results / "bank")
    shutil.copytree(whole / "bank", results / "bank")
    path, other = of_best(results, "weights", ".safetensors")
    damage(path, other)
    shutil.rmtree(results / "bank")
    assert_named(call(bank, "add", results, "--model", tiny_model), path)
    assert not (results / "bank").exists()
    if damage is not replace:  # only its hash tells a file of the same size, and that is for `bank` to read
        again()
        assert call(bank, "add", results, "--model", tiny_model)[0] == 0
        assert path.read_bytes() == (whole / "weights" / path.name).read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_record_of_weights(results, again, call, damage, tiny_model):
    path, _ = of_best(results, "weights", ".json")
    damage(path, None)
    assert_named(call(bank, "add", results, "--bank", results / "new", "--model", tiny_model), path)
    again()
    assert call(bank, "add", results, "--bank", results / "new", "--model", tiny_model)[0] == 0


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["encoder.json", "rte.json", "*.safetensors"])
def test_a_bank(results, call, damage, name, tiny_model, monkeypatch):
    (path,) = (results / "bank").glob(name)
    damage(path, None)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a1\tb2\n")))
    assert_named(call(predict, "--bank", results / "bank", "--task", "rte", "--model", tiny_model), path)
    status, out, err = call(bank, "check", results / "bank", "--model", tiny_model)
    assert status in (1, 2) and str(path) in out + err
    status, _, err = call(bank, "list", results / "bank")
    assert status == 0 or str(path) in err


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint(results, whole, again, damage, capsys):
    first = json.loads(next((results / "runs").glob("*.json")).read_text())["training"]["stack"][0]
    path, weights = results / f"checkpoints/{first}.safetensors", next((results / "weights").glob("*.safetensors"))
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(weights, path)
    damage(path, weights)
    shutil.rmtree(results / "runs")
    capsys.readouterr()
    again()
    out, _ = capsys.readouterr()
    assert sum(str(path) in line and "is not used" in line for line in out.splitlines()) == 1
    assert timeless(results) == timeless(whole) and not path.exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_cached_tokens(results, whole, again, damage):
    for path in (results / "cache/tokens").glob("*.npz"):
        damage(path, None)
    shutil.rmtree(results / "runs")
    again()
    assert timeless(results) == timeless(whole)
