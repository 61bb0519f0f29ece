"""The Makefile's help names every target and variable, and the test targets select by the registered markers."""

import os
import re
import subprocess

import pytest

from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def make(*arguments: str) -> str:
    # Without what the `make` that runs these tests, if any, hands on to those below it.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_help_lists_every_target_and_variable():
    printed = make("help")
    phony = re.search(r"^\.PHONY: (.*?[^\\])$", MAKEFILE, re.M | re.S)[1].replace("\\", " ").split()
    assert {"test", "test-fast", "test-gpu", "test-peers", "reproduce-glue"} <= set(phony)
    assert set(re.findall(r"^  ([a-z_-]+)  ", printed, re.M)) == set(phony)
    settable = {*re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.M), "GLUE_DIR", "VENV"}
    assert set(re.findall(r"^  ([A-Z_]+)=", printed, re.M)) == settable


@pytest.mark.parametrize(
    ("target", "selection"),
    [
        ("test", None),
        ("test-fast", "not process and not gpu and not peers and not browser"),
        ("test-lowest", "not process and not gpu and not peers and not browser"),
        ("test-gpu", "gpu"),
        ("test-slurm", "slurm"),
        ("test-peers", "peers"),
    ],
)
def test_test_targets_select_by_marker(target, selection, pytestconfig):
    """And every marker that they name is registered, or nothing would be left out."""
    (command,) = (line for line in make("-n", target).splitlines() if " -m pytest" in line)
    found = re.search(r'-m (?!pytest)(?:"([^"]*)"|(\w+))', command)
    assert (found and (found[1] or found[2])) == selection
    registered = {line.split(":")[0] for line in pytestconfig.getini("markers")}
    assert set(re.findall(r"\w+", selection or "")) - {"not", "and"} <= registered


@pytest.mark.parametrize("target", ["reproduce-glue", "tradeoff", "report", "benchmark"])
def test_variables_reach_the_command(target):
    command = make("-n", target, "SCALE=cpu", "ARGS=train.seed=1", "RESULTS=somewhere", "VENV=elsewhere")
    assert "elsewhere/bin/python" in command
    words = {"report": ["somewhere"], "benchmark": ["train.seed=1"]}
    assert all(word in command for word in words.get(target, ["--scale cpu", "--results somewhere", "train.seed=1"]))


def test_an_encoder_and_an_answer_reach_the_command_where_they_are_given():
    command = make("-n", "reproduce-glue", "SCALE=base", "MODEL=my folder", "YES=1")
    assert "--model 'my folder' --yes --" in command
    bare = make("-n", "methods", "MODEL=", "YES=")
    assert "--model" not in bare and "--yes" not in bare
