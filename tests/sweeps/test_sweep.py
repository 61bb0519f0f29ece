"""Sweeps: grouping, memory, failures, locks and journals, without training."""

import errno
import json
import multiprocessing
import os
import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.config import RunConfig, TaskConfig, TrainConfig
from harness.data.sources.synthetic.suite import Synthetic
from harness.errors import UserError
from harness.method_config import AdapterConfig, FullConfig, LoraConfig
from harness.model.checkpoint import Checkpoint
from harness.records import record as record_files
from harness.records.record import load_records, read_record, recover_records, write_record, write_records
from harness.sweeps import sweep as module
from harness.sweeps import workers
from harness.sweeps.locks import RunLocks
from harness.sweeps.progress import WorkerProgress
from harness.sweeps.resolve import Run
from harness.sweeps.stacks import make_stacks
from harness.sweeps.sweep import Sweep, is_out_of_memory
from harness.tasks.glue import get_task


def make_run(index=0, *, task="mrpc", method=None, **train):
    config = RunConfig(
        task=TaskConfig(task), method=method or AdapterConfig(), train=replace(TrainConfig(), **train), device="cpu"
    )
    checkpoint = Checkpoint("tiny", "tiny", None, None, "abc", "abcd", "bert")
    data = Synthetic("as told")
    return Run(f"run-{task}-{index:02}", config, get_task(task), data, "print", checkpoint, "fp32")


def runs(count, **options):
    return [make_run(index, seed=index, **options) for index in range(count)]


def ids(stack):
    return [run.id for run in stack]


def complete(stack):
    return [run.record("completed", training={"stack": ids(stack)}, time={"train_seconds": 1.0}) for run in stack]


class Training:
    """Takes the place of training: notes every stack, and completes it unless `raises` returns an error for it."""

    def __init__(self, raises=lambda stack: None):
        self.raises = raises
        self.tried, self.trained = [], []

    def __call__(self, stack, device, on_step):
        self.tried.append(ids(stack))
        error = self.raises(stack)
        if error:
            raise error
        self.trained.append(ids(stack))
        return complete(stack)


def statuses(records):
    return [record["status"] for record in records]


def test_runs_that_share_all_but_rate_seed_scale_and_small_sizes_are_stacked():
    same = [make_run(0), make_run(1, seed=1), make_run(2, learning_rate=1.0),
            make_run(3, method=AdapterConfig(init_std=0.5, bottleneck_size=8))]  # fmt: skip
    others = [
        make_run(4, epochs=7), make_run(5, task="rte"), make_run(6, method=AdapterConfig(bottleneck_size=256)),
        make_run(7, method=AdapterConfig(activation="relu")), make_run(8, batch_size=8),
        make_run(9, method=AdapterConfig(train_layernorms=False)),
    ]  # fmt: skip
    assert make_stacks(same + others, 8) == [same, *([run] for run in others)]
    assert make_stacks(same, 3) == [same[:3], same[3:]]
    loras = [make_run(10, method=LoraConfig()), make_run(11, method=LoraConfig(rank=8, alpha=2.0, rslora=True), seed=1)]
    apart = [make_run(12, method=LoraConfig(rank=128)), make_run(13, method=LoraConfig(dropout=0.1)),
             make_run(14, method=LoraConfig(target_modules=["key"]))]  # fmt: skip
    assert make_stacks(loras + apart, 8) == [loras, *([run] for run in apart)]


def test_stacks_of_long_rows_are_bounded_by_their_tokens():
    same = [make_run(seed, seed=seed, max_length=384, batch_size=32) for seed in range(4)]
    assert make_stacks(same, 4, tokens=24_576) == [same[:2], same[2:]]
    assert make_stacks(same, 4, tokens=100) == [[run] for run in same]
    divided = [make_run(seed, seed=seed, max_length=384, batch_size=32, micro_batch_size=16) for seed in range(4)]
    assert make_stacks(divided, 4, tokens=24_576) == [divided]
    assert make_stacks(same, 4) == [same]


def test_shared_weights_run_alone():
    full = runs(3, method=FullConfig())
    pooled = runs(2, method=AdapterConfig(train_pooler=True))
    assert make_stacks(full, 8) == [[run] for run in full]
    assert make_stacks(pooled, 8) == [[run] for run in pooled]


def test_finished_runs_are_dropped_and_failed_ones_repeated(tmp_path):
    every, training = runs(4), Training()
    for run, status in zip(every, ["completed", "diverged", "failed", "running"], strict=True):
        write_record(tmp_path, run.record(status))
    records = Sweep(every, results_dir=tmp_path, max_stack=8, train_stack=training).work()
    assert training.trained == [["run-mrpc-02", "run-mrpc-03"]]
    assert statuses(records) == ["completed", "diverged", "completed", "completed"]


def test_files_of_finished_runs_are_looked_for_once(tmp_path, monkeypatch):
    asked = replace(make_run().config, train=replace(TrainConfig(), save="all"))
    every = [replace(run, config=asked) for run in runs(3)]
    for run in every[:2]:
        write_record(tmp_path, run.record("completed"))
    looked, stored = [], {"run-mrpc-00"}
    monkeypatch.setattr(module, "is_stored", lambda folder, run_id: looked.append(run_id) or run_id in stored)
    sweep = Sweep(every, results_dir=tmp_path)
    assert sweep.open() == every[1:]
    stored.add("run-mrpc-01")
    assert sweep.open() == sweep.open() == every[2:]
    assert looked == ["run-mrpc-00", "run-mrpc-01", "run-mrpc-01"]


def test_a_resumed_sweep_trains_the_stacks_of_an_undisturbed_one(tmp_path):
    every, training = runs(6), Training()
    write_records(tmp_path, [run.record("completed") for run in every[:2]])
    Sweep(every, results_dir=tmp_path, max_stack=2, train_stack=training).work()
    assert training.trained == [["run-mrpc-02", "run-mrpc-03"], ["run-mrpc-04", "run-mrpc-05"]]


def test_a_stack_that_does_not_fit_is_halved_and_the_next_ones_start_smaller(tmp_path, capsys):
    training = Training(lambda stack: torch.OutOfMemoryError("CUDA out of memory") if len(stack) > 2 else None)
    records = Sweep(runs(16), results_dir=tmp_path, max_stack=8, train_stack=training).work()
    assert set(statuses(records)) == {"completed"}
    assert max(map(len, training.trained)) == 2
    assert sum(map(len, training.trained)) == 16
    printed = capsys.readouterr().out
    assert printed.count("do not fit into the memory") == 3  # 8 -> 4, twice 4 -> 2; the second stack starts with 2


@pytest.mark.parametrize("fitting", [{"mrpc": 2, "rte": 1}, {"mrpc": 4, "rte": 2, "cola": 1}])
def test_no_run_is_lost_when_memory_runs_out_again_in_a_later_stack(tmp_path, fitting):
    """The limit falls while a stack is being taken in parts, so that its remaining parts are smaller."""

    def raises(stack):
        return torch.OutOfMemoryError("no memory") if len(stack) > fitting[stack[0].task.name] else None

    every = [run for task in fitting for run in runs(8, task=task)]
    training = Training(raises)
    records = Sweep(every, results_dir=tmp_path, max_stack=8, train_stack=training).work()
    assert statuses(records) == ["completed"] * len(every)
    assert sorted(run_id for stack in training.trained for run_id in stack) == sorted(ids(every))


def test_a_run_that_does_not_fit_alone_names_the_remedy(tmp_path):
    training = Training(lambda stack: torch.OutOfMemoryError("CUDA out of memory"))
    (record,) = Sweep(runs(1, batch_size=8), results_dir=tmp_path, train_stack=training).work()
    assert record["error"].startswith("OutOfMemoryError: CUDA out of memory; set train.micro_batch_size=4 ")


def errors_of_too_little_memory():
    yield torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    yield RuntimeError("could not create a primitive")  # oneDNN, seen under `ulimit -v`
    yield RuntimeError("MPS backend out of memory (MPS allocated: 5.43 GB, other allocations: 1.2 GB)")
    for allocate in (lambda: torch.empty(2**60, dtype=torch.uint8), lambda: np.empty(2**60, np.uint8)):
        with pytest.raises(Exception) as caught:
            allocate()
        yield caught.value


def test_errors_of_too_little_memory_are_known():
    for error in errors_of_too_little_memory():
        assert is_out_of_memory(error), error
    for other in (ValueError("bad"), RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None):
        assert not is_out_of_memory(other), other


def test_one_bad_run_does_not_take_the_others_with_it(tmp_path, capsys):
    training = Training(lambda stack: ValueError("bad\nrun") if "run-mrpc-03" in ids(stack) else None)
    records = Sweep(runs(5), results_dir=tmp_path, max_stack=8, train_stack=training).work()
    assert statuses(records) == ["completed"] * 3 + ["failed", "completed"]
    assert records[3]["error"] == "ValueError: bad run"
    assert "Traceback" in (tmp_path / "logs/run-mrpc-03.log").read_text()
    assert f"traceback: {tmp_path}/logs/run-mrpc-03.log\n" in capsys.readouterr().out


def test_an_error_of_the_user_is_not_tried_again(tmp_path):
    training = Training(lambda stack: UserError("no"))
    records = Sweep(runs(4), results_dir=tmp_path, max_stack=8, train_stack=training).work()
    assert len(training.tried) == 1
    assert set(statuses(records)) == {"failed"}
    assert all((tmp_path / f"logs/run-mrpc-0{index}.log").exists() for index in range(4))


def test_a_full_disk_ends_the_sweep_at_once(tmp_path):
    """Every further run would be trained in vain; the runs stay open."""
    training = Training(lambda stack: OSError(errno.ENOSPC, "No space left on device", "results/x.npz"))
    sweep = Sweep(runs(4), results_dir=tmp_path, max_stack=2, train_stack=training)
    with pytest.raises(OSError, match=r"results/x\.npz"):
        sweep.work()
    assert len(training.tried) == 1
    assert len(sweep.open()) == 4


def test_a_process_of_a_sweep_takes_its_threads_and_hands_over_the_error_that_ended_it(tmp_path, monkeypatch):
    """In this process: a new one takes seconds to import torch."""
    taken = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    training = Training(lambda stack: OSError(errno.ENOSPC, "No space left on device", "results/x.npz"))
    errors = multiprocessing.get_context("spawn").SimpleQueue()
    sweep = Sweep(runs(1), results_dir=tmp_path, train_stack=training)
    workers._work(sweep, "cpu", 3, WorkerProgress([0.0, 0.0], 0), errors)
    error = errors.get()
    assert (error.errno, error.filename) == (errno.ENOSPC, "results/x.npz")
    assert taken == [3]


def test_a_record_that_finds_the_disk_full_names_its_file(tmp_path, monkeypatch):
    """The system names no file when write or fsync fails."""

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sweep = Sweep(runs(1), results_dir=tmp_path, train_stack=Training())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        sweep.work()
    assert caught.value.filename == str(tmp_path / "runs/run-mrpc-00.json")
    assert not list((tmp_path / "runs").iterdir())


def test_an_interrupt_marks_the_running_records(tmp_path):
    training = Training(lambda stack: KeyboardInterrupt() if "run-rte-00" in ids(stack) else None)
    every = runs(1) + runs(2, task="rte") + runs(1, task="cola")
    with pytest.raises(KeyboardInterrupt):
        Sweep(every, results_dir=tmp_path, max_stack=8, train_stack=training).work()
    by_id = {record["run_id"]: record for record in load_records(tmp_path)}
    assert by_id["run-mrpc-00"]["status"] == "completed"
    assert by_id["run-rte-00"]["error"] == by_id["run-rte-01"]["error"] == "interrupted"
    assert "run-cola-00" not in by_id


def test_an_interrupt_on_a_full_disk_is_an_interrupt(tmp_path, monkeypatch):
    def write(results_dir, record):
        if record["status"] == "failed":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_record(results_dir, record)

    monkeypatch.setattr(module, "write_record", write)
    sweep = Sweep(runs(1), results_dir=tmp_path, train_stack=Training(lambda stack: KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        sweep.work()
    assert len(sweep.open()) == 1


def test_an_interrupt_between_the_first_records_of_a_stack_marks_them(tmp_path, monkeypatch):
    written = []

    def write(results_dir, record):
        if len(written) == 2:
            written.append("interrupted")
            raise KeyboardInterrupt
        written.append(write_record(results_dir, record))

    monkeypatch.setattr(module, "write_record", write)
    with pytest.raises(KeyboardInterrupt):
        Sweep(runs(3), results_dir=tmp_path, max_stack=8, train_stack=Training()).work()
    assert {record["run_id"]: record["error"] for record in load_records(tmp_path)} == {
        "run-mrpc-00": "interrupted", "run-mrpc-01": "interrupted",
    }  # fmt: skip


def test_a_locked_run_is_left_to_its_holder(tmp_path, capsys):
    """The other stack is done first; then the sweep waits, and finds the record of the other process."""
    every, training = runs(2) + runs(2, task="rte"), Training()
    with RunLocks(tmp_path) as others, ExitStack() as held:
        assert held.enter_context(others.hold(["run-mrpc-01"]))
        looks = []

        def other_process_ends(seconds):
            looks.append(seconds)
            if len(looks) == 2:
                for run in every[:2]:
                    write_record(tmp_path, run.record("completed"))
                held.close()

        Sweep(every, results_dir=tmp_path, max_stack=8, train_stack=training, wait=other_process_ends).work()
    assert training.trained == [["run-rte-00", "run-rte-01"]]
    assert f"others train: {socket.gethostname()} (process {os.getpid()})" in capsys.readouterr().out


def test_a_stack_whose_locks_are_lost_while_it_trains_is_left_and_tried_again(tmp_path, capsys):
    """Its records are not written: whoever has taken the runs over writes them."""

    def lose(stack):
        if len(training.tried) == 1:
            (process,) = (tmp_path / "locks/processes").iterdir()
            process.unlink()
            write_record(tmp_path, runs(1)[0].record("completed") | {"by": "another"})

    training = Training(lose)
    found = Sweep(runs(2), results_dir=tmp_path, max_stack=8, train_stack=training).work()
    assert training.trained == [["run-mrpc-00", "run-mrpc-01"], ["run-mrpc-01"]]
    assert [record.get("by") for record in found] == ["another", None]
    assert "others have taken over" in capsys.readouterr().out


def test_what_a_dead_process_left_is_no_obstacle(tmp_path):
    with RunLocks(tmp_path) as dead, dead.hold(["run-mrpc-00"]):
        shutil.copytree(tmp_path / "locks", tmp_path / "left")
    shutil.copytree(tmp_path / "left", tmp_path / "locks", dirs_exist_ok=True)
    (tmp_path / "locks" / "run-mrpc-00.lock").touch()  # of an older version
    training = Training()
    Sweep(runs(1), results_dir=tmp_path, train_stack=training).work()
    assert training.trained == [["run-mrpc-00"]]


def test_the_records_of_a_stack_survive_a_death_between_them(tmp_path, monkeypatch):
    records = [run.record("completed") for run in runs(3)]
    original, written = record_files.write_record, []

    def dies(results_dir, record):
        if written:
            raise SystemExit
        written.append(original(results_dir, record))

    monkeypatch.setattr(record_files, "write_record", dies)
    with pytest.raises(SystemExit):
        write_records(tmp_path, records)
    monkeypatch.setattr(record_files, "write_record", original)
    assert read_record(tmp_path, "run-mrpc-02") is None
    recover_records(tmp_path)
    assert [read_record(tmp_path, record["run_id"]) for record in records] == json.loads(json.dumps(records))
    assert not list((tmp_path / "pending").iterdir())


def test_a_stack_that_another_process_has_half_recorded_is_not_trained_in_part(tmp_path, monkeypatch):
    """It dies between two records, while this process trains another stack."""
    first, second = runs(8)[:4], runs(8)[4:]

    def dies(stack):
        if ids(stack) == ids(first):
            monkeypatch.setattr(record_files, "write_record", one)
            with pytest.raises(SystemExit):
                write_records(tmp_path, complete(second))
            monkeypatch.setattr(record_files, "write_record", write_record)

    def one(results_dir, record):
        write_record(results_dir, record)
        raise SystemExit

    training = Training(dies)
    records = Sweep([*first, *second], results_dir=tmp_path, max_stack=4, train_stack=training).work()
    assert training.trained == [ids(first)]
    assert [record["training"]["stack"] for record in records[4:]] == [ids(second)] * 4


def test_a_record_of_another_config_is_never_overwritten(tmp_path):
    write_record(tmp_path, make_run().record("completed"))
    with pytest.raises(UserError, match="another config"):
        write_record(tmp_path, make_run(epochs=9).record("completed"))


@pytest.mark.parametrize("ahead", [0, 3600], ids=["clocks agree", "this machine's clock is ahead of the file server's"])
def test_what_failed_during_the_sweep_is_not_tried_again_by_a_sibling(tmp_path, monkeypatch, ahead):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    every, training = runs(3), Training()
    sweep = Sweep(every, results_dir=tmp_path, max_stack=1, train_stack=training)
    write_record(tmp_path, every[0].record("failed", error="ValueError: no"))
    write_record(tmp_path, every[1].record("failed", error="interrupted"))
    sweep.work()
    assert training.trained == [["run-mrpc-01"], ["run-mrpc-02"]]


def test_max_stack_must_be_positive(tmp_path):
    with pytest.raises(UserError, match=r"hydra.launcher.max_stack=0.*at least 1"):
        Sweep(runs(1), results_dir=tmp_path, max_stack=0)
