"""Migration of schema 1: records, and all files that are named after them, get the ids that runs have today."""

import json
import shutil

import numpy as np
import pytest

from harness.model.checkpoint import find_checkpoint
from harness.records.predictions import read_gold, read_predictions
from harness.records.record import load_planned, load_records
from scripts import migrate_records
from tests.fixtures.commands import records, train
from tests.fixtures.glue_fixture import write_glue

OLD = {"submit": "mrpc-old-submit", "holdout": "mrpc-old-holdout"}


@pytest.fixture(scope="module")
def tiny_glue(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("glue"), tasks=["mrpc"], words=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_model, tiny_glue):
    """A results folder as written today: two runs with weights and test predictions."""
    folder = tmp_path_factory.mktemp("finished")
    for protocol in OLD:
        train(folder, tiny_model, tiny_glue, "task=mrpc", f"protocol={protocol}", "protocol.predict_test=true",
              "train.epochs=1", "train.save=all")  # fmt: skip
    return folder


@pytest.fixture
def old(finished, tmp_path, tiny_model):
    """The same folder as an earlier version wrote it."""
    folder = tmp_path / "old"
    shutil.copytree(finished, folder)
    ids = {}
    for run_id, record in records(folder).items():
        name = "submit" if record["config"]["protocol"]["name"] == "paper" else "holdout"
        ids[run_id] = OLD[name]
    for run_id, before in ids.items():
        path = folder / "runs" / f"{run_id}.json"
        record = json.loads(path.read_text())
        record |= {"schema": 1, "run_id": before}
        record["config"]["protocol"]["name"] = before.split("-")[2]
        record["config"]["train"] |= {"precision": "auto", "evaluate_every_epoch": False, "evaluate_spans": False}
        del record["encoder"]["fingerprint"]
        record["predictions"] = {"references": record["predictions"]["gold"]}
        record["training"]["stack"] = [before]
        path.unlink()
        path.with_name(f"{before}.json").write_text(json.dumps(record))
        (folder / "predictions" / f"{run_id}.npz").rename(folder / "predictions" / f"{before}.npz")
        weights = folder / "weights" / f"{run_id}.safetensors"
        stored = json.loads(weights.with_suffix(".json").read_text())
        entry = {"weights": stored["weights"] | {"file": f"{before}.safetensors"}}
        weights.with_name(f"{before}.json").write_text(json.dumps(record | entry))
        weights.with_suffix(".json").unlink()
        weights.rename(weights.with_name(f"{before}.safetensors"))
    for path in (folder / "plans").iterdir():
        planned = json.loads(path.read_text())["run_ids"]
        path.write_text(json.dumps({"run_ids": [*(ids[name] for name in planned), "mrpc-never-run"]}))
    (folder / "gold").rename(folder / "references")
    (folder / "runs" / "cola-lost.json").write_text(
        json.dumps({"schema": 1, "run_id": "cola-lost", "status": "failed", "error": "x", "config": {}})
    )
    return folder


def test_a_migrated_folder_is_the_one_that_a_run_writes_today(old, finished, tiny_model, tiny_glue, capsys):
    assert migrate_records.main([str(old), "--model", str(tiny_model)]) == 0
    assert "2 records raised to schema 2" in (printed := capsys.readouterr().out) and "cola-lost" in printed
    shutil.rmtree(old / "superseded")
    now, today = records(old), records(finished)
    assert now.keys() == today.keys()
    for run_id, record in now.items():
        gold = {"gold": today[run_id]["predictions"]["gold"]}  # schema 1 knew no hash of predictions
        assert record == today[run_id] | {"memory": record["memory"], "predictions": gold}
        assert read_predictions(old, run_id).keys() == read_predictions(finished, run_id).keys()
        gold = read_gold(old, record["predictions"]["gold"])
        assert np.array_equal(gold["validation"], read_gold(finished, record["predictions"]["gold"])["validation"])
        stored = json.loads((old / "weights" / f"{run_id}.json").read_text())
        assert (stored["run_id"], stored["weights"]["file"]) == (run_id, f"{run_id}.safetensors")
        assert (old / "weights" / f"{run_id}.safetensors").is_file()
    assert load_planned(old) == {*now, "mrpc-never-run"}
    # The command that made the folder finds nothing to do.
    train(old, tiny_model, tiny_glue, "task=mrpc", "protocol=submit", "train.epochs=1", "train.save=all")
    assert "0 runs to do" in capsys.readouterr().out


def test_a_second_migration_changes_nothing(old, tiny_model):
    migrate_records.migrate(old, str(tiny_model))
    before = {path: path.read_bytes() for path in sorted(old.rglob("*")) if path.is_file()}
    assert migrate_records.migrate(old, str(tiny_model)) == ({}, [])
    assert {path: path.read_bytes() for path in sorted(old.rglob("*")) if path.is_file()} == before


def test_reading_old_records_says_how_to_migrate_them(old):
    with pytest.raises(Exception, match=r"migrate_records\.py"):
        load_records(old)


def test_the_wrong_encoder_is_refused_before_anything_is_written(old, tmp_path, tiny_model, capsys):
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    names = sorted(path.name for path in (old / "runs").iterdir())
    assert migrate_records.main([str(old), "--model", str(other)]) == 2
    assert find_checkpoint(str(other)).sha256[:12] in capsys.readouterr().err
    assert sorted(path.name for path in (old / "runs").iterdir()) == names


def test_two_runs_that_are_one_today_are_refused(old, tiny_model, capsys):
    path = old / "runs" / f"{OLD['holdout']}.json"
    twin = json.loads((old / "runs" / f"{OLD['submit']}.json").read_text())
    twin["run_id"], twin["config"]["protocol"] = OLD["holdout"], {"name": "paper"}
    path.write_text(json.dumps(twin))
    assert migrate_records.main([str(old), "--model", str(tiny_model)]) == 2
    assert "are one run in schema 2" in capsys.readouterr().err
