"""Wheel and sdist: what is in them, and that an installed wheel runs from anywhere, without the checkout."""

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from scripts.lowest_versions import floors
from tests.conftest import CONF, ROOT
from tests.fixtures.commands import FAST, environment

NAME = "glue-adapter-harness"
NOT_SOURCE = (".*", "results", "build", "dist", "*.egg-info", "__pycache__")
HOOK = "import sys; from setuptools import build_meta; print(build_meta.{}(sys.argv[1]))"


def build(kind: str, source: Path, out: Path) -> Path:
    """The sdist or wheel of a source tree, built as pip does, with the setuptools that is installed."""
    command = [sys.executable, "-c", HOOK.format(f"build_{kind}"), str(out)]
    done = subprocess.run(command, cwd=source, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Built from a copy of the checkout, since building writes into the source tree."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return build("sdist", folder / "source", folder)


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Built from the sdist, so that what the sdist lacks the wheel lacks as well."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build("wheel", source, folder)


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory):
    """`bin` of a new environment with the wheel, and with this environment's packages, but not its checkout.

    A folder that a .pth file names is searched for packages; its own .pth files, among them the one of an editable
    installation, are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, env=outside())
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "bin"


def outside() -> dict[str, str]:
    """The variables of a process that shall not find the checkout."""
    return {name: value for name, value in environment().items() if name != "PYTHONPATH"}


def run(folder: Path, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """A program of the new environment, from a folder outside the checkout."""
    return subprocess.run([str(folder / program), *arguments], cwd=cwd, env=outside(), capture_output=True, text=True)


@pytest.mark.process
def test_the_sdist_has_what_tests_and_experiments_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"conf/run.yaml", "conf/README.md", "scripts/reproduce.py", "tests/conftest.py", "Makefile"} <= names
    assert {"constraints.txt", "CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "harness/README.md"} <= names


@pytest.mark.process
def test_the_wheel_is_one_package_with_every_config_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"harness"}
    configs = {f"harness/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")}
    assert configs == {name for name in names if name.endswith(".yaml")}
    page = {f"harness/reporting/page.{ending}" for ending in ("html.j2", "css", "js")}
    assert page == {name for name in names if name.endswith((".j2", ".css", ".js"))}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "harness").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    assert f"\nName: {NAME}\n" in metadata and "\nClassifier: " in metadata and "\nKeywords: " in metadata


@pytest.mark.process
@pytest.mark.parametrize(
    "command", [["harness", "run"], ["python", "-m", "harness", "run"], ["python", "-m", "harness.run"]]
)
def test_an_installed_wheel_composes_its_configs(bin_folder, tmp_path, command):
    done = run(bin_folder, *command, "experiment=quick/adapter", "hydra.mode=RUN", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bottleneck_size:" in done.stdout


@pytest.mark.process
def test_an_installed_wheel_trains_reports_and_names_its_version(bin_folder, tmp_path, tiny_model):
    options = ["task=rte", "data=synthetic", "data.max_train_rows=16", "data.max_eval_rows=16", "train.precision=fp32"]
    model = ["model=local", f"model.name={tiny_model}", "results_dir=results"]
    done = run(bin_folder, "harness", "run", *FAST, *options, *model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "results" / "runs").glob("*.json")
    origin = json.loads(path.read_text())["provenance"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == NAME
    assert (origin["versions"][NAME], origin["commit"]) == (project["version"], None)
    done = run(bin_folder, "harness", "report", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "tables").is_dir()


@pytest.mark.process
def test_the_console_script_lists_commands_and_completes_overrides(bin_folder, tmp_path):
    done = run(bin_folder, "harness", "report", "--help", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("usage: harness report")
    line = 'COMP_LINE="harness run task=mr"; COMP_POINT=${#COMP_LINE}'
    script = f'eval "$(harness --completion)"; {line}; _harness; echo "${{COMPREPLY[@]}}"'
    variables = outside() | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.stdout.split() == ["mrpc"], done.stderr


def test_lowest_versions_are_the_floors_of_what_users_install():
    project = {
        "dependencies": ["torch>=2.11", "transformers>=5.17,<6"],
        "optional-dependencies": {"peft": ["peft>=0.18"], "minilm": ["encoder==0.1.0"], "dev": ["pytest>=8"]},
    }
    assert list(floors(project)) == ["torch==2.11", "transformers==5.17", "peft==0.18"]


def test_every_dependency_has_a_floor():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    held = {line.partition("==")[0] for line in floors(project)}
    extras = {"peft", "submitit", "tensorboard", "wandb", "mlflow-skinny", "trackio"}
    assert len(project["dependencies"]) == len(held - extras) and extras <= held


def test_the_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation and f'title: "{project["name"]}: ' in citation
