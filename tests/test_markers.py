"""The rule that keeps `make test-fast` fast (tests/conftest.py)."""

import multiprocessing
import subprocess
import sys

import pytest


def test_a_test_without_the_marker_cannot_start_a_python_process():
    with pytest.raises(pytest.fail.Exception, match="lacks @pytest"):
        subprocess.run([sys.executable, "-c", ""])
    with pytest.raises(pytest.fail.Exception, match="lacks @pytest"):
        multiprocessing.get_context("spawn").Process(target=print).start()
    assert subprocess.run(["true"]).returncode == 0


@pytest.mark.process
def test_a_test_with_it_can():
    assert subprocess.run([sys.executable, "-c", ""]).returncode == 0
