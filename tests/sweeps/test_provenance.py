"""What a record says about its origin: the command, and the commit only of a checkout of this project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.sweeps.command import as_typed, command_line
from harness.sweeps.provenance import commit_of_code, versions
from tests.conftest import ROOT


def test_the_recorded_command_holds_no_folder_of_this_machine():
    line = command_line(["task=mrpc", "data.path=/home/me/glue", "model.name=~/m", "results_dir=results/x"])
    assert line == "python -m harness.run task=mrpc data.path=glue model.name=m results_dir=results/x"


def test_a_command_is_typed_for_a_while():
    before = sys.argv
    with pytest.raises(ValueError), as_typed(["task=rte"]):
        assert sys.argv[1:] == ["task=rte"]
        raise ValueError
    assert sys.argv is before


def git(folder, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def copy_package(folder):
    """The package in this folder, as an installation or a checkout has it."""
    (folder / "harness").mkdir(parents=True)
    shutil.copy(ROOT / "harness" / "run.py", folder / "harness")
    return folder


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "some other project")
    return tmp_path


@pytest.mark.parametrize("place", ["venv/lib/site-packages", "."])
def test_an_installed_copy_does_not_name_the_commit_of_the_users_repository(repository, place):
    assert commit_of_code(copy_package(repository / place)) == (None, None)


def test_code_that_another_repository_has_taken_in_is_not_named_by_its_commit(repository):
    root = copy_package(repository / "vendor")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "vendor")
    assert commit_of_code(root) == (None, None)


def test_a_checkout_names_its_commit_and_whether_it_was_changed(repository):
    root = copy_package(repository)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "code")
    assert commit_of_code(root) == (git(root, "rev-parse", "HEAD"), False)
    commit_of_code.cache_clear()
    Path(root / "harness" / "run.py").write_text("changed")
    assert commit_of_code(root) == (git(root, "rev-parse", "HEAD"), True)


def test_code_outside_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert commit_of_code(copy_package(tmp_path / "installed")) == (None, None)


def test_versions_are_those_of_what_is_installed():
    found = versions(torch.device("cpu"))
    assert {"python", "os", "torch", "transformers", "tokenizers", "safetensors"} <= set(found)
    # torch from PyPI is 2.11.0 for pip, and 2.11.0+cu130 for itself.
    assert torch.__version__.startswith(found["torch"])
    assert not {"cuda", "cudnn", "driver"} & set(found)
    assert {"cuda", "cudnn", "driver"} <= set(versions(torch.device("cuda")))
