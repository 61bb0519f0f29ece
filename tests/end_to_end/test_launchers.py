"""Other launchers and sweepers than the default ones, through the real command."""

import pytest
import yaml

from tests.fixtures.commands import forked, last_of_each, records
from tests.fixtures.glue_fixture import write_glue

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, tiny_model):
    glue = write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte"])
    cache = tmp_path_factory.mktemp("cache")

    def call(results, *overrides):
        return forked(
            "--multirun",
            *last_of_each(
                "task=rte", "method.bottleneck_size=4", "train.max_length=32", "device=cpu", "model=local",
                f"model.name={tiny_model}", f"results_dir={results}", f"cache_dir={cache}", *overrides,
            ),
            GLUE_DIR=str(glue),
        )  # fmt: skip

    return call


def test_optuna_gets_the_scores(sweep, tmp_path):
    """Six trials in rounds of three; each round is a stack, and the best value is the best record's accuracy."""
    done = sweep(
        tmp_path, "hydra/sweeper=optuna", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1",
        "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=3",
        "train.learning_rate=tag(log,interval(1e-4,1e-2))",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = records(tmp_path).values()
    assert len(found) == 6
    assert all(len(record["training"]["stack"]) == 3 for record in found)
    best = yaml.safe_load((tmp_path / "sweeps/optimization_results.yaml").read_text())
    scores = {r["config"]["train"]["learning_rate"]: r["scores"]["validation"]["accuracy"] for r in found}
    assert best["best_value"] == max(scores.values())
    assert scores[best["best_params"]["train.learning_rate"]] == best["best_value"]


def test_the_basic_launcher_trains_run_by_run(sweep, tmp_path):
    done = sweep(tmp_path, "hydra/launcher=basic", "train.seed=0,1")
    assert done.returncode == 0, done.stderr
    found = records(tmp_path).values()
    assert [len(record["training"]["stack"]) for record in found] == [1, 1]


def test_submitit_runs_one_job_per_stack_and_resumes(sweep, tmp_path):
    first = sweep(tmp_path, "train.seed=0")
    assert first.returncode == 0, first.stderr
    arguments = ("hydra/launcher=submitit_local", "hydra.launcher.max_stack=2", "train.seed=0,1,2,3")
    done = sweep(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "3 runs to do in 2 jobs on local" in done.stdout
    found = records(tmp_path)
    assert {record["status"] for record in found.values()} == {"completed"}
    assert sorted(len(record["training"]["stack"]) for record in found.values()) == [1, 1, 2, 2]
    assert len(list((tmp_path / "jobs").glob("*_submitted.pkl"))) == 2
    commands = {record["provenance"]["command"].split(" task=")[0] for record in found.values()}
    assert commands == {"python -m harness.run --multirun"}, "records name the command that was typed, not submitit's"
    again = sweep(tmp_path, *arguments)
    assert "0 runs to do in 0 jobs" in again.stdout


def test_a_failed_job_of_a_cluster_is_reported(sweep, tmp_path):
    """The jobs' machine lacks the device that they ask for: no record is written, and the command says so."""
    done = sweep(tmp_path, "hydra/launcher=submitit_local", "train.seed=0,1", "device=cuda:99")
    assert done.returncode == 1
    assert "2 of 2 runs did not complete" in done.stderr
    assert "ended with an error; its log" in done.stdout
