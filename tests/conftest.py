"""What all tests share: the environment, the rules of the markers, and the fixtures of tests/fixtures."""

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

# Before anything imports torch: the workers share the cores, and tiny models gain nothing from a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytest.register_assert_rewrite("tests.fixtures")


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures, which import torch, except in the process that only hands the tests to its workers."""
    gc.disable()  # until all modules are there: a fifth of the time of their imports
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        for name in ("bank", "tiny_glue"):
            config.pluginmanager.import_plugin(f"tests.fixtures.{name}")


def pytest_collection_finish() -> None:
    """Leave modules and tests out of every collection from now on: half a million objects, 0.3 s each time."""
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: the cores that this process may use; each worker needs about 1 GB, hence at most eight."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine lacks."""
    if item.get_closest_marker("peers") and not PEERS_PYTHON.exists():
        pytest.skip("needs AdapterHub's library in .venv-peers (make test-peers)")
    if item.get_closest_marker("browser") and CHROMIUM is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    if item.get_closest_marker("slurm") and not _has_test_slurm():
        pytest.skip("needs the Slurm of scripts/slurm_on_this_machine.sh")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@cache
def _has_test_slurm() -> bool:
    """Whether the one-node Slurm runs here; a real cluster gets no jobs from tests."""
    if shutil.which("scontrol") is None:
        return False
    shown = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True).stdout
    return "= one_node" in shown and " UP" in shown


@pytest.fixture(autouse=True)
def _only_marked_tests_start_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that starts a Python process without the marker `process` fails: it would slow `make test-fast` down."""
    if request.node.get_closest_marker("process") or request.node.get_closest_marker("peers"):
        return

    def refuse(*_):
        pytest.fail("this test starts a Python process and lacks @pytest.mark.process")

    class Popen(subprocess.Popen):
        def __init__(self, args, *more, **options):
            if not isinstance(args, str | os.PathLike) and str(args[0]) == sys.executable:
                refuse()
            super().__init__(args, *more, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refuse)
