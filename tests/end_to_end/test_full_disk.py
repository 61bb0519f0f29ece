"""A disk that fills at any write of a sweep: one line, and the next start ends with an undisturbed sweep's records."""

import errno
import os
import subprocess
from dataclasses import replace

import pytest

from harness.config import DataConfig, ModelConfig, RunConfig, TaskConfig, TrainConfig
from harness.errors import UserError
from harness.method_config import AdapterConfig
from harness.sweeps import jobs
from harness.sweeps.composition import explained
from tests.fixtures.commands import records

FSYNC = os.fsync
TIMELY = ("time", "memory", "provenance")
# One stack of two runs with weights and a checkpoint after its only step, as configs and as a command.
TRAIN = TrainConfig(epochs=1, batch_size=48, max_length=32, precision="fp32", save="all")
RATES = (1e-3, 1e-2)
COMMAND = (
    *("--multirun", "task=rte", "method.bottleneck_size=2", "train.learning_rate=1e-3,1e-2", "train.save=all"),
    *("train.epochs=1", "train.batch_size=48", "checkpoint_minutes=1e-9"),
)


@pytest.fixture
def sweep(tiny_model, glue, tmp_path):
    """The sweep into a folder, once Hydra has composed it; raises what the command prints."""

    def work(results):
        shared = RunConfig(
            task=TaskConfig("rte"), method=AdapterConfig(bottleneck_size=2), model=ModelConfig(str(tiny_model)),
            data=DataConfig("local", str(glue)), results_dir=str(results), cache_dir=str(tmp_path / "cache"),
            device="cpu", checkpoint_minutes=1e-9,
        )  # fmt: skip
        with explained([]):
            return jobs.run_all([replace(shared, train=replace(TRAIN, learning_rate=rate)) for rate in RATES])

    return work


class Disk:
    """Takes the place of `os.fsync`, which every atomic write calls: from call number `room` on the disk is full."""

    def __init__(self, room):
        self.room, self.synced = room, 0

    def fsync(self, handle):
        self.synced += 1
        if self.synced > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        FSYNC(handle)


def outcome(results):
    """Records without what depends on time, predictions' hashes among them, and the bytes of weights."""
    found = records(results).items()
    weights = {path.name: path.read_bytes() for path in results.glob("weights/*.safetensors")}
    return {run_id: {k: v for k, v in record.items() if k not in TIMELY} for run_id, record in found}, weights


def left_over(results):
    """Checkpoints, journals and temporary files."""
    hidden = [path for path in results.rglob(".*") if path.name != ".lock"]
    return [*hidden, *results.glob("checkpoints/*"), *results.glob("pending/*")]


def assert_full(line, results):
    assert "\n" not in line and "No space left on device" in line and "MB free there" in line and str(results) in line


def test_a_disk_that_fills_at_any_write(sweep, tmp_path, monkeypatch, capsys):
    ample = Disk(10**9)
    monkeypatch.setattr(os, "fsync", ample.fsync)
    sweep(tmp_path / "ample")
    expected, named = outcome(tmp_path / "ample"), set()
    assert len(expected[0]) == len(expected[1]) == 2
    for room in range(ample.synced):
        results = tmp_path / f"room-{room}"
        monkeypatch.setattr(os, "fsync", Disk(room).fsync)
        with pytest.raises(UserError) as ended:
            sweep(results)
        assert_full(str(ended.value), results)
        named.add(str(ended.value).removeprefix(f"{results}/").split("/")[0])
        assert {record["status"] for record in records(results).values()} <= {"running", "completed"}
        monkeypatch.setattr(os, "fsync", FSYNC)
        sweep(results)
        assert outcome(results) == expected
        assert left_over(results) == []
    assert named == {"plans", "runs", "predictions", "gold", "weights", "pending"}
    assert "checkpoints" in capsys.readouterr().out  # of which one line says that training goes on without


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 64 KiB, and a function that gives it other sizes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user cannot mount a tmpfs: {done.stderr.strip()}")

    def resize(size):
        subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)

    yield folder, resize
    subprocess.run(["umount", folder], check=True)


def test_a_small_disk(harness_run, tmp_path, small_disk):
    """The command with the system's own errors, from every library that writes."""
    folder, resize = small_disk
    assert harness_run(*COMMAND).status == 0
    for room in ("4k", "64k"):
        resize(room)
        ended = harness_run(*COMMAND, results=folder / "results")
        assert ended.status == 2 and "Traceback" not in ended.out
        (line,) = ended.err
        assert line.startswith("error: ")
        assert_full(line, folder)
    resize("64m")
    assert harness_run(*COMMAND, results=folder / "results").status == 0
    assert outcome(folder / "results") == outcome(tmp_path / "results")
    assert left_over(folder / "results") == []
