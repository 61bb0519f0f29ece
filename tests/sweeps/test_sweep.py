"""Sweeps: grouping, memory, failures, locks and journals, without training."""

import json
from dataclasses import replace

import pytest
import torch
from filelock import FileLock

from harness.config import AdapterConfig, FullConfig, RunConfig, TaskConfig, TrainConfig
from harness.data.sources.synthetic.suite import Synthetic
from harness.errors import UserError
from harness.model.checkpoint import Checkpoint
from harness.records.record import load_records, read_record, recover_records, write_record, write_records
from harness.sweeps import sweep as module
from harness.sweeps.resolve import Run
from harness.sweeps.sweep import Sweep, make_stacks
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


@pytest.fixture
def trained(monkeypatch):
    """Replaces training: every stack that is asked for is noted and completes."""
    stacks = []

    def run_stack(stack, device, on_step):
        stacks.append([run.id for run in stack])
        return [run.record("completed", training={"stack": stacks[-1]}, time={"train_seconds": 1.0}) for run in stack]

    monkeypatch.setattr(module, "run_stack", run_stack)
    return stacks


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


def test_shared_weights_run_alone():
    full = runs(3, method=FullConfig())
    pooled = runs(2, method=AdapterConfig(train_pooler=True))
    assert make_stacks(full, 8) == [[run] for run in full]
    assert make_stacks(pooled, 8) == [[run] for run in pooled]


def test_finished_runs_are_dropped_and_failed_ones_repeated(tmp_path, trained):
    every = runs(4)
    for run, status in zip(every, ["completed", "diverged", "failed", "running"], strict=True):
        write_record(tmp_path, run.record(status))
    records = Sweep(every, results_dir=tmp_path, max_stack=8).work()
    assert trained == [["run-mrpc-02", "run-mrpc-03"]]
    assert [record["status"] for record in records] == ["completed", "diverged", "completed", "completed"]


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


def test_a_resumed_sweep_trains_the_stacks_of_an_undisturbed_one(tmp_path, trained):
    every = runs(6)
    write_records(tmp_path, [run.record("completed") for run in every[:2]])
    Sweep(every, results_dir=tmp_path, max_stack=2).work()
    assert trained == [["run-mrpc-02", "run-mrpc-03"], ["run-mrpc-04", "run-mrpc-05"]]


def failing(monkeypatch, raises):
    original = module.run_stack

    def run_stack(stack, device, on_step):
        error = raises(stack)
        if error:
            raise error
        return original(stack, device, on_step)

    monkeypatch.setattr(module, "run_stack", run_stack)


def test_a_stack_that_does_not_fit_is_halved_and_the_next_ones_start_smaller(tmp_path, trained, monkeypatch, capsys):
    failing(monkeypatch, lambda stack: torch.OutOfMemoryError("CUDA out of memory") if len(stack) > 2 else None)
    records = Sweep(runs(16), results_dir=tmp_path, max_stack=8).work()
    assert {record["status"] for record in records} == {"completed"}
    assert max(map(len, trained)) == 2
    assert sum(map(len, trained)) == 16
    told = capsys.readouterr().out
    assert told.count("do not fit into the memory") == 3  # 8 -> 4, twice 4 -> 2; the second stack starts with 2


def test_one_bad_run_does_not_take_the_others_with_it(tmp_path, trained, monkeypatch):
    failing(monkeypatch, lambda stack: ValueError("bad\nrun") if "run-mrpc-03" in [run.id for run in stack] else None)
    records = Sweep(runs(5), results_dir=tmp_path, max_stack=8).work()
    assert [record["status"] for record in records] == ["completed"] * 3 + ["failed", "completed"]
    assert records[3]["error"] == "ValueError: bad run (traceback: logs/run-mrpc-03.log)"
    assert "Traceback" in (tmp_path / "logs/run-mrpc-03.log").read_text()


def test_an_error_of_the_user_is_not_tried_again(tmp_path, trained, monkeypatch):
    calls = []
    failing(monkeypatch, lambda stack: calls.append(stack) or UserError("no"))
    records = Sweep(runs(4), results_dir=tmp_path, max_stack=8).work()
    assert len(calls) == 1
    assert {record["status"] for record in records} == {"failed"}


def test_an_interrupt_marks_the_running_records(tmp_path, trained, monkeypatch):
    failing(monkeypatch, lambda stack: KeyboardInterrupt() if "run-rte-00" in [run.id for run in stack] else None)
    with pytest.raises(KeyboardInterrupt):
        Sweep(runs(1) + runs(2, task="rte") + runs(1, task="cola"), results_dir=tmp_path, max_stack=8).work()
    by_id = {record["run_id"]: record for record in load_records(tmp_path)}
    assert by_id["run-mrpc-00"]["status"] == "completed"
    assert by_id["run-rte-00"]["error"] == by_id["run-rte-01"]["error"] == "interrupted"
    assert "run-cola-00" not in by_id


def test_a_locked_run_is_left_to_its_holder(tmp_path, trained, monkeypatch):
    """The other stack is done first; then the sweep waits, and finds the record of the other process."""
    every = runs(2) + runs(2, task="rte")
    (tmp_path / "locks").mkdir()
    lock = FileLock(tmp_path / "locks" / "run-mrpc-01.lock")
    lock.acquire()

    def other_process_ends(_):
        for run in every[:2]:
            write_record(tmp_path, run.record("completed"))
        lock.release()

    monkeypatch.setattr(module.time, "sleep", other_process_ends)
    Sweep(every, results_dir=tmp_path, max_stack=8).work()
    assert trained == [["run-rte-00", "run-rte-01"]]


def test_a_lock_file_that_nobody_holds_is_no_obstacle(tmp_path, trained):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "run-mrpc-00.lock").touch()
    Sweep(runs(1), results_dir=tmp_path).work()
    assert trained == [["run-mrpc-00"]]


def test_the_records_of_a_stack_survive_a_death_between_them(tmp_path, monkeypatch):
    records = [run.record("completed") for run in runs(3)]
    original, written = module.write_record, []

    def dies(results_dir, record):
        if written:
            raise SystemExit
        written.append(original(results_dir, record))

    monkeypatch.setattr("harness.records.record.write_record", dies)
    with pytest.raises(SystemExit):
        write_records(tmp_path, records)
    monkeypatch.setattr("harness.records.record.write_record", original)
    assert read_record(tmp_path, "run-mrpc-02") is None
    recover_records(tmp_path)
    assert [read_record(tmp_path, record["run_id"]) for record in records] == json.loads(json.dumps(records))
    assert not list((tmp_path / "pending").iterdir())


def test_a_record_of_another_config_is_never_overwritten(tmp_path):
    run = make_run()
    write_record(tmp_path, run.record("completed"))
    other = make_run(epochs=9)
    with pytest.raises(UserError, match="another config"):
        write_record(tmp_path, other.record("completed"))


def test_what_failed_during_the_sweep_is_not_tried_again_by_a_sibling(tmp_path, trained):
    every = runs(3)
    sweep = Sweep(every, results_dir=tmp_path, max_stack=1)
    write_record(tmp_path, every[0].record("failed", error="ValueError: no"))
    write_record(tmp_path, every[1].record("failed", error="interrupted"))
    sweep.work()
    assert trained == [["run-mrpc-01"], ["run-mrpc-02"]]


def test_max_stack_must_be_positive(tmp_path):
    with pytest.raises(UserError, match=r"hydra.launcher.max_stack=0.*at least 1"):
        Sweep(runs(1), results_dir=tmp_path, max_stack=0)
