"""A disk that fills at any write of a sweep: one line, and the next start ends with an undisturbed sweep's records."""

import errno
import os
import subprocess

import pytest

from tests.fixtures.commands import records

# One stack of two runs with weights, and a checkpoint after its only step.
SWEEP = (
    *("--multirun", "task=rte", "method.bottleneck_size=2", "train.learning_rate=1e-3,1e-2", "train.save=all"),
    *("train.epochs=1", "train.batch_size=48", "checkpoint_minutes=1e-9"),
)
FSYNC = os.fsync
TIMELY = ("time", "memory", "provenance")


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


def assert_full(ended, results):
    assert ended.status == 2, ended
    (line,) = ended.err
    assert line.startswith("error: ") and "No space left on device" in line and "MB free there" in line
    assert str(results) in line
    assert "Traceback" not in ended.out


def test_a_disk_that_fills_at_any_write(harness_run, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    ample = Disk(10**9)
    monkeypatch.setattr(os, "fsync", ample.fsync)
    assert harness_run(*SWEEP).status == 0
    expected = outcome(tmp_path / "results")
    assert len(expected[0]) == len(expected[1]) == 2
    said = set()
    for room in range(ample.synced):
        results = tmp_path / f"room-{room}"
        monkeypatch.setattr(os, "fsync", Disk(room).fsync)
        ended = harness_run(*SWEEP, results=results)
        assert_full(ended, results)
        said.add(ended.err[0].removeprefix(f"error: {results}/").split("/")[0])
        assert {record["status"] for record in records(results).values()} <= {"running", "completed"}
        monkeypatch.setattr(os, "fsync", ample.fsync)
        assert harness_run(*SWEEP, results=results).status == 0
        assert outcome(results) == expected
        assert left_over(results) == []
    assert said == {"plans", "runs", "predictions", "gold", "weights", "pending"}


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
    """The system's own errors, from every library that writes."""
    folder, resize = small_disk
    assert harness_run(*SWEEP).status == 0
    for room in ("4k", "32k", "64k"):
        resize(room)
        assert_full(harness_run(*SWEEP, results=folder / "results"), folder)
    resize("64m")
    assert harness_run(*SWEEP, results=folder / "results").status == 0
    assert outcome(folder / "results") == outcome(tmp_path / "results")
    assert left_over(folder / "results") == []
