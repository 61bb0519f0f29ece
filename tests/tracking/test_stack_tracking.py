"""Trackers and training: none is needed, none changes a run, and none that fails ends one."""

import sys
from types import ModuleType

import pytest

import harness
from harness.tracking import stack_tracking
from tests.fixtures.commands import records


class Notes:
    """Takes the place of a tracker: notes what it is told, and raises where `fails` says so."""

    fails: frozenset[str] = frozenset()
    told: list = []  # noqa: RUF012  (one list for all runs)

    def __init__(self, run, settings):
        self.run = run
        self._tell("open", settings)

    def log(self, rows):
        self._tell("log", rows)

    def close(self, status, record):
        self._tell("close", (status, record))

    def _tell(self, what, value):
        self.told.append((what, self.run.id, value))
        if what in self.fails:
            raise ConnectionError("no server\nanswers")


@pytest.fixture
def notes(monkeypatch):
    """The class that stands in for TensorBoard's."""
    module = ModuleType("stand-in")
    module.RunTracker = type("RunTracker", (Notes,), {"told": []})
    monkeypatch.setitem(sys.modules, "harness.tracking.tensorboard", module)
    monkeypatch.setitem(stack_tracking.TRACKERS, "tensorboard", "json")
    return module.RunTracker


SWEEP = ("--multirun", "task=rte", "train.learning_rate=1e-3,1e-2", "tracker=tensorboard")


def test_each_replica_is_opened_told_and_closed_with_its_record(harness_run, notes, tmp_path):
    assert harness_run(*SWEEP).status == 0
    for run_id, record in records(tmp_path / "results").items():
        own = [(what, value) for what, name, value in notes.told if name == run_id]
        assert [what for what, _ in own] == ["open", "log", "log", "log", "log", "close"]  # 12 steps, read every 5
        status, given = own[-1][1]
        assert status == "completed" and given["scores"] == record["scores"]
        last = own[-2][1][-1]
        assert last[0] == 12 and last[1]["validation/accuracy"] == record["scores"]["validation"]["accuracy"]


def test_a_tracker_enters_neither_the_run_id_nor_the_numbers(harness_run, notes, tmp_path):
    harness_run(*SWEEP)
    harness_run(*SWEEP[:-1], results=tmp_path / "untracked")
    tracked, untracked = records(tmp_path / "results"), records(tmp_path / "untracked")
    assert set(tracked) == set(untracked)
    for run_id, record in tracked.items():
        assert record["config"] == untracked[run_id]["config"]
        assert record["training"]["history"] == untracked[run_id]["training"]["history"]


@pytest.mark.parametrize("moment", ["open", "log", "close"])
def test_a_tracker_that_fails_warns_once_and_training_goes_on(harness_run, notes, moment, tmp_path):
    notes.fails = {moment}
    done = harness_run(*SWEEP, "hydra.launcher.max_stack=1")  # two stacks, one warning
    assert done.status == 0
    (line,) = [line for line in done.err if "tracker" in line]
    assert line == "tracker=tensorboard failed (ConnectionError: no server answers); training goes on without it"
    assert {record["status"] for record in records(tmp_path / "results").values()} == {"completed"}
    assert len([what for what, _, _ in notes.told if what == "open"]) == 1  # the second stack does not try again
    notes.told.clear()
    assert harness_run(*SWEEP, "train.seed=1").status == 0  # the next command does
    assert notes.told


def test_an_error_in_training_ends_the_tracked_runs_as_failed(harness_run, notes, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr("harness.sweeps.stack.train", fails)
    assert harness_run(*SWEEP[1:2], "tracker=tensorboard").status == 1
    assert notes.told[-1][0] == "close" and notes.told[-1][2] == ("failed", None)


def test_a_diverged_run_ends_as_such_and_has_no_losses_that_are_none(harness_run, notes):
    assert harness_run("task=rte", "train.learning_rate=1e30", "tracker=tensorboard").status == 1
    assert notes.told[-1][0] == "close" and notes.told[-1][2][0] == "diverged"
    losses = [values["train/loss"] for what, _, rows in notes.told if what == "log" for _, values in rows[:-1]]
    assert all(loss == loss for loss in losses)


def test_a_baseline_without_losses_is_tracked_too(harness_run, notes):
    assert harness_run("task=rte", "method=tfidf", "tracker=tensorboard").status == 0
    assert [what for what, _, _ in notes.told] == ["open", "log", "close"]


def test_a_missing_package_is_one_line_before_any_work(harness_run, monkeypatch, tmp_path):
    monkeypatch.setitem(stack_tracking.TRACKERS, "wandb", "a_package_that_is_not_there")
    done = harness_run("task=rte", "tracker=wandb")
    assert done.status == 2 and len(done.err) == 1
    assert "tracker=wandb needs a_package_that_is_not_there: pip install" in done.err[0]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["tracker=wnadb"], ["wnadb", "choose one of", "wandb"]),
        (["tracker=wandb", "tracker.wandb.mode=on"], ["tracker.wandb.mode", "offline"]),
        (["tracker=wandb", "tracker.wandb.projct=a"], ["projct", "project"]),
        (["tracker=null"], ["null is no option"]),
        (["--multirun", "tracker=none,wandb"], ["tracker.wandb.use", "same for all runs"]),
    ],
)
def test_what_does_not_fit_is_one_line(harness_run, overrides, words):
    done = harness_run("task=rte", *overrides)
    assert done.status == 2 and len(done.err) == 1
    assert all(word in done.err[0] for word in words), done.err[0]


def test_the_group_is_the_results_folder_unless_it_is_named(harness_run, notes):
    class Grouped(notes):
        groups: list = []  # noqa: RUF012

        def __init__(self, run, settings):
            self.groups.append(run.group)
            super().__init__(run, settings)

    sys.modules["harness.tracking.tensorboard"].RunTracker = Grouped
    harness_run("task=rte", "tracker=tensorboard")
    harness_run("task=rte", "tracker=tensorboard", "train.seed=3", "tracker.group=rates")
    assert Grouped.groups == ["results", "rates"]


def test_importing_the_trackers_needs_none_of_them():
    assert harness.tracking is sys.modules["harness.tracking"]
    assert not {"wandb", "mlflow", "trackio"} & set(vars(stack_tracking))
