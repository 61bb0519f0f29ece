"""Commands that are killed, ended or warned in the middle of a stack, as real processes, and go on from there."""

import re
import signal
import time

import pytest

from tests.fixtures.commands import PATIENCE, Forked, last_of_each, records
from tests.fixtures.glue_fixture import write_glue

pytestmark = pytest.mark.process

# One stack of two, or one run of full fine-tuning: 72 steps of milliseconds, with dropout.
STEPS = 72
TRAIN = ("train.epochs=12", "train.batch_size=8", "train.max_length=32", "train.evaluate_every_epoch=true")
METHODS = {
    "adapter": ("method=adapter", "method.bottleneck_size=2,4", "train.learning_rate=3e-3"),
    "full": ("method=full", "train.learning_rate=3e-4"),
}
TIMELY = ("time", "memory", "provenance")


@pytest.fixture(scope="module")
def start(tmp_path_factory, tiny_model):
    glue = write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte"])
    cache = tmp_path_factory.mktemp("cache")

    def call(results, method, *more) -> Forked:
        where = [f"results_dir={results}", f"cache_dir={cache}", "model=local", f"model.name={tiny_model}"]
        overrides = last_of_each("task=rte", *METHODS[method], *TRAIN, "device=cpu", *where, *more)
        return Forked("--multirun", *overrides, GLUE_DIR=str(glue))

    return call


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    """The records by method, without what depends on time."""

    def train(method):
        results = tmp_path_factory.mktemp(method)
        out = ended(start(results, method, "checkpoint_minutes=0"))
        assert "resuming" not in out and not (results / "checkpoints").exists()
        return timeless(results)

    return {method: train(method) for method in METHODS}


def timeless(results):
    found = records(results)
    return {run_id: {k: v for k, v in record.items() if k not in TIMELY} for run_id, record in found.items()}


def ended(process) -> str:
    """The standard output of a command that completes all its runs."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def checkpoints(results):
    return sorted(path.name for path in (results / "checkpoints").glob("*"))


def wait_until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def warn_until_there_is_a_checkpoint(process, results):
    """Before training a warning does nothing, so it is sent until there is a file."""
    wait_until(lambda: records_begun(results), process)

    def is_there():
        process.send_signal(signal.SIGUSR1)
        return bool(checkpoints(results))

    wait_until(is_there, process)


def records_begun(results):
    return list((results / "runs").glob("*.json"))


def resumed_at(out):
    (step,) = re.findall(rf"^resuming RTE (?:adapter x2|full) at step (\d+) of {STEPS}$", out, re.M)
    return int(step)


@pytest.mark.parametrize("method", METHODS)
def test_a_stack_killed_twice_ends_as_an_undisturbed_one(start, tmp_path, undisturbed, method):
    """A checkpoint after every step, so that some kills hit the writing."""
    reached = []
    for wait in (0.0, 0.1):
        process = start(tmp_path, method, "checkpoint_minutes=1e-6")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints").glob("*.safetensors")}

        def is_written(before=before):
            found = (tmp_path / "checkpoints").glob("*.safetensors")
            return any(path.stat().st_mtime_ns != before.get(path) for path in found)

        wait_until(is_written, process)
        time.sleep(wait)
        process.kill()
        out, _ = process.communicate()
        if before:
            reached.append(resumed_at(out))
    out = ended(start(tmp_path, method, "checkpoint_minutes=1e-6"))
    reached.append(resumed_at(out))
    assert reached == sorted(reached) and reached[0] > 0 and reached[-1] < STEPS
    assert timeless(tmp_path) == undisturbed[method]
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "status", "method"), [(signal.SIGTERM, 143, "adapter"), (signal.SIGINT, 130, "full")]
)
def test_a_stack_that_is_ended_goes_on_from_its_last_step(start, tmp_path, undisturbed, number, status, method):
    """At the default interval: only the warning and the signal write checkpoints."""
    process = start(tmp_path, method)
    warn_until_there_is_a_checkpoint(process, tmp_path)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == status, err
    lines = err.strip().splitlines()
    assert lines[-2].startswith("terminated" if status == 143 else "interrupted")
    assert lines[-1].strip().startswith("python -m harness.run --multirun task=rte")
    assert "Traceback" not in err
    assert {record["error"] for record in records(tmp_path).values()} == {"interrupted"}
    (name,) = checkpoints(tmp_path)
    assert name.removesuffix(".safetensors") in records(tmp_path)
    process = start(tmp_path, method)
    wait_until(lambda: "resuming" in process.printed(), process)
    process.send_signal(signal.SIGUSR1)  # a warning alone ends nothing
    assert 0 < resumed_at(ended(process)) < STEPS
    assert timeless(tmp_path) == undisturbed[method]
    assert checkpoints(tmp_path) == []


def test_another_composition_and_a_damaged_file_start_at_the_first_step(start, tmp_path, undisturbed):
    process = start(tmp_path, "adapter", "checkpoint_minutes=1e-6")
    wait_until(lambda: any(name.endswith("tensors") and name[0] != "." for name in checkpoints(tmp_path)), process)
    process.kill()
    process.communicate()
    process = start(tmp_path, "adapter", "hydra.launcher.max_stack=1", "checkpoint_minutes=1e-6")
    wait_until(lambda: "is not used" in process.printed(), process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert len(re.findall(r"is not used \(it has other runs\): training starts at the first step$", out, re.M)) == 1
    for path in (tmp_path / "checkpoints").glob("*.safetensors"):
        path.write_bytes(b"")
    out = ended(start(tmp_path, "adapter"))
    assert "resuming" not in out and len(re.findall("is not used.*first step", out)) == 1
    assert timeless(tmp_path) == undisturbed["adapter"]
    assert checkpoints(tmp_path) == []


def test_without_checkpoints_a_stack_starts_again(start, tmp_path):
    process = start(tmp_path, "full", "checkpoint_minutes=0")
    wait_until(lambda: records_begun(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert checkpoints(tmp_path) == []


def test_the_processes_of_a_sweep_over_devices_are_warned_and_ended_too(start, tmp_path):
    """The signals go to the first process alone."""
    process = start(tmp_path, "full", "train.seed=0,1", "hydra.launcher.devices=[cpu,cpu]", "train.epochs=240")
    wait_until(lambda: len(records_begun(tmp_path)) == 2, process)

    def are_there():
        process.send_signal(signal.SIGUSR1)
        return len([name for name in checkpoints(tmp_path) if name[0] != "."]) == 2

    wait_until(are_there, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 143 and "Traceback" not in err, err
    assert [record["error"] for record in records(tmp_path).values()] == ["interrupted"] * 2
    assert len(checkpoints(tmp_path)) == 2
