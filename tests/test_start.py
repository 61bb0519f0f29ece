"""What a command does before any work starts: it answers, and has not imported what only work needs."""

import json

import pytest
from hydra.core.global_hydra import GlobalHydra

from harness.commands import run
from tests.fixtures.commands import python

HEAVY = ("torch", "transformers", "datasets", "evaluate", "sklearn", "scipy", "pandas", "matplotlib")
COMPLETED = {"COMP_LINE": "python harness/run.py task=", "COMP_POINT": "27"}  # what a shell says at a TAB
CALL = """
import importlib, json, sys
command, arguments, heavy = json.loads(sys.argv[1])
main = importlib.import_module(f"harness.{command}").main
try:
    status = main(arguments)
except SystemExit as end:
    status = end.code
print("\\nENDED", json.dumps([status, [name for name in heavy if name in sys.modules]]))
"""


def ended(command, arguments, heavy=HEAVY):
    """Exit status of a command in a fresh process, and which of the heavy modules it has imported."""
    done = python("-c", CALL, json.dumps([command, arguments, heavy]), **COMPLETED)
    assert "\nENDED " in done.stdout, done.stderr
    return json.loads(done.stdout.rpartition("ENDED ")[2])


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "arguments", "status"),
    [
        ("run", ["--help"], 0),
        ("run", ["--cfg", "job"], 0),
        ("run", ["train.epoch=3"], 2),
        ("run", ["train.epochs=0"], 2),
        ("run", ["--multirun", "train.learning_rate=1e-3,-1"], 2),
        ("run", ["experiment=typo"], 2),
        ("run", ["-sc", "query=bash"], 0),
        ("bank", ["--help"], 0),
        ("bank", ["add", "results", "--method", "lora9"], 2),
        ("predict", ["--help"], 0),
        ("predict", ["--bank", "b", "--precision", "fp8"], 2),
        ("submit", ["--help"], 0),
        ("submit", ["results", "--method", "lora9"], 2),
        ("report", ["--help"], 0),
    ],
)
def test_what_needs_no_work_imports_nothing_heavy(command, arguments, status):
    assert ended(command, arguments) == [status, []]


@pytest.mark.process
def test_a_prediction_imports_no_data_sets_and_no_metrics(bank, tiny_model, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("They read the letter me.\n")
    needless = ["datasets", "evaluate", "sklearn", "scipy.optimize", "pandas", "matplotlib", "hydra"]
    arguments = ["--bank", str(bank), "--model", str(tiny_model), "--task", "cola", "--input", str(rows)]
    assert ended("predict", [*arguments, "--device", "cpu"], needless) == [0, []]


def test_the_help_page_says_what_it_does_and_what_there_is_to_choose(capsys):
    GlobalHydra.instance().clear()
    assert run.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "write one record per run" in page
    assert page.count("  python -m harness.run ") == 5
    assert "Exit status: 0" in page
    assert "method: adapter, bitfit, full, head" in page
    assert "protocol: holdout, paper, submit" in page
    assert "experiment/quick: adapter, full" in page
    assert "--dry-run" in page
    assert "_schema" not in page
    assert "hydra/" not in page


def test_the_help_page_lists_configs_of_your_own_and_shows_the_values_of_a_choice(capsys, tmp_path):
    GlobalHydra.instance().clear()
    (tmp_path / "task").mkdir()
    (tmp_path / "task/reviews.yaml").write_text("name: reviews\n")
    assert run.main(["--help", "--config-dir", str(tmp_path), "task=reviews", "method=full"]) == 0
    page = capsys.readouterr().out
    assert "qqp, reviews, rte" in page
    assert "name: reviews" in page
    assert "bottleneck_size: 64" not in page
