"""From the command line to the tables, on tiny random encoders and small files of the real formats."""

import re

import pandas as pd
import pytest

from harness.commands import report
from tests.fixtures.commands import FAST, python, records
from tests.fixtures.tiny import save_tiny

OTHERS = ["roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet", "deberta-v2", "modernbert"]


def test_every_task_runs_with_both_methods_and_the_report_shows_them(harness_run, tmp_path, capsys):
    tasks = "task=cola,sst2,mrpc,stsb,qqp,mnli,qnli,rte,wnli"
    status, out, _ = harness_run("--multirun", tasks, "method.bottleneck_size=2,4")
    assert status == 0, out
    assert "18 runs to do in 9 stacks" in out
    status, out, _ = harness_run("--multirun", tasks, "method=full")
    assert status == 0, out
    done = records(tmp_path / "results")
    assert len(done) == 18 + 9
    assert {record["status"] for record in done.values()} == {"completed"}
    for record in done.values():
        name = record["config"]["task"]["name"]
        sets = ["validation_matched", "validation_mismatched"] if name == "mnli" else ["validation"]
        assert sorted(record["scores"]) == sets
        assert record["data"]["rows"] == {"train": 48} | dict.fromkeys(sets, 16)
        assert 0 <= record["training"]["padding_share"] < 0.3
        assert len(record["training"]["history"]) == 2
        assert len(record["training"]["stack"]) == (2 if record["config"]["method"]["name"] == "adapter" else 1)
        assert record["provenance"]["precision"] in ("bf16", "fp32")
    assert report.main([str(tmp_path / "results"), "--notes"]) == 0
    printed = capsys.readouterr().out
    table = (tmp_path / "results/tables/glue.md").read_text()
    for words in ("Full fine-tuning", "Adapters (2", "Adapters (4", "best size", "MNLI-mm", "WNLI", "tiny-bert"):
        assert words in table
    assert all(line in printed for line in table.splitlines() if line.startswith("|"))
    runs = pd.read_csv(tmp_path / "results/runs.csv")
    assert len(runs) == 27
    assert set(runs["status"]) == {"completed"}
    for name in ("tables/glue.csv", "tables/glue.tex", "tables/by_size.md", "tables/sweep.md", "runs.csv"):
        assert (tmp_path / "results" / name).stat().st_size > 0


def test_what_is_done_is_skipped_and_the_same_command_gives_the_same_scores(harness_run, tmp_path):
    sweep = ["--multirun", "task=mrpc", "train.learning_rate=1e-3,3e-3", "train.seed=0,1"]
    assert harness_run(*sweep)[0] == 0
    first = records(tmp_path / "results")
    status, out, _ = harness_run(*sweep)
    assert status == 0
    assert "0 runs to do" in out and "4 of 4 are done" in out
    assert re.search(r"^  MRPC  adapter 64  lr \S+  seed \d  F1 \S+  best of 4", out, re.M)
    assert f"python -m harness.report {tmp_path / 'results'}" in out
    assert records(tmp_path / "results") == first
    assert harness_run(*sweep, results=tmp_path / "again")[0] == 0
    second = records(tmp_path / "again")
    assert first.keys() == second.keys()
    for run_id, record in first.items():
        assert record["scores"] == second[run_id]["scores"]
        assert record["training"]["history"] == second[run_id]["training"]["history"]
        assert record["training"]["losses"] == second[run_id]["training"]["losses"]
        curve = record["training"]["losses"]
        assert len(curve["means"]) == -(-record["training"]["steps"] // curve["every"])


def test_a_sweep_goes_on_in_micro_batches_and_keeps_what_is_done(harness_run, tmp_path):
    """Whoever runs out of memory sets them for the rest of the sweep; records name them."""
    assert harness_run("task=rte", "train.dropout=0")[0] == 0
    (whole,) = records(tmp_path / "results").values()
    again = ["--multirun", "task=rte", "train.dropout=0", "train.seed=0,1", "train.micro_batch_size=3"]
    status, out, _ = harness_run(*again)
    assert status == 0
    assert "1 run to do in 1 stack (1 of 2 are done)" in out
    done = records(tmp_path / "results")
    assert done.pop(whole["run_id"]) == whole
    (divided,) = done.values()
    assert divided["training"]["micro_batch_size"] == 3
    assert "micro_batch_size" not in whole["training"]
    assert "micro_batch_size" not in divided["config"]["train"]
    assert harness_run(*again, results=tmp_path / "divided")[0] == 0
    same = records(tmp_path / "divided")[whole["run_id"]]
    for before, now in zip(whole["training"]["history"], same["training"]["history"], strict=True):
        assert now["loss"] == pytest.approx(before["loss"], abs=1e-4)


def test_a_diverged_run_is_a_record_and_the_others_are_kept(harness_run, tmp_path):
    status, _, err = harness_run("--multirun", "task=rte", "train.learning_rate=1e-3,1e30", "train.epochs=20")
    assert status == 1
    by_status = {record["status"]: record for record in records(tmp_path / "results").values()}
    assert by_status.keys() == {"completed", "diverged"}
    assert "no longer finite" in by_status["diverged"]["error"]
    assert by_status["diverged"]["scores"] == {}
    assert "1 of 2 runs did not complete" in err[0]
    assert by_status["diverged"]["run_id"] in err[1]


def test_a_constant_prediction_is_flagged(harness_run, tmp_path):
    assert harness_run("task=rte", "train.learning_rate=1e-30")[0] == 0
    assert harness_run("task=stsb", "train.learning_rate=1e-30")[0] == 0
    for record in records(tmp_path / "results").values():
        assert record["status"] == "completed"
        if record["config"]["task"]["name"] == "rte":
            assert record["degenerate"] is True


def test_scores_of_every_epoch_on_request(harness_run, tmp_path):
    assert harness_run("task=mrpc", "train.evaluate_every_epoch=true", "train.epochs=3")[0] == 0
    (record,) = records(tmp_path / "results").values()
    history = record["training"]["history"]
    assert ["scores" in entry for entry in history] == [True, True, False]  # the last is the record's own
    assert set(history[0]["scores"]["validation"]) == {"f1", "accuracy"}


@pytest.mark.parametrize("family", OTHERS)
def test_other_families_train(harness_run, tmp_path, family):
    model = save_tiny(tmp_path / family, family)
    without_pooler = ("electra", "distilbert", "deberta-v2", "modernbert")
    status, _, err = harness_run("--multirun", "task=rte", "train.seed=0,1", model=model)
    assert status == 0, err
    for record in records(tmp_path / "results").values():
        assert record["encoder"]["family"] == family
        assert record["encoder"]["pooling"] == ("first token" if family in without_pooler else "pooler")


def test_pooling_is_recorded_and_kept_apart(harness_run, tmp_path):
    status, out, err = harness_run("--multirun", "task=rte", "model.pooling=auto,pooler,first,mean")
    assert status == 0, err
    assert "3 runs to do in 3 stacks" in out
    done = records(tmp_path / "results").values()
    poolers = {record["encoder"]["pooling"]: record["parameters"]["groups"]["pooler"]["total"] for record in done}
    assert poolers == {"first token": 0, "mean": 0, "pooler": 32 * 33}
    assert report.main([str(tmp_path / "results")]) == 0
    table = (tmp_path / "results/tables/glue.md").read_text()
    assert "pooling first" in table and "pooling mean" in table and "rows, pooling pooler" not in table


def test_a_pooler_that_the_checkpoint_lacks_is_refused_before_any_work(harness_run, tmp_path):
    status, _, err = harness_run("task=rte", "model.pooling=pooler", model=save_tiny(tmp_path / "m", "electra"))
    assert status == 2 and len(err) == 1
    assert "model.pooling=pooler: this electra checkpoint has no pooler; choose auto, first or mean" in err[0]
    assert not records(tmp_path / "results")


def test_every_method_is_a_row_of_the_methods_table(harness_run, tmp_path, capsys):
    groups = "method=full,adapter,pfeiffer,top_layers,layernorm,bitfit,head,ia3"
    status, out, err = harness_run("--multirun", "task=mrpc", groups, "train.optimizer=bert_adam")
    assert status == 0, err
    assert "8 runs to do in 8 stacks" in out
    lora = ["method=lora", "method.rank=4,8", "method.alpha=8", "train.optimizer=bert_adam"]
    status, out, err = harness_run("--multirun", "task=mrpc", *lora)
    assert status == 0, err
    assert "2 runs to do in 1 stack:" in out
    done = {record["run_id"].split("-lr")[0]: record for record in records(tmp_path / "results").values()}
    assert set(done) == {
        *("mrpc-full", "mrpc-adapter64", "mrpc-adapter128", "mrpc-top_layers1", "mrpc-layernorm", "mrpc-bitfit"),
        *("mrpc-head", "mrpc-lora4", "mrpc-lora8", "mrpc-ia3"),
    }
    assert report.main([str(tmp_path / "results")]) == 0
    rows = [line for line in (tmp_path / "results/tables/methods.md").read_text().splitlines() if line.startswith("| ")]
    shown = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in rows}
    head = done["mrpc-head"]
    assert shown["Head only"][0] == f"{100 * head['scores']['validation']['f1']:.1f}"
    assert shown["Head only"][1] == "66"  # 32 weights and a bias for each of two labels
    assert shown["Full fine-tuning"][1] == f"{done['mrpc-full']['parameters']['trained']:,}"
    assert {
        "Adapters (64, houlsby)",
        "Adapters (128, pfeiffer)",
        "Top layers (1)",
        "LoRA (4)",
        "LoRA (8)",
        "IA3",
    } <= set(shown)


def test_spans_of_adapters_are_removed_and_drawn(harness_run, tmp_path):
    sweep = ["--multirun", "task=stsb", "train.evaluate_spans=true", "train.seed=0,1", "train.learning_rate=1e-3"]
    status, _, err = harness_run(*sweep, "method.init_std=0.1")
    assert status == 0, err
    first, second = records(tmp_path / "results").values()
    assert [(span["first"], span["last"]) for span in first["spans"]] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
        (2, 2),
    ]
    assert set(first["spans"][0]["scores"]["validation"]) == {"spearman", "pearson"}
    assert len(second["spans"]) == 6
    assert all(span["scores"] != first["scores"] for span in first["spans"])
    assert report.main([str(tmp_path / "results")]) == 0
    assert (tmp_path / "results/figures/ablation.png").stat().st_size > 1000


def test_the_commands_as_processes(tmp_path, tiny_model, glue):
    """Quiet without a terminal: finished runs on standard output, nothing on standard error."""
    where = [f"results_dir={tmp_path / 'r'}", f"cache_dir={tmp_path / 'c'}", "model=local", f"model.name={tiny_model}"]
    done = python("-m", "harness.run", "--multirun", "task=mrpc", "train.learning_rate=1e-3,1e-2", *FAST, *where,
                  GLUE_DIR=str(glue))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "GLUE_DIR" in done.stdout
    assert "[2/2]" in done.stdout
    told = python("-m", "harness.report", str(tmp_path / "r"))
    assert told.returncode == 0, told.stderr
    assert "Adapters" in told.stdout
    nothing = python("-m", "harness.report", str(tmp_path / "empty"))
    assert nothing.returncode == 2
    assert len(nothing.stderr.splitlines()) == 1


def test_a_run_without_data_is_refused_with_the_ways_to_give_some(harness_run, monkeypatch):
    monkeypatch.delenv("GLUE_DIR", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, _, err = harness_run("task=rte", data=None)
    assert (status, len(err)) == (2, 1)
    for way in ("GLUE_DIR=", "data.path=", "data=hub", "data=synthetic"):
        assert way in err[0]


def test_a_run_on_synthetic_data_says_so(harness_run, tmp_path):
    rows = ["data.max_train_rows=64", "data.max_eval_rows=64"]
    status, out, _ = harness_run("task=rte", "data=synthetic", *rows, data=None)
    assert status == 0
    assert "NOT GLUE" in out
    assert report.main([str(tmp_path / "results")]) == 0
    assert "not glue" in (tmp_path / "results/tables/glue.md").read_text().lower()
