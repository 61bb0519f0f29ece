"""Sweeps on a real Slurm of one node (`make test-slurm`): refusals, preemption, time limits, cancelled jobs.

A run takes some seconds on an idle machine, and writes a checkpoint every second. Slurm may take half a minute to act:
until then a job is stopped, and Slurm wakes it with whatever it sends.
"""

import os
import re
import subprocess
import time

import pytest

from tests.fixtures.commands import Forked, forked, last_of_each, python, records
from tests.fixtures.glue_fixture import write_glue

pytestmark = [pytest.mark.process, pytest.mark.slurm]

TRAIN = (
    "task=rte", "method=adapter", "method.bottleneck_size=4", "train.epochs=150", "train.batch_size=8",
    "train.max_length=32", "train.precision=fp32", "device=cpu", "checkpoint_minutes=0.02",
)  # fmt: skip
NAME = f"test-{os.getpid()}"  # of the jobs
LAUNCHER = (
    "hydra/launcher=submitit_slurm", f"hydra.launcher.name={NAME}", "hydra.launcher.partition=main",
    "hydra.launcher.gpus_per_node=null",
)  # fmt: skip
TIMELY = ("time", "memory", "provenance")
LONG = 900  # seconds, on a machine that does much else


@pytest.fixture(scope="module")
def overrides(tmp_path_factory, tiny_model):
    glue = write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte"])
    cache = tmp_path_factory.mktemp("cache")

    def of(results, *more):
        where = ["data=local", f"data.path={glue}", f"results_dir={results}", f"cache_dir={cache}"]
        of_model = ["model=local", f"model.name={tiny_model}"]
        return ["--multirun", *last_of_each(*TRAIN, *where, *of_model, "hydra.launcher.max_stack=1", *more)]

    return of


@pytest.fixture(scope="module")
def undisturbed(overrides, tmp_path_factory):
    """What seed 0 comes to without Slurm."""
    results = tmp_path_factory.mktemp("undisturbed")
    command = Forked(*overrides(results, "train.seed=0", "checkpoint_minutes=0"))
    _, err = command.communicate(timeout=LONG)
    assert command.returncode == 0, err
    return by_seed(results)[0]


@pytest.fixture
def slurm():
    """Slurm's commands; the jobs that are left at the end are cancelled."""

    def call(*words):
        return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True).stdout

    yield call
    call("scancel", "--full", "--me", f"--name={NAME}")


def by_seed(results):
    """The records without what depends on time."""
    found = records(results).values()
    return {r["config"]["train"]["seed"]: {k: v for k, v in r.items() if k not in TIMELY} for r in found}


def jobs_of(command):
    """The ids of the jobs, as the command has printed them."""
    found = until(lambda: re.search(r"on slurm \((.*)\); their logs", command.printed()))
    return found[1].split(", ")


def log_of(results, job):
    """All that a job has printed in all its attempts."""
    return "".join(path.read_text() for path in sorted((results / "jobs").glob(f"{job}_*_log.*")))


def until(condition, seconds=LONG):
    """What `condition` returns, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def until_saved(results, seed=0):
    """Until the run of that seed has written a checkpoint."""
    until(lambda: list((results / "checkpoints").glob(f"*-s{seed}-*.safetensors")))


def test_a_refused_partition_is_one_line_and_leaves_nothing_to_train(overrides, tmp_path):
    done = forked(*overrides(tmp_path, *LAUNCHER, "hydra.launcher.partition=nosuch", "train.seed=0,1"))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert "Invalid partition name specified" in done.stderr
    assert done.stderr.endswith("; change hydra.launcher.partition\n")
    assert not records(tmp_path)


def test_a_preempted_job_is_queued_again_and_goes_on(overrides, tmp_path, slurm, undisturbed):
    command = Forked(*overrides(tmp_path, *LAUNCHER, "train.seed=0"))
    (job,) = jobs_of(command)
    until_saved(tmp_path)
    slurm("scancel", "--signal=STOP", job)
    slurm("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    until(lambda: "Bypassing signal SIGTERM" in log_of(tmp_path, job))
    slurm("scancel", "--signal=STOP", job)  # where training is fast, it would end before its time of grace
    _, err = command.communicate(timeout=LONG)
    assert command.returncode == 0, err
    log = log_of(tmp_path, job)
    assert "DUE TO PREEMPTION" in log and log.count("resuming RTE adapter at step") == 1
    assert by_seed(tmp_path) == {0: undisturbed}


def test_a_job_whose_time_is_over_is_queued_again_and_goes_on(overrides, tmp_path, slurm, undisturbed):
    command = Forked(*overrides(tmp_path, *LAUNCHER, "hydra.launcher.signal_delay_s=20", "train.seed=0"))
    (job,) = jobs_of(command)
    until_saved(tmp_path)
    slurm("scancel", "--signal=STOP", job)
    slurm("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    until(lambda: "Requeued job" in log_of(tmp_path, job))
    slurm("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    _, err = command.communicate(timeout=LONG)
    assert command.returncode == 0, err
    assert log_of(tmp_path, job).count("resuming RTE adapter at step") == 1
    assert by_seed(tmp_path) == {0: undisturbed}


def test_a_job_that_may_not_be_queued_again_is_reported_and_the_same_command_goes_on(
    overrides, tmp_path, slurm, undisturbed
):
    """One whose time is over; submitit takes a limit of at most ten minutes for over at the first warning."""
    limit = ("hydra.launcher.timeout_min=10", "hydra.launcher.max_num_timeout=0")
    command = Forked(*overrides(tmp_path, *LAUNCHER, *limit, "train.seed=0"))
    (job,) = jobs_of(command)
    until_saved(tmp_path)
    slurm("scancel", "--signal=USR2", job)
    out, err = command.communicate(timeout=LONG)
    assert command.returncode == 1
    assert f"job {job} ended with an error; its log: " in out and "1 of 1 runs did not complete" in err
    assert "timed-out too many times" in log_of(tmp_path, job)
    (record,) = records(tmp_path).values()
    assert (record["status"], record["error"]) == ("failed", "interrupted")
    again = Forked(*overrides(tmp_path, "train.seed=0"))
    out, err = again.communicate(timeout=LONG)
    assert again.returncode == 0 and "resuming RTE adapter at step" in out, err
    assert by_seed(tmp_path) == {0: undisturbed}


def test_of_three_jobs_one_is_cancelled_and_one_requeued(overrides, tmp_path, slurm, undisturbed):
    """The other two complete, the records say which run is missing, and the same command trains it."""
    arguments = overrides(tmp_path, *LAUNCHER, "train.seed=2,1,0")
    command = Forked(*arguments)
    _, cancelled, requeued = jobs_of(command)
    until_saved(tmp_path, seed=1)
    slurm("scancel", cancelled)
    until_saved(tmp_path, seed=0)
    slurm("scontrol", "requeue", requeued)
    out, err = command.communicate(timeout=LONG)
    assert command.returncode == 1
    how = f"job {cancelled} ended without a result (cancelled); its log: "
    assert how in out and how in err and "1 of 3 runs did not complete" in err
    found = by_seed(tmp_path)
    assert found[0] == undisturbed and found[2]["status"] == "completed"
    assert found[1]["status"] == "failed" and how in found[1]["error"]
    assert "resuming RTE adapter at step" in log_of(tmp_path, requeued)
    report = python("-m", "harness.report", tmp_path)
    assert report.returncode == 0 and "1 failed" in report.stdout, report.stdout
    again = Forked(*arguments)
    (job,) = jobs_of(again)
    out, err = again.communicate(timeout=LONG)
    assert again.returncode == 0, err
    assert "1 run to do in 1 job on slurm" in out and "resuming RTE adapter at step" in log_of(tmp_path, job)
    assert {record["status"] for record in by_seed(tmp_path).values()} == {"completed"}
