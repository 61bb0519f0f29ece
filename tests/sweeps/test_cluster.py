"""Submission to a cluster that refuses, with stand-ins for Slurm's commands."""

import pickle
import signal
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from submitit.core.utils import UncompletedJobError

from harness.commands import run
from harness.config import RunConfig
from harness.interrupts import SIGNALS
from harness.records.record import read_record, write_record
from harness.sweeps import cluster, jobs
from harness.sweeps.cluster import remedy
from harness.sweeps.cluster_job import ClusterJob
from harness.sweeps.locks import RunLocks
from harness.sweeps.sweep import Sweep
from tests.fixtures.commands import python
from tests.sweeps.test_sweep import make_run

FAILED = "Batch job submission failed: "
# Slurm's words and the option that its user has to change.
REFUSALS = {
    f"invalid partition specified: nosuch\n{FAILED}Invalid partition name specified": "partition",
    f"{FAILED}Invalid generic resource (gres) specification": "gpus_per_node",
    f"{FAILED}Invalid account or account/partition combination specified": "account",
    f"{FAILED}Invalid qos specification": "qos",
    f"{FAILED}Invalid feature specification": "constraint",
    f"{FAILED}Invalid node name specified": "exclude",
    f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)": "timeout_min",
    f"{FAILED}Requested node configuration is not available": "gpus_per_node, cpus_per_task or mem_gb",
    "Memory specification can not be satisfied": "mem_gb",
    "CPU count per node can not be satisfied": "cpus_per_task",
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Puts `srun` and an `sbatch` that refuses with these words (None: no sbatch) alone on the PATH."""

    def install(words):
        commands = tmp_path / "bin"
        commands.mkdir()
        scripts = {"srun": "exit 0", "sbatch": f"cat >&2 <<'END'\n{words}\nEND\nexit 1"}
        for name, body in scripts.items():
            if name == "srun" or words is not None:
                (commands / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")
                (commands / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(commands))

    return install


@pytest.fixture
def submit(tmp_path, tiny_model, capsys):
    """A sweep of two runs through `hydra/launcher=submitit_slurm`: status and lines of standard error."""

    def call():
        status = run.main(
            [
                "--multirun", "hydra/launcher=submitit_slurm", "hydra.launcher.max_stack=1", "task=rte",
                "train.seed=0,1", "data=synthetic", "model=local", f"model.name={tiny_model}",
                f"results_dir={tmp_path / 'results'}",
            ]
        )  # fmt: skip
        return status, capsys.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize("words", list(REFUSALS)[:2])
def test_a_refused_submission_is_one_line_with_slurms_words_and_the_option_to_change(slurm, submit, words):
    slurm("\n".join(f"sbatch: error: {line}" for line in words.splitlines()))
    status, lines = submit()
    assert (status, len(lines)) == (2, 1), lines
    for line in words.splitlines():
        assert line in lines[0]
    assert lines[0].endswith(f"; change hydra.launcher.{REFUSALS[words]}")


@pytest.mark.parametrize("words", REFUSALS)
def test_the_option_to_change_follows_from_slurms_words(words):
    assert remedy(words) == f"change hydra.launcher.{REFUSALS[words]}"


def test_other_refusals_name_where_the_options_are():
    assert "--cfg hydra" in remedy("Unable to contact slurm controller (connect failure)")


def test_a_machine_without_sbatch_is_reported(slurm, submit):
    slurm(None)
    status, lines = submit()
    assert (status, len(lines)) == (2, 1), lines
    assert "sbatch" in lines[0]


def test_a_machine_without_slurm_is_reported(submit, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, lines = submit()
    assert (status, len(lines)) == (2, 1), lines
    assert "srun" in lines[0]


def test_the_folder_of_a_jobs_log_is_there_before_the_job_can_start(slurm, submit, tmp_path):
    slurm("")
    body = """out=$(sed -n 's/#SBATCH --output=//p' "$1"); [ -d "$(dirname "$out")" ] && echo it is there >&2; exit 1"""
    (tmp_path / "bin/sbatch").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")
    _, (line,) = submit()
    assert "it is there" in line


def test_a_job_writes_its_checkpoint_before_submitit_queues_it_again(monkeypatch):
    """submitit has installed its handlers by then: SIGUSR2 ends the job, SIGTERM is passed over."""
    order = []

    def train(configs, *, max_stack):
        with SIGNALS.first(lambda: order.append("checkpoint")):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGUSR2)

    def queue_again(number, frame):
        order.append("queued again")
        raise SystemExit(-1)

    monkeypatch.setattr(jobs, "run_all", train)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    signal.signal(signal.SIGTERM, lambda *_: order.append("passed over"))
    signal.signal(signal.SIGUSR2, queue_again)
    try:
        with pytest.raises(SystemExit):
            ClusterJob([], 4, ["task=rte"])()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert order == ["checkpoint", "passed over", "checkpoint", "queued again"]


def test_a_job_that_may_not_be_queued_again_ends_with_submitits_words(monkeypatch):
    """And not with a failed stack, whose halves would be trained next, in a job whose time is over."""

    def train(configs, *, max_stack):
        try:
            signal.raise_signal(signal.SIGUSR2)
        except Exception:
            pytest.fail("the sweep would take it for a failure of what it trains")

    def refuse(number, frame):
        raise RuntimeError("timed-out too many times")

    monkeypatch.setattr(jobs, "run_all", train)
    before = signal.signal(signal.SIGUSR2, refuse)
    try:
        with pytest.raises(RuntimeError, match="timed-out too many times"):
            ClusterJob([], 4, [])()
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.process
def test_a_job_is_loaded_without_torch():
    """Until submitit has loaded it and installed its handlers, Slurm's warning kills the job."""
    code = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1])); sys.exit('torch' in sys.modules)"
    job = pickle.dumps(ClusterJob([RunConfig()], 4, ["task=rte"]))
    done = python("-c", code, job.hex())
    assert done.returncode == 0, done.stderr


class Job:
    """A job that has ended without a result: it was cancelled."""

    job_id, state = "7", "CANCELLED"

    class paths:  # noqa: N801 (submitit's name)
        stderr = "7.err"

    def done(self):
        return True

    def exception(self):
        return UncompletedJobError("no output")


def test_what_a_cancelled_job_left_open_has_failed(tmp_path):
    first, second = make_run(0), make_run(1, seed=1)
    sweep = Sweep([first, second], results_dir=tmp_path)
    write_record(tmp_path, first.record("completed"))
    write_record(tmp_path, second.record("running"))
    cluster._watch(sweep, [Job()], [[first, second]])
    assert read_record(tmp_path, first.id)["status"] == "completed"
    assert read_record(tmp_path, second.id)["error"] == "job 7 ended without a result (cancelled); its log: 7.err"


def test_runs_of_an_ended_job_that_another_process_trains_are_waited_for(tmp_path, monkeypatch, capsys):
    """The job's own process on another host, until its heartbeat is missed, looks the same."""
    run = make_run()
    write_record(tmp_path, run.record("running"))
    with RunLocks(tmp_path) as others, ExitStack() as held:
        held.enter_context(others.hold([run.id]))
        polls = []

        def sleep(seconds):
            polls.append(seconds)
            if len(polls) == 3:
                write_record(tmp_path, run.record("completed"))
                held.close()

        monkeypatch.setattr(cluster, "time", SimpleNamespace(sleep=sleep))
        cluster._watch(Sweep([run], results_dir=tmp_path), [Job()], [[run]])
    assert len(polls) == 3 and read_record(tmp_path, run.id)["status"] == "completed"
    assert capsys.readouterr().out.count("waiting for runs that others train") == 1
