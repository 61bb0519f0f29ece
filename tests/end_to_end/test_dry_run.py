"""`--dry-run`: what a command would do, without doing it."""

import json

import pytest
from omegaconf import OmegaConf

from harness.config import RunConfig
from harness.errors import UserError
from harness.records.record import record_path
from harness.sweeps.session import Launch, Session

SWEEP = ("--multirun", "train.seed=0,1,2", "method.bottleneck_size=4,8", "hydra.launcher.max_stack=5")


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sweep_is_described_and_nothing_is_written(harness_run, tmp_path):
    status, out, err = harness_run("--dry-run", *SWEEP)
    assert (status, err) == (0, [])
    assert "6 runs: 6 to do in 2 stacks\n" in out
    stacks = [line.split("GB")[1].strip() for line in out.splitlines() if line.startswith("stack")]
    assert stacks == [
        "MRPC adapter  size/lr/seed 4/3e-4/0, 8/3e-4/0, 4/3e-4/1, 8/3e-4/1, 4/3e-4/2",
        "MRPC adapter  size 8  lr 3e-4  seed 2",
    ]
    assert "in total: 0:0" in out
    assert "time of 2 stacks: from a few batches measured now" in out
    assert not (tmp_path / "results").exists()


def test_runs_without_an_encoder_are_listed_without_a_time(harness_run):
    out = harness_run("--dry-run", "--multirun", "method=tfidf,adapter").out
    assert "2 runs: 2 to do in 2 stacks\n" in out
    (line,) = [line for line in out.splitlines() if line.endswith("MRPC tfidf")]
    assert "time not known" in line
    assert "in total: at least 0:0" in out
    assert "time of 1 stack: not known; no encoder, little memory" in out


def test_finished_runs_are_kept_and_the_others_repeated(harness_run, tmp_path):
    results = tmp_path / "results"
    assert harness_run("--multirun", "train.seed=0,1", "method.bottleneck_size=4").status == 0
    _, second = sorted((results / "runs").glob("*.json"))
    record = json.loads(second.read_text())
    second.write_text(json.dumps(record | {"status": "failed", "error": "interrupted"}))
    before = files(results)
    out = harness_run("--dry-run", *SWEEP).out
    assert "6 runs: 5 to do in 2 stacks; kept: 1 completed; repeated: 1 interrupted\n" in out
    assert "kept" in next(line for line in out.splitlines() if line.startswith("completed  1 run"))
    assert files(results) == before
    assert record_path(results, record["run_id"]) == second


def test_times_come_from_records_of_the_same_kind(harness_run, tmp_path):
    assert harness_run("method.bottleneck_size=4").status == 0
    (path,) = (tmp_path / "results/runs").glob("*.json")
    record = json.loads(path.read_text())
    record["time"] |= {"train_seconds": 1000.0, "evaluate_seconds": 100.0}
    path.write_text(json.dumps(record))
    out = harness_run("--dry-run", "method.bottleneck_size=4", "train.seed=5", "train.epochs=6").out
    assert "time of 1 stack: from records of the same kind" in out
    assert "in total: 0:51:40 of" in out  # three times as many epochs as the record's two


def test_mistakes_are_those_of_a_real_run(harness_run, tmp_path):
    for wrong, words in (("train.max_length=500", "positions"), ("hydra.launcher.max_stack=0", "at least 1")):
        status, out, err = harness_run("--dry-run", "--multirun", wrong)
        assert (status, out, len(err)) == (2, "", 1)
        assert words in err[0]
    (tmp_path / "file").touch()
    assert "cannot be written" in harness_run("--dry-run", results=tmp_path / "file").err[0]


def test_runs_that_depend_on_scores_cannot_be_foreseen():
    hydra = OmegaConf.create({"sweeper": {"_target_": "hydra_plugins.optuna.OptunaSweeper"}})
    with pytest.raises(UserError, match="hydra/sweeper"):
        Session(dry_run=True).plan(Launch([RunConfig()]), hydra)
