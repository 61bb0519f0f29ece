"""From runs with stored weights to a bank: adding, replacing, listing and checking, through the real commands."""

import json
import shutil

from harness.commands import bank as bank_command
from harness.records.predictions import read_predictions, write_predictions
from harness.serving.bank_folder import Bank
from harness.tasks.glue import get_task
from tests.fixtures.bank import BANKED, TRAINED, predictor, validation_rows
from tests.fixtures.commands import assert_one_line_error, records, train
from tests.fixtures.tiny import save_tiny


def test_the_best_run_of_each_variant_is_stored_with_what_it_is(bank_runs):
    stored = sorted(path.stem for path in (bank_runs / "weights").glob("*.json"))
    assert len(stored) == len(TRAINED) * 2
    done = records(bank_runs)
    for name in TRAINED:
        headline = get_task(name).headline
        for size in (2, 8):
            group = [
                record for record in done.values()
                if record["config"]["task"]["name"] == name and record["config"]["method"]["bottleneck_size"] == size
            ]  # fmt: skip
            best = max(record["scores"]["holdout"][headline] or -2 for record in group)
            (kept,) = [record for record in group if record["run_id"] in stored]
            assert (kept["scores"]["holdout"][headline] or -2) == best
            beside = json.loads((bank_runs / "weights" / f"{kept['run_id']}.json").read_text())
            assert beside.pop("weights")["parameters"] == kept["parameters"]["trained"]
            assert beside == kept


def test_adding_a_task_touches_no_other(bank, bank_runs, tiny_model, word_glue, capsys):
    before = {path.name: path.read_bytes() for path in bank.rglob("*") if path.is_file()}
    rows = validation_rows(word_glue, "cola")
    logits = predictor(bank, ["cola"], tiny_model).logits(rows)
    assert bank_command.main(["add", str(bank_runs), "--bank", str(bank), "--model", str(tiny_model)]) == 0
    assert "CoLA" in capsys.readouterr().out
    after = {path.name: path.read_bytes() for path in bank.rglob("*") if path.is_file()}
    assert {name: data for name, data in after.items() if name in before} == before
    assert len(after) == len(before) + 4  # weights, record, predictions, gold labels
    again = predictor(bank, ["cola"], tiny_model).logits(rows)
    assert all((one == other).all() for one, other in zip(logits, again, strict=True))


def test_a_task_is_replaced_only_on_demand(bank, bank_runs, tiny_model, capsys):
    other = next(
        path.stem
        for path in (bank_runs / "weights").glob("cola*.json")
        if path.stem != Bank.open(bank).entry("cola").run["run_id"]
    )
    command = ["add", str(bank_runs), "--bank", str(bank), "--model", str(tiny_model), "--run", other]
    assert bank_command.main(command) == 0
    assert "--replace" in capsys.readouterr().out
    assert Bank.open(bank).entry("cola").run["run_id"] != other
    assert bank_command.main([*command, "--replace"]) == 0
    assert Bank.open(bank).entry("cola").run["run_id"] == other
    assert len(list(bank.glob("cola*.safetensors"))) == 1
    assert bank_command.main(["check", str(bank), "--model", str(tiny_model)]) == 0


def test_the_list_measures_what_lies_on_the_disk(bank, tiny_model, capsys):
    assert bank_command.main(["list", str(bank)]) == 0
    out = capsys.readouterr().out
    opened = Bank.open(bank)
    sizes = [opened.path(opened.entry(name)).stat().st_size for name in BANKED]
    encoder = (tiny_model / "model.safetensors").stat().st_size
    for size in (*sizes, encoder, sum(sizes) + encoder, 3 * encoder):
        assert f" {size / 1e6:.2f} |" in out
    assert f"{(sum(sizes) + encoder) / encoder:.2f}x" in out


def test_check_holds_the_bank_against_the_training_runs(bank, tiny_model, word_glue, capsys):
    command = ["check", str(bank), "--model", str(tiny_model), "--data", "local", "--data-path", str(word_glue)]
    assert bank_command.main(command) == 0
    assert capsys.readouterr().out.count("ok, 0 of 16 predictions differ") == 3
    entry = Bank.open(bank).entry("cola")
    arrays = read_predictions(bank, entry.run["run_id"])
    write_predictions(bank, entry.run["run_id"], arrays | {"validation": 1 - arrays["validation"]})
    assert bank_command.main(command) == 1
    assert "CoLA: 16 of 16 predictions differ" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_line(bank, bank_runs, tiny_model, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    inside = tmp_path / "file" / "below"
    assert bank_command.main(["add", str(bank_runs), "--bank", str(inside), "--model", str(tiny_model)]) == 2
    assert_one_line_error(capsys, f"--bank={inside} cannot be written")
    command = ["export", str(bank), "--format", "adapterhub", "--task", "mrpc", "--out", str(inside)]
    assert bank_command.main([*command, "--model", str(tiny_model)]) == 2
    assert_one_line_error(capsys, f"--out={inside} cannot be written")


def test_runs_chosen_on_different_rows_are_not_compared(bank, bank_runs, tmp_path, tiny_model, capsys):
    results = tmp_path / "mixed"
    shutil.copytree(bank_runs / "weights", results / "weights")
    one, other = sorted((results / "weights").glob("mrpc*.json"))
    record = json.loads(other.read_text())
    record["config"]["protocol"]["fraction"] = 0.5
    other.write_text(json.dumps(record))
    command = ["add", str(results), "--bank", str(tmp_path / "new"), "--model", str(tiny_model), "--task", "mrpc"]
    assert bank_command.main(command) == 2
    assert_one_line_error(capsys, "MRPC", "chosen on different rows", "--run")
    assert bank_command.main([*command, "--run", one.stem]) == 0


def test_a_bank_takes_one_encoder(bank, bank_runs, tmp_path, word_glue, tiny_model, capsys):
    other = save_tiny(tmp_path / "other-bert", "electra")
    results = tmp_path / "results"
    train(results, other, word_glue, "task=rte", "method.bottleneck_size=2", "train.save=best")
    capsys.readouterr()
    before = sorted(path.name for path in bank.iterdir())
    assert bank_command.main(["add", str(results), "--bank", str(bank), "--model", str(other)]) == 2
    assert_one_line_error(capsys, "the bank", "use another --bank")
    assert sorted(path.name for path in bank.iterdir()) == before
    assert bank_command.main(["add", str(tmp_path)]) == 2
    assert_one_line_error(capsys, "train.save=best")
    assert bank_command.main(["add", str(bank_runs), "--method", "full", "--model", str(tiny_model)]) == 2
    assert_one_line_error(capsys, "full", "mrpc (adapter)")
