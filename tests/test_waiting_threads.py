"""How threads wait for each other: every command settles it before torch is loaded, unless the user has."""

import os
import sys

import pytest

from harness.waiting_threads import settle
from tests.fixtures.commands import python

CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.fixture
def environment(monkeypatch):
    """What the environment says of waiting threads: nothing, as before this process settled it."""
    for name in CHOICES:
        monkeypatch.setenv(name, "")  # so that what the test leaves is undone
        monkeypatch.delenv(name)
    return lambda: {name: os.environ[name] for name in CHOICES if name in os.environ}


def loads(folder, text):
    path = folder / "loadavg"
    path.write_text(text)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="changes nothing elsewhere")
@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("0.10 0.20 0.30 1/80 4711\n", {"GOMP_SPINCOUNT": "10000"}),
        ("3.10 0.20 0.30 1/80 4711\n", {"GOMP_SPINCOUNT": "10000"}),  # the load of a minute ago does not count
        ("0.10 0.20 0.30 2/80 4711\n", {"OMP_WAIT_POLICY": "PASSIVE"}),
        ("nothing to read\n", {"OMP_WAIT_POLICY": "PASSIVE"}),
    ],
)
def test_threads_spin_only_on_an_idle_machine(environment, tmp_path, load, expected):
    settle(loads(tmp_path, load))
    assert environment() == expected


@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "700"}])
def test_a_choice_of_the_user_stays(environment, tmp_path, monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settle(loads(tmp_path, "0.10 0.20 0.30 5/80 4711\n"))
    assert environment() == given


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP, which torch's wheels have on Linux only")
@pytest.mark.parametrize(("given", "spins"), [({}, {"0", "10000"}), ({"GOMP_SPINCOUNT": "700"}, {"700"})])
def test_the_openmp_of_torch_has_read_it(environment, given, spins):
    shown = python("-c", "import harness.training.device", OMP_DISPLAY_ENV="verbose", **given).stderr
    (read,) = [line.split("'")[1] for line in shown.splitlines() if "GOMP_SPINCOUNT" in line]
    assert read in spins
