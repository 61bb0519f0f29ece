"""From runs that predicted the test sets to the zip of a submission, through the real commands."""

import json
import zipfile

import numpy as np
import pytest

from harness.commands import submit
from harness.records.predictions import read_predictions, write_predictions
from harness.records.record import load_records, write_record
from harness.serving.submission import FILES, SubmissionFile, best_runs
from harness.tasks.glue import TASKS
from tests.fixtures.commands import assert_one_line_error, records, train
from tests.fixtures.glue_fixture import write_diagnostic, write_glue
from tests.fixtures.make_records import make_record, write_all

WORDS = {
    "MNLI-m.tsv": {"entailment", "neutral", "contradiction"},
    "MNLI-mm.tsv": {"entailment", "neutral", "contradiction"},
    "AX.tsv": {"entailment", "neutral", "contradiction"},
    "QNLI.tsv": {"entailment", "not_entailment"},
    "RTE.tsv": {"entailment", "not_entailment"},
}


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    folder = write_glue(tmp_path_factory.mktemp("glue"), words=True)
    write_diagnostic(folder)
    (folder / "SST-2/test.tsv").unlink()
    for name in ("dev", "train", "test"):
        (folder / f"QNLI/{name}.tsv").unlink()
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, glue):
    results = tmp_path_factory.mktemp("results")
    tasks = "task=cola,sst2,mrpc,stsb,qqp,mnli,rte"
    train(
        results, tiny_model, glue, tasks, "protocol=submit", "train.learning_rate=1e-2,3e-2", "method.bottleneck_size=2"
    )
    return results


def test_the_zip_holds_what_the_benchmark_takes(trained, glue, tmp_path, capsys):
    out = tmp_path / "sub.zip"
    assert submit.main([str(trained), "--out", str(out), "--data", "local", "--data-path", str(glue)]) == 0
    printed = capsys.readouterr().out
    manifest = json.loads((tmp_path / "sub.manifest.json").read_text())
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    assert set(files) == {file.name for file in FILES} - {"SST-2.tsv", "QNLI.tsv"}
    assert set(manifest["left_out"]) == {"SST-2.tsv", "QNLI.tsv"}
    for name, lines in files.items():
        rows = [line.split("\t") for line in lines[1:]]
        assert lines[0] == "index\tprediction"
        first = 100 if name == "AX.tsv" else 0
        assert [row[0] for row in rows] == [str(first + i) for i in range(7 if name == "AX.tsv" else 16)]
        values = {row[1] for row in rows}
        if name == "STS-B.tsv":
            assert all(0 <= float(value) <= 5 for value in values)
        else:
            assert values <= WORDS.get(name, {"0", "1"})
        assert manifest["files"][name]["rows"] == len(rows)
        assert name in printed
    assert manifest["files"]["WNLI.tsv"]["from"] == "majority"
    assert "WNLI.tsv" in printed and "MAJORITY CLASS" in printed and "LEFT OUT" in printed
    done = records(trained)
    for name, task in (("CoLA.tsv", "cola"), ("AX.tsv", "mnli"), ("STS-B.tsv", "stsb")):
        entry, headline = manifest["files"][name], TASKS[task].headline
        group = [record for record in done.values() if record["config"]["task"]["name"] == task]
        scores = [record["scores"][TASKS[task].evaluation_sets[0]][headline] for record in group]
        assert entry["chosen_by"]["score"] == max((score for score in scores if score is not None), default=None)
        assert entry["run_id"] in done
    again = tmp_path / "again.zip"
    assert submit.main([str(trained), "--out", str(again), "--data", "local", "--data-path", str(glue)]) == 0
    assert again.read_bytes() == out.read_bytes()


def test_the_files_hold_the_predictions_of_the_best_run(trained, glue, tmp_path):
    out = tmp_path / "sub.zip"
    assert submit.main([str(trained), "--out", str(out), "--data", "local", "--data-path", str(glue)]) == 0
    manifest = json.loads((tmp_path / "sub.manifest.json").read_text())
    with zipfile.ZipFile(out) as archive:
        for name, test_set in (("MNLI-mm.tsv", "test_mismatched"), ("AX.tsv", "ax"), ("RTE.tsv", "test")):
            arrays = read_predictions(trained, manifest["files"][name]["run_id"])
            labels = TASKS[manifest["files"][name]["run_id"].split("-")[0]].kind.labels
            lines = archive.read(name).decode().splitlines()[1:]
            expected = zip(arrays[f"{test_set}.idx"], arrays[test_set], strict=True)
            assert lines == [f"{number}\t{labels[value]}" for number, value in expected]


def test_scores_are_clipped_and_words_are_the_benchmarks():
    numbers = np.array([3, 7])
    stsb, qnli, wnli = (
        next(file for file in FILES if file.name == name) for name in ("STS-B.tsv", "QNLI.tsv", "WNLI.tsv")
    )
    assert stsb.text(np.array([-0.2, 5.3]), numbers) == "index\tprediction\n3\t0.000\n7\t5.000\n"
    assert qnli.text(np.array([0, 1]), numbers) == "index\tprediction\n3\tentailment\n7\tnot_entailment\n"
    assert wnli.text(np.array([0, 1]), numbers) == "index\tprediction\n3\t0\n7\t1\n"
    assert isinstance(stsb, SubmissionFile)


def test_official_row_counts():
    counts = {file.name: file.rows for file in FILES}
    assert counts["CoLA.tsv"] == 1063 and counts["AX.tsv"] == 1104 and counts["MNLI-mm.tsv"] == 9847
    assert len(counts) == 11


def test_what_cannot_be_submitted_is_one_line_and_nothing_is_written(tmp_path, capsys):
    plain = tmp_path / "plain"
    write_all(plain, [make_record("rte"), make_record("cola", "full")])
    assert submit.main([str(plain), "--data", "synthetic"]) == 2
    assert_one_line_error(capsys, "protocol=submit")
    assert submit.main([str(plain), "--method", "bitfit", "--data", "synthetic"]) == 2
    assert_one_line_error(capsys, "no completed run for --method=bitfit", "2 others")
    synthetic = tmp_path / "synthetic"
    write_all(synthetic, [make_record("rte", source="synthetic")])
    assert submit.main([str(synthetic), "--data", "synthetic"]) == 2
    assert_one_line_error(capsys, "synthetic data")
    assert submit.main([str(tmp_path), "--data", "synthetic"]) == 2
    assert_one_line_error(capsys, "no run records")
    mixed = tmp_path / "mixed"
    held_out = make_record("rte", score={"holdout": 0.9, "validation": 0.5}, rate=1e-5,
                           protocol={"name": "holdout", "fraction": 0.1, "seed": 0})  # fmt: skip
    held_out["protocol"] = {"chooses_on": "holdout", "reports_on": ["validation"]}
    write_all(mixed, [make_record("rte"), held_out])
    assert submit.main([str(mixed), "--data", "synthetic"]) == 2
    assert_one_line_error(capsys, "RTE", "chosen on different rows", "--protocol")
    other_rows = make_record("rte", score={"holdout": 0.8, "validation": 0.5}, rate=1e-4,
                             protocol={"name": "holdout", "fraction": 0.2, "seed": 0})  # fmt: skip
    write_all(mixed, [other_rows])
    assert submit.main([str(mixed), "--protocol", "holdout", "--data", "synthetic"]) == 2
    assert_one_line_error(capsys, "RTE", "chosen on different rows", "protocols holdout, or other row limits")
    assert not list(tmp_path.rglob("*.zip")) and not list(tmp_path.rglob("*manifest*"))


def test_a_zip_that_cannot_be_written_is_one_line(trained, glue, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    out = tmp_path / "file" / "sub.zip"
    assert submit.main([str(trained), "--out", str(out), "--data", "local", "--data-path", str(glue)]) == 2
    assert_one_line_error(capsys, f"--out={out} cannot be written")


def test_a_finished_run_trains_again_when_more_of_it_is_to_be_kept(tmp_path, tiny_model, glue, capsys):
    results = tmp_path / "results"
    train(results, tiny_model, glue, "task=rte", "protocol=holdout")
    (run_id,) = records(results)
    assert "test" not in read_predictions(results, run_id)
    asked = ["task=rte", "protocol=holdout", "protocol.predict_test=true"]
    train(results, tiny_model, glue, *asked)
    assert "1 run to do" in capsys.readouterr().out
    assert len(read_predictions(results, run_id)["test"]) == 16
    train(results, tiny_model, glue, *asked, "train.save=all")
    assert "1 run to do" in capsys.readouterr().out
    assert (results / "weights" / f"{run_id}.safetensors").exists()
    train(results, tiny_model, glue, *asked, "train.save=all")
    assert "0 runs to do" in capsys.readouterr().out
    record = records(results)[run_id]
    assert record["data"]["rows"] == {"train": 43, "holdout": 5, "validation": 16}
    assert record["protocol"] == {"chooses_on": "holdout", "reports_on": ["validation"]}
    assert set(record["scores"]) == set(record["majority"]) == {"holdout", "validation"}


def test_ties_go_to_the_smaller_run(tmp_path, capsys):
    small, large = make_record("rte", score=0.7, size=8), make_record("rte", score=0.7, size=64)
    for record, value in ((small, 0), (large, 1)):
        arrays = {"test": np.full(3, value, np.int8), "test.idx": np.arange(3, dtype=np.int32)}
        write_predictions(tmp_path, record["run_id"], arrays)
        write_record(tmp_path, record)
    best = best_runs(load_records(tmp_path), method=None, protocol=None, where=tmp_path)
    assert best["rte"]["run_id"] == small["run_id"]
    assert submit.main([str(tmp_path), "--data", "synthetic"]) == 0
    assert "3,000 ROWS EXPECTED" in capsys.readouterr().out
