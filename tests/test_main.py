"""The command `harness`: its sub-commands, what it loads, and what bash completes."""

import importlib
import os
import subprocess
import sys

import pytest

from harness.__main__ import COMMANDS, COMPLETION, main
from harness.records.record import write_record
from tests.conftest import ROOT
from tests.fixtures.commands import assert_one_line_error, python
from tests.fixtures.make_records import make_record


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_help_lists_every_command(arguments, capsys):
    assert main(arguments) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert listed == list(COMMANDS)


def test_every_command_module_is_listed():
    modules = {path.stem for path in (ROOT / "harness").glob("*.py")} - {"__init__", "__main__"}
    with_main = {name for name in modules if hasattr(importlib.import_module(f"harness.{name}"), "main")}
    assert with_main == set(COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "run"])
def test_usage_names_the_command_as_it_was_typed(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: harness {name} ")
    with pytest.raises(SystemExit):
        importlib.import_module(f"harness.{name}").main(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: python -m harness.{name} ")


def test_run_gets_its_arguments_and_its_exit_status_is_returned(monkeypatch):
    given = []
    monkeypatch.setattr("harness.commands.run.main", lambda arguments: given.append(arguments) or 130)
    assert main(["run", "task=cola", "--multirun"]) == 130
    assert given == [["task=cola", "--multirun"]]


@pytest.mark.parametrize(("typed", "hint"), [("reprot", "did you mean report? "), ("xyz", "choose one of run, ")])
def test_an_unknown_command_is_one_line_with_the_closest_name(typed, hint, capsys):
    assert main([typed]) == 2
    assert_one_line_error(capsys, typed, hint)


@pytest.mark.process
def test_help_and_errors_load_nothing_but_the_standard_library():
    done = python("-X", "importtime", "-m", "harness", "--help")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0 and "argparse" not in loaded
    assert not {"torch", "transformers", "datasets", "hydra", "omegaconf", "numpy", "pandas", "rich"} & loaded


def completed(line: str) -> list[str]:
    """What bash offers at the end of a line, when `harness` answers with its own COMP_LINE and two choices."""
    script = (
        f"{COMPLETION}\nharness() {{ echo \"asked:$*:$COMP_LINE\" | tr ' ' _ >&2; echo task=cola task=rte; }}\n"
        'COMP_LINE="$1" COMP_POINT=${#1}; _harness; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script, "bash", line], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_the_command():
    assert completed("harness ") == list(COMMANDS)
    assert completed("harness re") == ["report"]


def test_bash_completes_what_follows_the_equals_sign_of_an_override():
    """Bash replaces only the part after `=`, which ends a word for it."""
    assert completed("harness run ta") == completed("harness describe ta") == ["task=cola", "task=rte"]
    assert completed("harness run task=r") == ["rte"]


def test_bash_leaves_the_arguments_of_other_commands_to_file_names():
    assert completed("harness report re") == []


@pytest.mark.process
@pytest.mark.parametrize("unbuffered", [False, True], ids=["at the end", "at once"])
def test_a_command_ends_quietly_where_nobody_reads_on(tmp_path, unbuffered):
    for seed in range(1, 4):
        write_record(tmp_path, make_record("mrpc", seed=seed))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, *(["-u"] if unbuffered else []), "-m", "harness.report", str(tmp_path)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
