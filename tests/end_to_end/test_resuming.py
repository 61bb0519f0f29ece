"""Killed, interrupted and concurrent sweeps, as real processes."""

import random
import re
import signal
import time

import pytest

from harness.commands import report
from tests.fixtures.commands import PATIENCE, Forked, records
from tests.fixtures.glue_fixture import write_glue

pytestmark = pytest.mark.process

# 8 runs in 4 stacks of 2, long enough to be killed in between.
SWEEP = [
    *("--multirun", "task=rte", "method.bottleneck_size=2,4", "train.learning_rate=1e-3,1e-2", "train.seed=0,1"),
    *("train.epochs=8", "train.batch_size=8", "train.max_length=32", "device=cpu", "hydra.launcher.max_stack=2"),
]
TIMELY = ("time", "memory", "provenance")


@pytest.fixture(scope="module")
def start(tmp_path_factory, tiny_model):
    glue = write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte"])
    cache = tmp_path_factory.mktemp("cache")

    def call(results) -> Forked:
        where = [f"results_dir={results}", f"cache_dir={cache}", "model=local", f"model.name={tiny_model}"]
        return Forked(*SWEEP, *where, GLUE_DIR=str(glue))

    return call


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    process = start(results)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return timeless(results)


def timeless(results):
    """The records without what depends on time."""
    found = records(results)
    return {run_id: {k: v for k, v in record.items() if k not in TIMELY} for run_id, record in found.items()}


def wait_for_training(process, results, count):
    """Until that many records are there, of whatever status, or the process has ended."""
    deadline = time.monotonic() + PATIENCE
    while len(list((results / "runs").glob("*.json"))) < count and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_sweep_killed_five_times_ends_as_an_undisturbed_one(start, tmp_path, undisturbed):
    dice = random.Random(0)
    kills = 0
    for attempt in range(5):
        process = start(tmp_path)
        # At every kill further, so that all stages of the sweep are hit.
        wait_for_training(process, tmp_path, 3 * attempt // 2 + 1)
        time.sleep(dice.uniform(0, 0.4))
        if process.poll() is None:
            process.kill()
            kills += 1
        process.communicate()
    assert kills >= 3
    process = start(tmp_path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert timeless(tmp_path) == undisturbed
    assert {record["status"] for record in records(tmp_path).values()} == {"completed"}
    again = start(tmp_path)
    out, _ = again.communicate()
    assert "0 runs to do" in out


def test_two_sweeps_at_once_train_each_run_once(start, tmp_path, undisturbed):
    processes = [start(tmp_path), start(tmp_path)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    trained = [run for out in outputs for run in re.findall(r"^\[\d+/8\] (.*seed \d)", out, re.M)]
    assert len(trained) == len(set(trained)) == 8
    assert timeless(tmp_path) == undisturbed


def test_an_interrupt_keeps_what_is_done_and_tells_how_to_go_on(start, tmp_path):
    process = start(tmp_path)
    wait_for_training(process, tmp_path, 4)  # the second stack of two is in training
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    lines = err.strip().splitlines()
    assert lines[-2].startswith("interrupted") and lines[-1].strip().startswith("python -m harness.run --multirun")
    assert "Traceback" not in err
    found = records(tmp_path).values()
    assert {record["status"] for record in found} <= {"completed", "failed"}
    assert any(record["error"] == "interrupted" for record in found)


def written(results):
    """When a record was last written: before the next one, a report would only be the same again."""
    runs = results / "runs"
    return runs.stat().st_mtime_ns if runs.exists() else 0


def test_a_report_at_any_time_while_a_sweep_writes(start, tmp_path, capsys):
    process, statuses, before = start(tmp_path), [], None
    while process.poll() is None:
        if (now := written(tmp_path)) == before:
            time.sleep(0.01)
            continue
        before = now
        statuses.append(report.main([str(tmp_path)]))
        err = capsys.readouterr().err
        assert (statuses[-1], err.count("\n")) in ((0, 0), (2, 1)), err
    assert process.communicate()[1] == ""
    assert statuses == sorted(statuses, reverse=True), "once there are records, there is a report"
    assert statuses.count(0) > 1
    assert report.main([str(tmp_path)]) == 0
    assert "8 completed" in (tmp_path / "tables/NOTES.md").read_text()
