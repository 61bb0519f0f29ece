"""The rows of a run: row limits, the held-out split, and gold labels restored from the data, if it is the same data."""

import shutil

import numpy as np
import pytest
from datasets import Dataset

from harness.commands import report
from harness.data.sources.glue_folder import GlueFolder
from harness.data.splits import hold_out, limit_rows, restore_gold, split_rows
from harness.records.predictions import read_gold, store_predictions
from harness.tasks.glue import TASKS
from harness.tasks.protocols import scored_sets
from tests.fixtures.commands import train
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.make_records import make_record

HOLDOUT = {"name": "holdout", "fraction": 0.1, "seed": 0}


def split(labels, **options):
    rows = Dataset.from_dict({"label": list(labels), "idx": list(range(len(labels)))})
    return hold_out(rows, **({"fraction": 0.1, "seed": 0} | options))


def test_a_tenth_is_held_out_with_the_shares_of_the_classes():
    labels = np.random.default_rng(1).permutation([0] * 700 + [1] * 250 + [2] * 50)
    train, held_out = split(labels)
    assert (len(train), len(held_out)) == (900, 100)
    assert np.bincount(held_out["label"]).tolist() == [70, 25, 5]
    assert sorted([*train["idx"], *held_out["idx"]]) == list(range(1000))
    assert list(held_out["idx"]) == sorted(held_out["idx"])
    assert [labels[i] for i in held_out["idx"]] == list(held_out["label"])


def test_scores_keep_their_distribution():
    labels = np.random.default_rng(2).beta(2, 1, 2000) * 5
    _, held_out = split(labels)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(held_out["label"], shares) == pytest.approx(np.quantile(labels, shares), abs=0.05)


def test_the_seed_draws_the_rows_and_nothing_else_does():
    labels = [0, 1] * 200
    assert list(split(labels)[1]["idx"]) == list(split(labels)[1]["idx"])
    assert list(split(labels)[1]["idx"]) != list(split(labels, seed=1)[1]["idx"])


@pytest.mark.parametrize(("rows", "fraction", "held_out"), [(2, 0.1, 1), (3, 0.9, 2), (10, 0.3, 3), (25, 0.5, 12)])
def test_small_splits_keep_a_row_on_either_side(rows, fraction, held_out):
    train, chosen = split([0] * rows, fraction=fraction)
    assert (len(train), len(chosen)) == (rows - held_out, held_out)


def test_limited_rows_are_a_fixed_random_sample():
    rows = Dataset.from_dict({"row": list(range(1000))})
    some = limit_rows(rows, 100)["row"]
    assert len(some) == 100
    assert list(some) == sorted(some)
    assert 300 < np.mean(some) < 700  # not the first hundred
    assert list(limit_rows(rows, 100)["row"]) == list(some)
    assert len(limit_rows(rows, None)) == len(limit_rows(rows, 5000)) == 1000


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    return GlueFolder(str(write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte", "stsb", "mnli"])), "as given")


def test_the_holdout_is_taken_from_the_limited_training_rows(glue):
    task = TASKS["mnli"]
    rows = split_rows(glue.load(task), task, HOLDOUT, max_train_rows=40, max_eval_rows=12)
    assert {name: len(split) for name, split in rows.items()} == {
        "train": 36, "holdout": 4, "validation_matched": 12, "validation_mismatched": 12,
    }  # fmt: skip
    limited = limit_rows(glue.load(task)["train"], 40)["idx"]
    assert sorted([*rows["train"]["idx"], *rows["holdout"]["idx"]]) == list(limited)
    paper = split_rows(glue.load(task), task, {"name": "paper"}, max_train_rows=40, max_eval_rows=12)
    assert list(paper) == ["train", "validation_matched", "validation_mismatched"]
    assert list(paper["train"]["idx"]) == list(limited)


def finished(results, glue, name, protocol):
    """The record of a run of that task on those rows, with its predictions and gold labels stored."""
    task, limits = TASKS[name], {"max_train_rows": 30, "max_eval_rows": 12}
    record = make_record(name, protocol=protocol, **limits)
    rows = split_rows(glue.load(task), task, protocol, **limits)
    gold = {set_: np.asarray(rows[set_]["label"]) for set_ in scored_sets(protocol["name"], task)}
    key = store_predictions(results, record["run_id"], task, gold, gold)["gold"]
    return record | {"predictions": {"gold": key}}


def test_gold_labels_are_restored_from_the_rows_of_the_run(tmp_path, glue):
    records = [finished(tmp_path, glue, name, protocol) for name in ("rte", "stsb", "mnli")
               for protocol in (HOLDOUT, {"name": "paper"})]  # fmt: skip
    records += [make_record("rte", status="failed"), finished(tmp_path, glue, "rte", HOLDOUT)]  # none, and a known key
    before = {path.name: path.read_bytes() for path in (tmp_path / "gold").iterdir()}
    assert len(before) == 6
    kept = tmp_path / "gold" / f"{records[0]['predictions']['gold']}.npz"
    for path in (tmp_path / "gold").iterdir():
        if path != kept:
            path.unlink()
    assert restore_gold(tmp_path, records, glue) == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "gold").iterdir()} == before
    mnli = read_gold(tmp_path, records[4]["predictions"]["gold"])
    assert set(mnli) == {"holdout", "validation_matched", "validation_mismatched"}


def test_the_gold_labels_of_other_data_are_refused(tmp_path, glue):
    records = [finished(tmp_path, glue, name, HOLDOUT) for name in ("rte", "stsb")]
    keys = {record["config"]["task"]["name"]: record["predictions"]["gold"] for record in records}
    for path in (tmp_path / "gold").iterdir():
        path.unlink()
    other = GlueFolder(str(write_glue(tmp_path / "other", rows=60, tasks=["stsb"])), "as given")
    dev = write_glue(tmp_path / "other", tasks=["rte"]) / "RTE/dev.tsv"
    dev.write_text(dev.read_text().replace("\tentailment\n", "\tnot_entailment\n"))
    assert restore_gold(tmp_path, records, other) == sorted(keys.values())
    assert not list((tmp_path / "gold").iterdir())


def gold_of(results):
    return {path.stem: read_gold(results, path.stem) for path in (results / "gold").iterdir()}


def test_labels_are_restored_from_the_rows_of_the_runs_and_from_no_others(tmp_path, tiny_model, capsys):
    """One label changed, another set of rows, and a task left as it was; then the data of the runs."""
    glue, results = write_glue(tmp_path / "glue", tasks=["rte", "mrpc", "stsb"]), tmp_path / "results"
    limited = ["protocol=holdout", "data.max_eval_rows=12", "method.bottleneck_size=2"]
    train(results, tiny_model, glue, "task=rte,mrpc,stsb", *limited)
    kept = gold_of(results)
    assert {name for arrays in kept.values() for name in arrays} == {"holdout", "validation"}
    intervals = results / "tables/intervals.md"
    assert report.main([str(results)]) == 0
    with_labels = intervals.read_text()
    shutil.rmtree(results / "gold")
    assert report.main([str(results)]) == 0
    assert intervals.read_text() != with_labels

    other = write_glue(tmp_path / "other", rows=60, tasks=["stsb"])
    for folder in ("RTE", "MRPC"):
        shutil.copytree(glue / folder, other / folder)
    dev = other / "RTE/dev.tsv"
    lines = dev.read_text().splitlines(keepends=True)
    head, _, label = lines[1].rstrip("\n").rpartition("\t")
    swapped = {"entailment": "not_entailment", "not_entailment": "entailment"}[label]
    dev.write_text("".join([lines[0], f"{head}\t{swapped}\n", *lines[2:]]))
    command = [str(results), "--data", "local", "--data-path"]
    capsys.readouterr()
    assert report.main([*command, str(other)]) == 0
    refused = [line for line in capsys.readouterr().out.splitlines() if "are not those that its runs" in line]
    assert [line.split("-")[0] for line in refused] == ["rte", "stsb"]
    assert [key.split("-")[0] for key in gold_of(results)] == ["mrpc"]

    assert report.main([*command, str(glue)]) == 0
    assert "are not those" not in capsys.readouterr().out
    found = gold_of(results)
    assert found.keys() == kept.keys()
    for key, arrays in found.items():
        assert arrays.keys() == kept[key].keys()
        assert all(np.array_equal(arrays[name], kept[key][name]) for name in arrays)
    assert intervals.read_text() == with_labels
