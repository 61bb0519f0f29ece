"""The harness from Python: the functions do what the commands do."""

import json
import sys
from dataclasses import asdict

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import harness
from harness.commands import predict as predict_command
from tests.conftest import CONF
from tests.fixtures.bank import validation_rows
from tests.fixtures.commands import python, records

ORDERS = """
import importlib, sys, warnings
warnings.simplefilter("error")
for lines in [
    "import harness", "import harness.run", "from harness import run", "from harness.run import main",
    "import harness.predict, harness.report, harness.run", "from harness import predict, report",
    "import harness; harness.run; import harness.run", "import harness.api", "from harness import *",
    "import harness.commands.run", "from harness.commands import report",
    "import harness.run as run; assert run.__doc__", "import importlib; importlib.import_module('harness.report').main",
]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]
    exec(lines, {})
    import harness
    import harness.api as api
    for name in harness.__all__:
        assert getattr(harness, name) is getattr(api, name), (lines, name)
    from harness import run
    from harness.run import main
    assert run is harness.run is api.run and main.__module__ == "harness.commands.run", lines
    assert harness.commands and "run" in dir(harness), lines
"""


@pytest.fixture
def tiny(tmp_path, tiny_model, glue):
    """Options of a short run on tiny files."""
    return {
        "model": "local", "model__name": tiny_model, "data": "local", "data__path": glue, "device": "cpu",
        "results_dir": tmp_path / "results", "cache_dir": tmp_path / "cache", "train__epochs": 2,
        "train__batch_size": 8, "train__max_length": 32, "train__precision": "fp32",
    }  # fmt: skip


@pytest.mark.process
def test_the_names_are_the_functions_in_every_order_of_imports():
    done = python("-c", ORDERS)
    assert done.returncode == 0, done.stderr


@pytest.mark.process
@pytest.mark.parametrize("name", ["run", "report", "predict"])
def test_the_modules_of_the_same_names_are_still_commands(name):
    done = python("-W", "error", "-m", f"harness.{name}", "--help")
    assert done.returncode == 0 and f"python -m harness.{name}" in done.stdout, done.stderr


@pytest.mark.process
def test_importing_and_refusing_load_nothing_heavy():
    script = """
import sys, harness
harness.run, harness.load_runs, harness.predict
assert not {"hydra", "numpy", "pandas", "rich", "omegaconf"} & set(sys.modules)
try:
    harness.run(task="mrpc", train__epochs=0)
except harness.UserError as error:
    print(error, sorted({"torch", "transformers", "datasets", "pandas"} & set(sys.modules)))
"""
    done = python("-c", script)
    assert done.stdout == "train.epochs=0 is out of range: it must be at least 1 []\n", done.stderr


def test_a_run_is_the_one_that_the_command_trains(tiny, tmp_path, harness_run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["notebook", "-f", "kernel.json"])
    record = harness.run("method.bottleneck_size=4", task="rte", train__learning_rate=1e-3, **tiny)
    assert sys.argv == ["notebook", "-f", "kernel.json"]
    assert records(tmp_path / "results") == {record["run_id"]: json.loads(json.dumps(record))}
    assert record["status"] == "completed" and record["config"]["method"]["bottleneck_size"] == 4
    command = record["provenance"]["command"]
    assert command.startswith("python -m harness.run method.bottleneck_size=4 task=rte train.learning_rate=0.001 ")
    assert str(tmp_path) not in command
    assert "1 run to do" in capsys.readouterr().out
    again = harness_run("task=rte", "method.bottleneck_size=4", "train.learning_rate=1e-3", "train.precision=fp32")
    assert again.status == 0 and "(1 of 1 are done)" in again.out


def test_a_sweep_trains_in_one_pass_and_resumes(tiny, tmp_path):
    rates = [1e-3, 1e-2]
    found = harness.sweep("train.seed=0,1", task="rte", method__bottleneck_size=2, train__learning_rate=rates, **tiny)
    trains = [run["config"]["train"] for run in found]
    assert {(train["learning_rate"], train["seed"]) for train in trains} == {(r, s) for r in rates for s in (0, 1)}
    assert {len(run["training"]["stack"]) for run in found} == {4}
    again = harness.sweep("train.seed=0,1", task="rte", method__bottleneck_size=2, train__learning_rate=rates, **tiny)
    assert again == found
    frame = harness.load_runs(tmp_path / "results")
    assert sorted(frame["run_id"]) == sorted(run["run_id"] for run in found)
    made = harness.report(tmp_path / "results", out=tmp_path / "out")
    assert (tmp_path / "out/tables/glue.md").read_text() == made.files["tables/glue.md"]


@pytest.mark.parametrize(
    ("overrides", "options", "words"),
    [
        ([], {"task": "mrcp"}, ["mrcp", "mrpc"]),
        ([], {"train__epoch": 3}, ["train.epoch", "did you mean epochs?"]),
        ([], {"train__learning_rate": "fast"}, ["train.learning_rate", "a number"]),
        (["task=rte"], {"task": "mrpc"}, ["task is given twice"]),
        (["--cfg=job"], {}, ["--cfg=job", "key=value"]),
        ([], {"experiment": "quick/adapter"}, ["harness.sweep"]),
        (["train.seed=0,1"], {}, ["several values"]),
        ([], {"config_dir": "/nowhere"}, ["/nowhere"]),
    ],
)
def test_what_does_not_fit_is_one_line(overrides, options, words, capsys):
    with pytest.raises(harness.UserError) as error:
        harness.run(*overrides, **options)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_is_raised_and_the_same_call_goes_on(tiny, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("harness.sweeps.stack.train", lambda *_, **__: interrupted())
        with pytest.raises(KeyboardInterrupt):
            harness.run(task="rte", **tiny)
    (record,) = records(tmp_path / "results").values()
    assert record["error"] == "interrupted"
    assert harness.run(task="rte", **tiny)["status"] == "completed"


def test_a_program_with_a_hydra_of_its_own_keeps_it(tiny):
    with hydra.initialize_config_dir(str(CONF), version_base="1.2"):
        theirs, base = GlobalHydra.instance().hydra, hydra.version.getbase()
        config = HydraConfig.instance().cfg
        assert harness.run(task="rte", **tiny)["status"] == "completed"
        assert GlobalHydra.instance().hydra is theirs and hydra.version.getbase() == base
        assert HydraConfig.instance().cfg is config


def test_predictions_are_those_of_the_command(bank, tiny_model, word_glue, tmp_path):
    pairs = [texts for _, texts in validation_rows(word_glue, "mrpc")][:5]
    options = {"bank": bank, "model": tiny_model, "device": "cpu"}
    found = harness.predict(pairs, task="mrpc", **options)
    rows, out = tmp_path / "rows.txt", tmp_path / "out.jsonl"
    rows.write_text("".join("\t".join(pair) + "\n" for pair in pairs))
    where = ["--bank", str(bank), "--model", str(tiny_model), "--device", "cpu"]
    assert predict_command.main([*where, "--task", "mrpc", "--input", str(rows), "--output", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(one.task, one.value, one.probabilities) for one in found] == [
        (line["task"], line["prediction"], line["probabilities"]) for line in lines
    ]
    by_column = [{"task": "mrpc", "sentence1": one, "sentence2": two} for one, two in pairs]
    assert [asdict(one) for one in harness.predict(by_column, **options)] == [asdict(one) for one in found]
    for rows, task, words in ([], "mrpc", "no rows"), (["one"], "mrpc", "rows[0]"), (["one"], (), "names no task"):
        with pytest.raises(harness.UserError) as error:
            harness.predict(rows, task=task, **options)
        assert words in str(error.value)
    with pytest.raises(harness.UserError, match="precision=fp8"):
        harness.predict(pairs, task="mrpc", precision="fp8", **options)


def test_a_bank_is_made_of_the_best_runs(bank_runs, tiny_model, tmp_path):
    folder = harness.make_bank(bank_runs, tmp_path / "bank", task=["cola", "mrpc"], model=tiny_model)
    assert {path.stem for path in folder.glob("*.json")} == {"cola", "mrpc", "encoder"}
    with pytest.raises(harness.UserError, match="rte"):
        harness.make_bank(bank_runs, folder, task="rte", model=tiny_model)
