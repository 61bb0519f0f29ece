"""Locks on runs between processes of one host and of several, which are simulated: no `flock` between them."""

import errno
import multiprocessing
import os
import random
import signal
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from harness.sweeps import locks
from harness.sweeps.locks import MISSED, LostLocksError, RunLocks, StopsAtLoss

RUN = ["run-a"]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def hosts(monkeypatch):
    """`hosts(name)`: from now on, this process is on that host, which `flock` of other hosts does not reach."""

    def be(name):
        monkeypatch.setattr(locks, "this_machine", lambda folder: name)
        monkeypatch.setattr(locks, "_lock", lambda file, shared=False: True)

    return be


def is_held(by, run_ids=RUN):
    with by.hold(run_ids) as held:
        return held


def looks(by, clock, count):
    """Whether the run could be held, at so many looks, a beat apart."""
    found = []
    for _ in range(count):
        clock.now += 10
        found.append(is_held(by))
    return found


def test_a_run_is_held_by_one_at_a_time(tmp_path):
    with RunLocks(tmp_path) as one, RunLocks(tmp_path) as other:
        with one.hold(RUN) as first, other.hold(RUN) as second:
            assert (first, second) == (True, False)
        assert is_held(other)
        with one.hold(["run-b"]), other.hold(["run-a", "run-b"]) as both:
            assert not both
            assert is_held(one), "who gets one of two runs keeps none"
    assert not list((tmp_path / "locks").rglob("*run-a/*")) and not list((tmp_path / "locks/processes").iterdir())


def test_a_holder_that_is_stopped_keeps_its_runs_where_flock_reaches(tmp_path):
    """Its file is never renewed again here, and its `flock` is what tells."""
    clock = Clock()
    with RunLocks(tmp_path, beat=1000) as stopped, RunLocks(tmp_path, beat=10, clock=clock) as other, stopped.hold(RUN):
        assert not any(looks(other, clock, 5 * MISSED))


def test_a_holder_on_another_host_is_dead_after_its_missed_beats(tmp_path, hosts):
    clock = Clock()
    hosts("a")
    with RunLocks(tmp_path, beat=1000) as stopped, stopped.hold(RUN):
        hosts("b")
        with RunLocks(tmp_path, beat=10, clock=clock) as other:
            assert looks(other, clock, MISSED + 1) == [False] * MISSED + [True]
            with pytest.raises(LostLocksError, match="others have taken over"):
                stopped.check()
            assert stopped.is_lost
            stopped.rejoin()
            stopped.check()
            assert is_held(stopped)


def test_a_beat_in_between_starts_the_count_again(tmp_path, hosts):
    clock = Clock()
    hosts("a")
    with RunLocks(tmp_path, beat=1000) as slow, slow.hold(RUN):
        hosts("b")
        with RunLocks(tmp_path, beat=10, clock=clock) as other:
            assert not any(looks(other, clock, MISSED))
            time.sleep(0.02)  # a file's time is as fine as the kernel's clock tick
            slow.check()  # renews it, as the heartbeat does
            assert looks(other, clock, MISSED + 1) == [False] * MISSED + [True]


def test_looks_count_and_not_the_time_between_them(tmp_path, hosts):
    """Many within a beat are one, and so is a late one: a file system that hangs stops the holder as well."""
    clock = Clock()
    hosts("a")
    with RunLocks(tmp_path, beat=1000) as slow, slow.hold(RUN):
        hosts("b")
        with RunLocks(tmp_path, beat=10, clock=clock) as other:
            for seconds in [0, *[0.5] * 10 * MISSED, 10_000, *[0.5] * MISSED]:
                clock.now += seconds
                assert not is_held(other)


def test_the_clock_of_the_file_system_is_not_compared_with_any_other(tmp_path, hosts):
    """A file of last year, and of next year, is as alive as one of now."""
    clock = Clock()
    hosts("a")
    with RunLocks(tmp_path, beat=1000) as slow, slow.hold(RUN):
        (file,) = (tmp_path / "locks/processes").iterdir()
        hosts("b")
        for moved in (-3e7, 3e7):
            os.utime(file, (time.time() + moved, time.time() + moved))
            with RunLocks(tmp_path, beat=10, clock=clock) as other:
                assert not is_held(other)


def test_two_that_claim_at_once_do_not_both_get_it(tmp_path, monkeypatch):
    """The second claims between the first one's look at the folder and its claim."""
    with RunLocks(tmp_path) as one, RunLocks(tmp_path) as other, ExitStack() as stack:
        original, found = one._others, []

        def look_late(run_id):
            seen = original(run_id)
            if not found:
                found.append(stack.enter_context(other.hold(RUN)))
            return seen

        monkeypatch.setattr(one, "_others", look_late)
        assert not is_held(one)
        assert found == [True]


@pytest.mark.parametrize(("number", "is_lost"), [(errno.ESTALE, True), (errno.EIO, False)])
def test_of_the_errors_of_renewing_only_a_stale_handle_is_a_loss(tmp_path, monkeypatch, number, is_lost):
    """NFS says so of a file that another host has removed; a file system that fails for once says nothing."""

    def utime(file):
        raise OSError(number, os.strerror(number))

    with RunLocks(tmp_path, beat=1000) as one:
        monkeypatch.setattr(os, "utime", utime)
        with nullcontext() if not is_lost else pytest.raises(LostLocksError):
            one.check()
        assert one.is_lost == is_lost


def test_a_holder_whose_file_cannot_be_opened_lives(tmp_path, monkeypatch):
    opens = os.open

    def refuse(path, *more, **options):
        if Path(path).parent.name == "processes":
            raise PermissionError(errno.EACCES, "another user's")
        return opens(path, *more, **options)

    with RunLocks(tmp_path) as one, RunLocks(tmp_path) as other, one.hold(RUN):
        monkeypatch.setattr(os, "open", refuse)
        assert not is_held(other)


def test_training_ends_at_the_step_after_a_loss(tmp_path, hosts):
    class Display:
        steps = ()

        def step(self, *progress):
            self.steps += (progress,)

    with RunLocks(tmp_path) as held:
        display = StopsAtLoss(Display(), held)
        display.step(1, 9, 0.5)
        next((tmp_path / "locks/processes").iterdir()).unlink()
        with pytest.raises(LostLocksError):
            held.check()
        with pytest.raises(LostLocksError):
            display.step(2, 9, 0.5)
        assert display.steps == ((1, 9, 0.5),)


def test_a_file_system_without_flock_has_the_heartbeat(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_lock", lambda file, shared=False: None)
    clock = Clock()
    with RunLocks(tmp_path, beat=1000) as stopped, RunLocks(tmp_path, beat=10, clock=clock) as other, stopped.hold(RUN):
        assert looks(other, clock, MISSED + 1) == [False] * MISSED + [True]


def test_holders_are_named_once_when_they_are_seen_again(tmp_path):
    """One that is seen for a moment may be a process of the same sweep that is about to train."""
    said = []
    with RunLocks(tmp_path) as one, RunLocks(tmp_path) as other:
        for _ in range(2):
            with one.hold(RUN):
                other.tell_holders(RUN, said.append)
            other.tell_holders(RUN, said.append)
        assert not said
        with one.hold(RUN):
            for _ in range(3):
                other.tell_holders(RUN, said.append)
    assert len(said) == 1 and f"(process {os.getpid()})" in said[0]


# Several processes. Each writes down when it begins and ends to hold the run; the lines of two holders never mix.

_FORK = multiprocessing.get_context("fork")
_BEAT = 0.3  # seconds; a busy machine may keep a process waiting for some of them


def contend(folder, host, seconds):
    if host:
        locks.this_machine = lambda _: host
        locks._lock = lambda file, shared=False: True
    dice, end = random.Random(os.getpid()), time.monotonic() + seconds
    with RunLocks(folder, beat=_BEAT) as mine, (folder / "journal").open("ab", buffering=0) as journal:
        while time.monotonic() < end:
            with mine.hold(RUN) as held:
                if held:
                    journal.write(f"begin {os.getpid()}\n".encode())
                    time.sleep(dice.uniform(0, 0.02))
                    mine.check()
                    journal.write(f"end {os.getpid()}\n".encode())
            time.sleep(dice.uniform(0, 0.01))


def start(folder, host=None, seconds=60.0):
    process = _FORK.Process(target=contend, args=(folder, host, seconds))
    process.start()
    return process


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def journal(folder):
    path = folder / "journal"
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def assert_one_holder_at_a_time(folder, killed=()):
    """Every begin is followed by its end, except that of a process that was killed."""
    holder = None
    for what, process in journal(folder):
        if what == "begin":
            assert holder is None or holder in killed, f"{process} began while {holder} held the run"
            holder = process
        else:
            assert holder == process, f"{process} ended what {holder} held"
            holder = None


@pytest.mark.process
@pytest.mark.parametrize("across_hosts", [False, True], ids=["one host", "several hosts"])
def test_never_two_holders_while_holders_are_killed_at_random_moments(tmp_path, across_hosts):
    dice, killed = random.Random(0), set()
    processes = [start(tmp_path, f"host{index}" if across_hosts else None) for index in range(4)]
    for number in range(6 if across_hosts else 12):
        before = len(journal(tmp_path))
        until(lambda before=before: len(journal(tmp_path)) > before + 2)
        time.sleep(dice.uniform(0, 0.03))
        victim = processes.pop(0)
        victim.kill()
        victim.join()
        killed.add(str(victim.pid))
        processes.append(start(tmp_path, f"host{number + 4}" if across_hosts else None))
    for process in processes:
        process.kill()
        process.join()
        killed.add(str(process.pid))
    assert_one_holder_at_a_time(tmp_path, killed)
    assert len({process for _, process in journal(tmp_path)}) > 2


@pytest.mark.process
@pytest.mark.parametrize("across_hosts", [False, True], ids=["one host", "several hosts"])
def test_a_holder_that_is_stopped_for_a_few_beats_is_not_robbed(tmp_path, across_hosts):
    first = start(tmp_path, "host0" if across_hosts else None)
    until(lambda: journal(tmp_path))
    second = start(tmp_path, "host1" if across_hosts else None)
    for _ in range(3):
        os.kill(first.pid, signal.SIGSTOP)
        time.sleep(3 * _BEAT)
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(3 * _BEAT)
    for process in (first, second):
        assert process.is_alive(), "its check has failed: it was robbed"
        process.kill()
        process.join()
    assert_one_holder_at_a_time(tmp_path, {str(first.pid), str(second.pid)})
