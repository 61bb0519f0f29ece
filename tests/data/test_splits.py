"""The rows of a run: gold labels that a results folder lacks are restored from the data, if it is the same data."""

import shutil

import numpy as np

from harness import report
from harness.records.predictions import read_gold
from tests.fixtures.commands import train
from tests.fixtures.glue_fixture import write_glue


def labels_of(results):
    return {path.stem: read_gold(results, path.stem) for path in (results / "gold").iterdir()}


def test_labels_are_restored_from_the_rows_of_the_runs_and_from_no_others(tmp_path, tiny_model, capsys):
    """One label changed, another set of rows, and a task left as it was; then the data of the runs."""
    glue, results = write_glue(tmp_path / "glue", tasks=["rte", "mrpc", "stsb"]), tmp_path / "results"
    limited = ["protocol=holdout", "data.max_eval_rows=12", "method.bottleneck_size=2"]
    train(results, tiny_model, glue, "task=rte,mrpc,stsb", *limited)
    kept = labels_of(results)
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
    assert [key.split("-")[0] for key in labels_of(results)] == ["mrpc"]

    assert report.main([*command, str(glue)]) == 0
    assert "are not those" not in capsys.readouterr().out
    found = labels_of(results)
    assert found.keys() == kept.keys()
    for key, arrays in found.items():
        assert arrays.keys() == kept[key].keys()
        assert all(np.array_equal(arrays[name], kept[key][name]) for name in arrays)
    assert intervals.read_text() == with_labels
