"""From runs with stored weights to a bank, predictions and an export, through the real commands."""

import csv
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch

from harness import bank as bank_command
from harness import predict
from harness.data.sources.glue_folder import GlueFolder
from harness.model.checkpoint import find_checkpoint, load_tokenizer
from harness.records.predictions import read_predictions, write_predictions
from harness.serving.bank_folder import Bank
from harness.serving.predictor import Predictor
from harness.tasks.glue import get_task
from tests.conftest import ROOT
from tests.fixtures.commands import records, train
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.tiny import save_tiny

TASKS = ("cola", "mrpc", "stsb", "mnli")
PEERS = ROOT / ".venv-peers/bin/python"


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    return write_glue(tmp_path_factory.mktemp("glue"), words=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, glue):
    """A results folder: four tasks, two sizes, two rates; the best of each size is stored."""
    results = tmp_path_factory.mktemp("results")
    train(
        results, tiny_model, glue, f"task={','.join(TASKS)}", "method.bottleneck_size=2,8",
        "train.learning_rate=1e-2,3e-2", "protocol=holdout", "train.save=best",
    )  # fmt: skip
    return results


@pytest.fixture
def made(trained, tiny_model, tmp_path, capsys):
    """A bank of three of the tasks."""
    folder = tmp_path / "bank"
    arguments = [item for name in TASKS[:3] for item in ("--task", name)]
    assert bank_command.main(["add", str(trained), "--bank", str(folder), "--model", str(tiny_model), *arguments]) == 0
    capsys.readouterr()
    return folder


def predictor(folder, tasks, model, **options):
    opened = Bank.open(folder)
    checkpoint = opened.checkpoint(str(model))
    return Predictor(opened, tasks, checkpoint=checkpoint, device=torch.device("cpu"), **options)


def validation_rows(glue, name):
    task = get_task(name)
    split = GlueFolder(str(glue), '').load(task)[task.evaluation_sets[0]]
    return [(name, texts) for texts in zip(*(split[column] for column in task.columns), strict=True)]


def told(capsys, *words):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    for word in words:
        assert word in captured.err
    return captured.err


def test_the_best_run_of_each_variant_is_stored_with_what_it_is(trained):
    stored = sorted(path.stem for path in (trained / "weights").glob("*.json"))
    assert len(stored) == len(TASKS) * 2
    done = records(trained)
    for name in TASKS:
        headline = get_task(name).headline
        for size in (2, 8):
            group = [
                record for record in done.values()
                if record["config"]["task"]["name"] == name and record["config"]["method"]["bottleneck_size"] == size
            ]  # fmt: skip
            best = max(record["scores"]["holdout"][headline] or -2 for record in group)
            (kept,) = [record for record in group if record["run_id"] in stored]
            assert (kept["scores"]["holdout"][headline] or -2) == best
            beside = json.loads((trained / "weights" / f"{kept['run_id']}.json").read_text())
            assert beside.pop("weights")["parameters"] == kept["parameters"]["trained"]
            assert beside == kept


@pytest.mark.parametrize("name", TASKS[:3])
def test_predictions_equal_those_of_the_training_run(made, trained, tiny_model, glue, name):
    """To the last bit, though the run was trained in a stack of four."""
    run_id = Bank.open(made).entry(name).run["run_id"]
    expected = read_predictions(trained, run_id)["validation"]
    found = predictor(made, [name], tiny_model).logits(validation_rows(glue, name))
    if name == "stsb":
        assert [row[0] for row in found] == expected.tolist()
    else:
        assert [int(row.argmax()) for row in found] == expected.tolist()


def test_the_command_writes_predictions_and_probabilities(made, tiny_model, glue, tmp_path, capsys):
    where = ["--bank", str(made), "--model", str(tiny_model)]
    dev = glue / "MRPC/dev.tsv"
    out = tmp_path / "out.tsv"
    assert predict.main([*where, "--task", "mrpc", "--input", str(dev), "--output", str(out)]) == 0
    lines = list(csv.DictReader(io.StringIO(out.read_text()), delimiter="\t"))
    logits = predictor(made, ["mrpc"], tiny_model).logits(validation_rows(glue, "mrpc"))
    assert len(lines) == len(logits)
    for index, (line, row) in enumerate(zip(lines, logits, strict=True)):
        shares = {name.removeprefix("p_"): share for name, share in line.items() if name.startswith("p_")}
        expected = np.exp(row) / np.exp(row).sum()
        assert [float(share) for share in shares.values()] == pytest.approx(expected.tolist(), abs=1e-4)
        assert (
            line["prediction"]
            == get_task("mrpc").kind.labels[int(row.argmax())]
            == max(shares, key=lambda k: float(shares[k]))
        )
        assert line["index"] == str(index)
    jsonl = tmp_path / "out.jsonl"
    assert predict.main([*where, "--task", "mrpc", "--input", str(dev), "--output", str(jsonl)]) == 0
    first = json.loads(jsonl.read_text().splitlines()[0])
    assert first["prediction"] == lines[0]["prediction"] and sum(first["probabilities"].values()) == pytest.approx(1)
    assert capsys.readouterr().out == ""


def test_tasks_mixed_in_one_batch_equal_separate_ones(made, trained, tiny_model, glue):
    bank_command.main(["add", str(trained), "--bank", str(made), "--model", str(tiny_model)])  # the fourth task
    rows = [row for name in TASKS for row in validation_rows(glue, name)[: {"cola": 16, "mrpc": 3}.get(name, 9)]]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    together = predictor(made, TASKS, tiny_model)
    assert len(together.stacks) == 1
    mixed = together.logits(rows)
    for name in TASKS:
        alone = predictor(made, [name], tiny_model).logits([row for row in rows if row[0] == name])
        own = [logits for row, logits in zip(rows, mixed, strict=True) if row[0] == name]
        assert np.concatenate(own) == pytest.approx(np.concatenate(alone), abs=1e-5)
        assert {len(logits) for logits in own} == {get_task(name).kind.outputs}


def test_adding_a_task_touches_no_other(made, trained, tiny_model, glue, capsys):
    before = {path.name: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    rows = validation_rows(glue, "cola")
    logits = predictor(made, ["cola"], tiny_model).logits(rows)
    assert bank_command.main(["add", str(trained), "--bank", str(made), "--model", str(tiny_model)]) == 0
    assert "CoLA" in capsys.readouterr().out
    after = {path.name: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert {name: data for name, data in after.items() if name in before} == before
    assert len(after) == len(before) + 3
    again = predictor(made, ["cola"], tiny_model).logits(rows)
    assert all((one == other).all() for one, other in zip(logits, again, strict=True))


def test_a_task_is_replaced_only_on_demand(made, trained, tiny_model, capsys):
    other = next(
        path.stem
        for path in (trained / "weights").glob("cola*.json")
        if path.stem != Bank.open(made).entry("cola").run["run_id"]
    )
    command = ["add", str(trained), "--bank", str(made), "--model", str(tiny_model), "--run", other]
    assert bank_command.main(command) == 0
    assert "--replace" in capsys.readouterr().out
    assert Bank.open(made).entry("cola").run["run_id"] != other
    assert bank_command.main([*command, "--replace"]) == 0
    assert Bank.open(made).entry("cola").run["run_id"] == other
    assert len(list(made.glob("cola*.safetensors"))) == 1
    assert bank_command.main(["check", str(made), "--model", str(tiny_model)]) == 0


def test_the_list_measures_what_lies_on_the_disk(made, tiny_model, capsys):
    assert bank_command.main(["list", str(made)]) == 0
    out = capsys.readouterr().out
    opened = Bank.open(made)
    sizes = [opened.path(opened.entry(name)).stat().st_size for name in TASKS[:3]]
    encoder = (tiny_model / "model.safetensors").stat().st_size
    for size in (*sizes, encoder, sum(sizes) + encoder, 3 * encoder):
        assert f" {size / 1e6:.2f} |" in out
    assert f"{(sum(sizes) + encoder) / encoder:.2f}x" in out


def test_what_is_wrong_is_one_line_and_nothing_is_written(made, tiny_model, tmp_path, capsys, monkeypatch):
    out = tmp_path / "never.tsv"
    base = ["--bank", str(made), "--model", str(tiny_model), "--output", str(out)]
    good, empty, wide = (tmp_path / f"{name}.txt" for name in ("good", "empty", "wide"))
    good.write_text("a1 b2\n")
    empty.write_text("")
    wide.write_text("a1\nb2\tc3\n")

    assert predict.main([*base, "--task", "rte", "--input", str(good)]) == 2
    told(capsys, "no task 'rte'", "cola, mrpc, stsb")
    assert predict.main([*base, "--task", "cola", "--input", str(empty)]) == 2
    told(capsys, "empty.txt is empty")
    assert predict.main([*base, "--task", "cola", "--input", str(wide)]) == 2
    told(capsys, "wide.txt line 2 has 2 columns")
    assert predict.main([*base, "--task", "cola", "--input", str(tmp_path / "absent.txt")]) == 2
    told(capsys, "absent.txt cannot be read")
    assert predict.main(["--bank", str(tmp_path / "nowhere"), "--task", "cola", "--input", str(good)]) == 2
    told(capsys, "there is no bank in", "harness.bank add")
    assert predict.main(["--bank", str(made), "--task", "cola", "--input", str(good)]) == 2
    told(capsys, "encoder was not found, give --model")  # records hold no folders

    other = save_tiny(tmp_path / "other", "electra")
    assert predict.main(["--bank", str(made), "--model", str(other), "--task", "cola", "--input", str(good)]) == 2
    told(capsys, "the bank", "was trained on", "--model")

    entry = Bank.open(made).entry("cola")
    file = made / entry.run["weights"]["file"]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert predict.main([*base, "--task", "cola", "--input", str(good)]) == 2
    told(capsys, file.name, "truncated")
    assert bank_command.main(["check", str(made), "--model", str(tiny_model)]) == 1
    printed = capsys.readouterr().out
    assert "CoLA: " in printed and "truncated" in printed and "MRPC: ok" in printed
    mrpc = made / Bank.open(made).entry("mrpc").run["weights"]["file"]
    file.write_bytes(mrpc.read_bytes())
    assert predict.main([*base, "--task", "cola", "--input", str(good)]) == 2
    told(capsys, file.name)
    assert not out.exists()
    assert not list(tmp_path.glob(".never*"))


def test_check_holds_the_bank_against_the_training_runs(made, tiny_model, glue, capsys):
    command = ["check", str(made), "--model", str(tiny_model), "--data", "local", "--data-path", str(glue)]
    assert bank_command.main(command) == 0
    assert capsys.readouterr().out.count("ok, 0 of 16 predictions differ") == 3
    entry = Bank.open(made).entry("cola")
    arrays = read_predictions(made, entry.run["run_id"])
    write_predictions(made, entry.run["run_id"], arrays | {"validation": 1 - arrays["validation"]})
    assert bank_command.main(command) == 1
    assert "CoLA: 16 of 16 predictions differ" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_line(made, trained, tiny_model, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    inside = tmp_path / "file" / "below"
    assert bank_command.main(["add", str(trained), "--bank", str(inside), "--model", str(tiny_model)]) == 2
    told(capsys, f"--bank={inside} cannot be written")
    command = ["export", str(made), "--format", "adapterhub", "--task", "mrpc", "--out", str(inside)]
    assert bank_command.main([*command, "--model", str(tiny_model)]) == 2
    told(capsys, f"--out={inside} cannot be written")


def test_runs_chosen_on_different_rows_are_not_compared(made, trained, tmp_path, tiny_model, capsys):
    results = tmp_path / "mixed"
    shutil.copytree(trained / "weights", results / "weights")
    one, other = sorted((results / "weights").glob("mrpc*.json"))
    record = json.loads(other.read_text())
    record["config"]["protocol"]["fraction"] = 0.5
    other.write_text(json.dumps(record))
    command = ["add", str(results), "--bank", str(tmp_path / "new"), "--model", str(tiny_model), "--task", "mrpc"]
    assert bank_command.main(command) == 2
    told(capsys, "MRPC", "chosen on different rows", "--run")
    assert bank_command.main([*command, "--run", one.stem]) == 0


def test_a_bank_takes_one_encoder(made, trained, tmp_path, glue, tiny_model, capsys):
    other = save_tiny(tmp_path / "other-bert", "electra")
    results = tmp_path / "results"
    train(results, other, glue, "task=rte", "method.bottleneck_size=2", "train.save=best")
    capsys.readouterr()
    before = sorted(path.name for path in made.iterdir())
    assert bank_command.main(["add", str(results), "--bank", str(made), "--model", str(other)]) == 2
    told(capsys, "the bank", "use another --bank")
    assert sorted(path.name for path in made.iterdir()) == before
    assert bank_command.main(["add", str(tmp_path)]) == 2
    told(capsys, "train.save=best")
    assert bank_command.main(["add", str(trained), "--method", "full", "--model", str(tiny_model)]) == 2
    told(capsys, "full", "mrpc (adapter)")


@pytest.mark.parametrize("method", ["full", "bitfit", "lora"])
def test_other_methods_are_banked_too(tmp_path, tiny_model, glue, method, capsys):
    results = tmp_path / "results"
    options = ["method.options={r: 2}"] if method == "lora" else []
    options += ["train.learning_rate=1e-2", "train.save=best"]
    train(results, tiny_model, glue, "task=mrpc,cola", f"method={method}", *options)
    assert bank_command.main(["add", str(results), "--model", str(tiny_model)]) == 0
    folder = results / "bank"
    for name in ("mrpc", "cola"):
        expected = read_predictions(results, Bank.open(folder).entry(name).run["run_id"])["validation"]
        found = predictor(folder, [name], tiny_model).logits(validation_rows(glue, name))
        assert [int(row.argmax()) for row in found] == expected.tolist()
    capsys.readouterr()
    assert bank_command.main(["export", str(folder), "--format", "adapterhub", "--model", str(tiny_model)]) == 2
    told(capsys, "adapterhub holds adapters")


def test_an_export_is_whole_and_carries_a_model_card(made, tiny_model, tmp_path, capsys):
    out = tmp_path / "export"
    command = ["export", str(made), "--format", "adapterhub", "--task", "mrpc", "--out", str(out)]
    assert bank_command.main([*command, "--model", str(tiny_model)]) == 0
    files = {"adapter_config.json", "head_config.json", "pytorch_adapter.bin", "pytorch_model_head.bin", "README.md"}
    assert {path.name for path in out.iterdir()} == files
    card = (out / "README.md").read_text()
    run = Bank.open(made).entry("mrpc").run
    score = run["scores"]["validation"]["f1"]
    assert card.startswith("---\nlibrary_name: ")
    for words in ("load_adapter", f"| validation | f1 | {score:.4f} |", "nyu-mll/glue", run["run_id"], "LayerNorms"):
        assert words in card
    capsys.readouterr()
    assert bank_command.main([*command, "--model", str(tiny_model)]) == 2
    told(capsys, "exists")


@pytest.mark.skipif(not PEERS.exists(), reason="needs AdapterHub's library in .venv-peers (make .venv-peers/installed)")
@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
@pytest.mark.parametrize(
    "options", [[], ["method.placement=pfeiffer", "method.activation=swish"]], ids=["houlsby", "pfeiffer"]
)
def test_adapterhubs_library_computes_the_same(tmp_path, glue, family, options, capsys):
    model, results = save_tiny(tmp_path / "encoder", family), tmp_path / "results"
    options = ["train.learning_rate=1e-2", "method.bottleneck_size=8", "train.save=best", *options]
    train(results, model, glue, "task=mrpc", *options)
    assert bank_command.main(["add", str(results), "--model", str(model)]) == 0
    assert bank_command.main(["export", str(results), "--format", "adapterhub", "--model", str(model)]) == 0
    rows = [("a1 b2 c3", "d4"), ("e5", "f6 g7 h8 i9 j0 a2"), ("b1 b1", "c2 c2")]
    inputs = load_tokenizer(find_checkpoint(str(model)))(*map(list, zip(*rows, strict=True)), padding=True)
    environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [PEERS, ROOT / "scripts/peers/load_adapter.py", model, results / "bank/export/adapterhub-mrpc"],
        input=json.dumps(dict(inputs)), capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.array(json.loads(done.stdout.splitlines()[-1]))
    ours = np.array(predictor(results / "bank", ["mrpc"], model).logits([("mrpc", row) for row in rows]))
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert np.ptp(ours[:, 0]) > 1e-3
