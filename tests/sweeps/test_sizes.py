"""How many runs train at once: what fits, what was started, and what was killed."""

import json
import os
import time
from contextlib import suppress

import pytest
import torch

from harness.records.record import write_record
from harness.sweeps.checkpoints import checkpoint_path
from harness.sweeps.fit import fit, parts
from harness.sweeps.sizes import SHARE, Sizes
from harness.sweeps.stacks import make_stacks
from harness.sweeps.starts import forget_start, note_start, start_of
from harness.sweeps.sweep import Sweep
from harness.training.available import Available
from harness.training.stack_checkpoint import write_state
from harness.training.stack_state import Saved
from tests.sweeps.test_sweep import Training, make_run, runs

CPU = torch.device("cpu")
GB = 10**9


class Needs:
    """Runs of a GB each, and of three at most; `asked` has the stacks that were tried."""

    device = CPU

    def __init__(self):
        self.asked = []

    def bound(self, stack):
        return 3 * len(stack) * GB

    def growth(self, stack):
        if stack[0].task.name == "rte":
            raise RuntimeError("no rows")
        self.asked.append(len(stack))
        return len(stack) * GB


def there(gigabytes):
    return lambda device: Available(int(gigabytes * GB / SHARE) + 100, "free on this machine")


def sized(tmp_path, stacks, gigabytes, devices=("cpu",)):
    return fit(tmp_path, stacks, Needs(), devices, there(gigabytes))


def lengths(groups):
    return [len(group) for group in groups]


@pytest.mark.parametrize(("gigabytes", "expected"), [(9, [4, 4]), (3.5, [3, 1, 3, 1]), (2, [2] * 4), (0.5, [1] * 8)])
def test_a_stack_is_cut_to_what_fits_and_one_run_trains_whatever_there_is(tmp_path, gigabytes, expected):
    stacks = make_stacks(runs(8), 4)
    sizes, lines = sized(tmp_path, stacks, gigabytes)
    assert [count for stack in stacks for count in lengths(parts(sizes, stack, CPU))] == expected
    assert len(lines) == (gigabytes < 4) + (gigabytes < 1)


@pytest.mark.parametrize(("gigabytes", "tried"), [(25, []), (23, [1, 2, 3, 4])])
def test_a_stack_is_tried_only_where_memory_is_not_plainly_enough(tmp_path, gigabytes, tried):
    needs, (stack,) = Needs(), make_stacks(runs(4), 4)
    sizes, lines = fit(tmp_path, [stack], needs, ("cpu",), there(gigabytes))
    assert (needs.asked, lines) == (tried, [])
    assert list(sizes.growths[stack[0].id]) == [count * GB * (1 if tried else 3) for count in range(1, 5)]


def test_the_lines_name_both_figures_and_what_to_do(tmp_path):
    stacks = [*make_stacks(runs(4), 4), *make_stacks(runs(3, task="cola"), 4), *make_stacks(runs(2, task="rte"), 4)]
    cut, alone = sized(tmp_path, stacks, 0.9)[1]
    assert cut == (
        "memory: 4.0 GB are expected to be needed, 1.1 GB are free on this machine (MRPC adapter x4 and 1 further "
        "stack): cut to 1 run at once"
    )
    assert alone.startswith("memory: 1.0 GB are expected to be needed, 1.1 GB are free on this machine (")
    assert "one run alone): it starts all the same; should it fail, set train.micro_batch_size=16" in alone


def test_processes_on_one_device_share_its_memory(tmp_path):
    stacks = make_stacks(runs(4), 4)
    assert lengths(parts(sized(tmp_path, stacks, 4, ("cpu", "cpu"))[0], stacks[0], CPU)) == [2, 2]
    assert lengths(parts(sized(tmp_path, stacks, 4, ("cuda:0", "cuda:1"))[0], stacks[0], CPU)) == [4]


def test_memory_that_others_have_taken_since_cuts_a_stack_when_it_starts(tmp_path, capsys):
    every, training = runs(4), Training()
    sweep = Sweep(every, results_dir=tmp_path, train_stack=training)
    sweep.sizes = Sizes(tmp_path, {run.id: [GB, 2 * GB, 3 * GB, 4 * GB] for run in every}, there(3))
    sweep.work()
    assert lengths(training.trained) == [3, 1]
    assert "4.0 GB are expected to be needed, 3.8 GB are free on this machine: MRPC trains 3 runs at once" in (
        capsys.readouterr().out
    )
    said = []
    assert Sizes(tmp_path, sweep.sizes.growths, there(4)).next(every, CPU, said.append) == 4 and not said


def test_a_stack_goes_on_in_the_composition_of_its_checkpoint_whatever_memory_there_is(tmp_path):
    every = runs(4)
    growths = {run.id: [GB, 2 * GB, 3 * GB, 4 * GB] for run in every}
    small, ample = (Sizes(tmp_path, growths, there(gigabytes)) for gigabytes in (1, 9))
    assert (small.next(every, CPU), ample.next(every, CPU)) == (1, 4)
    path = checkpoint(tmp_path, every[:2])
    assert (small.next(every, CPU), ample.next(every, CPU)) == (2, 2)
    assert sized(tmp_path, [every], 1)[1] == []  # nothing is cut, and no line says so
    assert ample.next(every[:1], CPU) == 1  # the user has asked for smaller stacks
    assert ample.next([every[0], every[2]], CPU) == 2  # one of its runs is finished
    path.write_bytes(b"")
    assert (small.next(every, CPU), ample.next(every, CPU)) == (1, 4)


def mark(tmp_path, stack, status="running", **entries):
    for run in stack:
        write_record(tmp_path, run.record(status, **entries))


def checkpoint(tmp_path, stack):
    path = checkpoint_path(tmp_path, stack[0].id)
    write_state(path, Saved({"losses": torch.zeros(1)}, {}), {"runs": [run.id for run in stack]})
    return path


def later(path, seconds):
    """Let a file be written so long from now."""
    at = time.time() + seconds
    os.utime(path, (at, at))


@pytest.fixture
def kernel(tmp_path):
    """Writes the files in which a kernel says when it started and how many processes it has killed for memory."""
    root = tmp_path / "root"

    def says(kills, boot="one"):
        (root / "proc/sys/kernel/random").mkdir(parents=True, exist_ok=True)
        (root / "proc/sys/kernel/random/boot_id").write_text(f"{boot}\n")
        (root / "proc/vmstat").write_text(f"nr_free_pages 7\noom_kill {kills}\n")
        return root

    return says


def start(tmp_path, stack, root):
    note_start(tmp_path, stack, root)
    mark(tmp_path, stack)


def kills(tmp_path, stack, root):
    return start_of(tmp_path, stack, root).kills


def test_kills_are_counted_whoever_sent_the_signal(tmp_path, kernel):
    stack = runs(4)
    for count in range(3):
        start(tmp_path, stack, kernel(5))
        assert kills(tmp_path, stack, kernel(5)) == count + 1
    for _ in range(2):
        note_start(tmp_path, stack[:2], kernel(5))  # in halves, and once more without another kill
        mark(tmp_path, stack[:2], "failed", error="interrupted")
        found = start_of(tmp_path, stack[:2], kernel(5))
        assert found.halved and not found.was_killed_too_often
    assert start_of(tmp_path, stack, kernel(5)) == found  # also of the first runs of more
    assert start_of(tmp_path, [stack[0], stack[2]], kernel(5)) is None


def test_other_ends_are_not(tmp_path, kernel):
    stack = runs(4)
    start(tmp_path, stack, kernel(5))
    mark(tmp_path, stack, "failed", error="interrupted")
    assert kills(tmp_path, stack, kernel(6)) == 0  # Ctrl-C
    mark(tmp_path, stack)
    assert kills(tmp_path, stack, kernel(6)) == 1


def test_a_checkpoint_in_between_begins_the_count_again(tmp_path, kernel):
    stack = runs(4)
    start(tmp_path, stack, kernel(5))
    start(tmp_path, stack, kernel(5))
    assert kills(tmp_path, stack, kernel(6)) == 2
    later(checkpoint(tmp_path, stack), 1)
    assert kills(tmp_path, stack, kernel(6)) == 0  # whatever ended it, it goes on further
    start(tmp_path, stack, kernel(6))
    assert start_of(tmp_path, stack, kernel(6)).kills == 0


def test_of_a_stack_with_an_older_checkpoint_only_kills_for_lack_of_memory_count(tmp_path, kernel):
    """What the checkpoint holds would be given up."""
    stack = runs(4)
    later(checkpoint(tmp_path, stack), -60)
    for count in range(2):
        start(tmp_path, stack, kernel(count))
        assert kills(tmp_path, stack, kernel(count)) == count  # somebody's SIGKILL
        assert kills(tmp_path, stack, kernel(count + 1)) == count + 1
        start(tmp_path, stack, kernel(count + 1))
        mark(tmp_path, stack, "failed", error="interrupted")
    mark(tmp_path, stack)
    assert kills(tmp_path, stack, kernel(2, boot="another")) == 3  # of another machine nothing is known
    later(checkpoint(tmp_path, stack[:2]), -60)  # of another stack
    assert kills(tmp_path, stack, kernel(2)) == 3


def test_a_kernel_that_does_not_count_may_have_killed(tmp_path):
    stack, nowhere = runs(2), tmp_path / "nowhere"
    later(checkpoint(tmp_path, stack), -60)
    start(tmp_path, stack, nowhere)
    assert kills(tmp_path, stack, nowhere) == 1


def test_a_stack_that_was_halved_does_not_go_back_to_the_checkpoint_of_the_whole(tmp_path):
    every, nowhere = runs(4), tmp_path / "nowhere"
    checkpoint(tmp_path, every)
    for _ in range(2):
        start(tmp_path, every, nowhere)
        later(checkpoint_path(tmp_path, every[0].id), -60)
    assert Sizes(tmp_path).next(every, CPU) == 2
    start(tmp_path, every[:2], nowhere)
    assert Sizes(tmp_path).next(every, CPU) == 2
    later(checkpoint(tmp_path, every[:2]), 1)
    assert Sizes(tmp_path).next(every, CPU) == 2


def test_a_stack_that_was_killed_twice_is_halved_and_so_are_those_after_it(tmp_path, monkeypatch, capsys):
    """Each process is killed at its first stack of more than one run, by a signal of unknown reason."""

    class Killed(BaseException):
        pass

    tried = []
    for _ in range(9):
        monkeypatch.setattr("harness.sweeps.starts._kernel", lambda root: ["boot", "0"])
        training = Training(lambda stack: Killed() if len(stack) > 1 else None)
        with suppress(Killed):
            Sweep(runs(4), results_dir=tmp_path, max_stack=4, train_stack=training).work()
            break
        tried += lengths(training.tried)
    assert (tried, lengths(training.trained)) == ([4, 4, 2, 2], [1, 1, 1, 1])
    out = capsys.readouterr().out
    assert "MRPC adapter x4 was killed 2 times: continuing with 2 at once" in out
    assert "MRPC adapter x2 was killed 2 times: continuing with 1 at once" in out
    assert not list((tmp_path / "starts").iterdir())


def test_a_process_that_trains_is_not_announced_as_one_that_was_killed(tmp_path):
    """Another process was killed before its first checkpoint, and the one after it lives: its records look the same."""
    stack, others = runs(4), runs(8)[4:]
    for _ in range(2):
        start(tmp_path, stack, tmp_path)
    sizes = Sizes(tmp_path)
    assert [lengths(parts(sizes, one, CPU)) for one in (stack, others)] == [[4], [4]]
    assert (sizes.next(others, CPU), sizes.next(stack, CPU), sizes.next(others, CPU)) == (4, 2, 2)


def test_a_single_run_that_was_killed_twice_starts_again_with_advice(tmp_path, capsys):
    stack = [make_run()]
    (tmp_path / "starts").mkdir()
    path = tmp_path / "starts" / f"{stack[0].id}.json"
    path.write_text(json.dumps({"runs": [stack[0].id], "kills": 2, "halved": False, "kernel": []}))
    mark(tmp_path, stack, "failed", error="interrupted")
    assert Sizes(tmp_path).next(stack, CPU) == 1
    assert "set train.micro_batch_size=16" in capsys.readouterr().out
    later(checkpoint(tmp_path, stack), 1)
    for damaged in ("", "{}", "[]", '{"runs": [], "kills": 2, "halved": false, "kernel": []}'):
        path.write_text(damaged)
        assert start_of(tmp_path, stack) is None
    forget_start(tmp_path, stack)
    assert not path.exists()
