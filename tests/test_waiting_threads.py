"""How threads wait for each other: every command settles it before torch is loaded, unless the user has."""

import sys

import pytest

from tests.fixtures.commands import python

COMMANDS = ("run", "report", "submit", "bank", "predict", "__main__")
CALL = "import importlib, os, sys; importlib.import_module(sys.argv[1]); print(os.environ['OMP_WAIT_POLICY'])"


@pytest.mark.process
@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_wants_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY")  # this process has imported harness
    for name in COMMANDS[:2]:
        assert python("-c", CALL, f"harness.{name}", **given).stdout.split() == [expected]


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP, which torch's wheels have on Linux only")
@pytest.mark.parametrize(("given", "spins"), [({}, "0"), ({"GOMP_SPINCOUNT": "700"}, "700")])
def test_the_openmp_of_torch_has_read_it(given, spins, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY")
    shown = python("-c", "import harness.training.device", OMP_DISPLAY_ENV="verbose", **given).stderr
    assert f"GOMP_SPINCOUNT = '{spins}'" in shown
