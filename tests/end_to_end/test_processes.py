"""A sweep in several processes: who starts them, what they leave, and what happens when one is killed."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch

import harness
from harness.training.device import device_title
from tests.fixtures.commands import PATIENCE, Forked, last_of_each, records, server
from tests.fixtures.glue_fixture import write_glue

SWEEP = ("--multirun", "task=mrpc,rte", "train.seed=0,1", "hydra.launcher.max_stack=2")
LONG = ("task=rte", "train.seed=0,1", "method=full", "train.epochs=240", "train.batch_size=8", "device=cpu",
        "hydra.launcher.devices=[cpu,cpu]")  # fmt: skip


@pytest.fixture
def two_threads(monkeypatch):
    """So many has this machine, as far as the command can tell; processes are forked from the tests' server."""
    server()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


@pytest.fixture
def where(tmp_path, tiny_model):
    glue = write_glue(tmp_path / "glue", tasks=["rte"])
    return [f"results_dir={tmp_path}/results", f"cache_dir={tmp_path}/cache", "model=local", f"model.name={tiny_model}",
            "data=local", f"data.path={glue}"]  # fmt: skip


def test_a_cpu_trains_its_stacks_side_by_side_and_comes_to_the_same(harness_run, tmp_path, two_threads):
    assert "2 processes" not in harness_run(*SWEEP, "hydra.launcher.processes=1").out
    status, out, err = harness_run(*SWEEP, results=tmp_path / "two")
    assert (status, err) == (0, [])
    assert "| device: cpu (2 processes) |" in out and "waiting" not in out
    assert re.findall(r"^\[./.\]", out, re.M) == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    alone, beside = records(tmp_path / "results"), records(tmp_path / "two")
    assert len(beside) == 4
    for run_id, record in beside.items():
        assert record["provenance"]["device"].endswith(", 1 thread")
        assert record["scores"] == alone[run_id]["scores"]
        assert record["training"] == alone[run_id]["training"]


def test_what_is_done_already_starts_no_process(harness_run, two_threads, monkeypatch):
    assert harness_run(*SWEEP).status == 0
    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", lambda self: pytest.fail("a process starts"))
    out = harness_run(*SWEEP).out
    assert "0 runs to do in 0 stacks (4 of 4 are done)" in out


def test_a_dry_run_counts_with_the_same_processes(harness_run, tmp_path, two_threads):
    assert harness_run(*SWEEP).status == 0

    def took(task, seconds):
        for path in (tmp_path / "results/runs").glob(f"{task}-*.json"):
            record = json.loads(path.read_text())
            record["time"] |= {"train_seconds": seconds - 100.0, "evaluate_seconds": 100.0}
            record["provenance"]["device"] = device_title(torch.device("cpu"))  # of two threads, as far as it can tell
            path.write_text(json.dumps(record))

    took("*", 1100)
    more = last_of_each(*SWEEP, "train.seed=2,3")  # two stacks of 1100 s
    assert "in total: 0:18:20 of training and evaluation by 2 processes; at most" in harness_run("--dry-run", *more).out
    out = harness_run("--dry-run", *more, "hydra.launcher.processes=1").out
    assert "in total: 0:36:40 of training and evaluation; at most" in out
    took("rte", 200)  # one process ends long before the other, which has MRPC's stack
    assert "in total: 0:18:20 of training and evaluation by 2 processes; at most" in harness_run("--dry-run", *more).out


def test_from_python_a_sweep_stays_in_its_process(two_threads, where, monkeypatch, capsys):
    """A new process would import the caller's script, and run it where it has no guard."""
    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", lambda self: pytest.fail("a process starts"))
    settings = {"train__epochs": 1, "train__max_length": 32, "device": "cpu"}
    found = harness.sweep("hydra.launcher.max_stack=1", *where, task="rte", train__seed=[0, 1], **settings)
    assert [record["status"] for record in found] == ["completed"] * 2
    assert "| device: cpu |" in capsys.readouterr().out


@pytest.mark.parametrize(("devices", "expected"), [("[cpu,cpu]", [3, 2, 1]), ("[cpu]", [1, 3, 2])])
def test_several_processes_begin_with_the_largest_stacks(where, monkeypatch, devices, expected):
    found = []

    def work(sweep):
        found.extend(stack[0].config.train.epochs for stack in sweep.stacks)
        return [run.record("failed", error="not trained") for run in sweep.runs]

    monkeypatch.setattr("harness.sweeps.sweep.Sweep.work", work)
    harness.sweep(f"hydra.launcher.devices={devices}", *where, task="rte", train__epochs=[1, 3, 2], device="cpu")
    assert found == expected


def test_what_a_killed_process_leaves_another_one_trains(tmp_path, where):
    process = Forked("--multirun", *last_of_each(*LONG, *where, "train.epochs=60"))
    wait_until(lambda: len(holders(tmp_path)) == 2, lambda: process.poll() is None)
    os.kill(min(holders(tmp_path)), signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert [record["status"] for record in records(tmp_path / "results").values()] == ["completed"] * 2
    assert "1 of 2 processes of this sweep were killed" in out


def test_the_processes_of_a_killed_command_write_checkpoints_and_end(tmp_path, where):
    process, folder = Forked("--multirun", *LONG, *where), tmp_path / "results/checkpoints"

    def both_train():
        process.send_signal(signal.SIGUSR1)
        return len(list(folder.glob("[!.]*"))) == 2

    # Before that a warning would end the command.
    wait_until(lambda: len(holders(tmp_path)) == 2, lambda: process.poll() is None)
    wait_until(both_train, lambda: process.poll() is None)
    trained = holders(tmp_path)
    for path in folder.glob("*"):
        path.unlink()
    process.kill()
    process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{one}").exists() for one in trained))
    assert {record["error"] for record in records(tmp_path / "results").values()} == {"interrupted"}
    assert len(list(folder.glob("*.safetensors"))) == 2


def holders(folder) -> set[int]:
    """The processes that have runs in training."""
    running = [run_id for run_id, one in records(folder / "results").items() if one["status"] == "running"]
    claims = (path.name for run_id in running for path in (folder / "results/locks" / run_id).glob("*-*-*"))
    return {int(name.split("-")[1]) for name in claims}


def wait_until(condition, goes_on=lambda: True):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert goes_on() and time.monotonic() < deadline
        time.sleep(0.02)
