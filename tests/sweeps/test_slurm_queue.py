"""What `squeue`, played by a script, says of jobs."""

import pytest
from submitit.slurm.slurm import SlurmJob

from harness.sweeps.slurm_queue import QueueWatcher


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """`queue(lines)`: what squeue prints from now on; None: it fails, as without a controller."""
    (tmp_path / "bin").mkdir()
    command, answer = tmp_path / "bin/squeue", tmp_path / "answer"
    command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nPATH=/usr/bin:/bin exec cat {answer}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def prints(lines):
        answer.unlink(missing_ok=True)
        if lines is not None:
            answer.write_text("".join(f"{line}\n" for line in lines))

    return prints


@pytest.fixture
def watcher():
    found = QueueWatcher(delay_s=30)
    for job in ("12_0", "12_1", "15"):
        found.register_job(job)
    return found


def states(watcher):
    watcher.update()
    return {job: (watcher.get_state(job, mode="cache"), watcher.is_done(job, mode="cache")) for job in ("12_0", "12_1")}


def test_a_job_is_done_when_it_has_ended_and_not_while_it_may_run_again(queue, watcher):
    queue(["12_0 PENDING", "12_1 PREEMPTED", "15 RUNNING", "99 FAILED"])
    assert states(watcher) == {"12_0": ("PENDING", False), "12_1": ("PREEMPTED", False)}
    queue(["12_0 SUSPENDED", "12_1 COMPLETING", "15 RUNNING"])
    assert states(watcher) == {"12_0": ("SUSPENDED", False), "12_1": ("COMPLETING", False)}
    queue(["12_0 CANCELLED", "12_1 OUT_OF_MEMORY", "15 RUNNING"])
    assert states(watcher) == {"12_0": ("CANCELLED", True), "12_1": ("OUT_OF_MEMORY", True)}


def test_slurm_forgets_jobs_and_their_last_state_stands(queue, watcher):
    queue(["12_0 CANCELLED", "12_1 RUNNING", "15 RUNNING"])
    states(watcher)
    queue(["15 RUNNING"])
    assert states(watcher) == {"12_0": ("CANCELLED", True), "12_1": ("ENDED", True)}


def test_a_queue_that_does_not_answer_ends_no_job(queue, watcher):
    queue(None)
    assert states(watcher) == {"12_0": ("UNKNOWN", False), "12_1": ("UNKNOWN", False)}
    queue(["12_0 RUNNING", "12_1 RUNNING", "15 RUNNING"])
    states(watcher)
    queue(None)
    assert states(watcher) == {"12_0": ("RUNNING", False), "12_1": ("RUNNING", False)}


def test_all_jobs_are_asked_for_at_once_and_none_when_all_are_done(queue, watcher, tmp_path):
    queue(["12_0 FAILED", "12_1 TIMEOUT", "15 COMPLETED"])
    for _ in range(3):
        watcher.update()
    assert len((tmp_path / "asked").read_text().splitlines()) == 1
    assert watcher._finished == {"12_0", "12_1", "15"}


def test_submitits_jobs_ask_the_queue(queue, tmp_path, monkeypatch):
    from harness.sweeps.slurm_queue import ask_the_queue

    monkeypatch.setattr(SlurmJob, "watcher", SlurmJob.watcher)
    ask_the_queue()
    queue(["7 CANCELLED"])
    job = SlurmJob(tmp_path, "7")
    assert job.done() and job.state == "CANCELLED"
