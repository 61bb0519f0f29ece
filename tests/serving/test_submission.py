"""The submission: which run predicts which file, what stands in for missing ones, and the same bytes each time."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.data.sources.glue_folder import GlueFolder
from harness.data.sources.synthetic.suite import Synthetic
from harness.errors import UserError
from harness.records.predictions import write_predictions
from harness.serving.submission import FILES, best_runs, write_submission
from harness.tasks.glue import OFFICIAL_ROWS
from tests.fixtures.glue_fixture import write_glue
from tests.fixtures.make_records import make_record

NO_GLUE = Synthetic("given")
HERE = Path("here")


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    return GlueFolder(str(write_glue(tmp_path_factory.mktemp("glue"), tasks=["rte", "stsb", "wnli"])), "given")


def predicted(results, name, values, **options):
    """A record, whose run predicted these values on the test set in the file's order 10, 11, ..."""
    record = make_record(name, **options)
    arrays = {"validation": np.zeros(2, np.int8)}
    if values is not None:
        arrays |= {"test": np.asarray(values), "test.idx": np.arange(10, 10 + len(values), dtype=np.int32)}
    write_predictions(results, record["run_id"], arrays)
    return record


def written(out, best, results, data):
    lines = write_submission(out, best, results, data)
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    return files, json.loads(out.with_suffix(".manifest.json").read_text()), lines


def best_of(*records, method=None, protocol=None):
    return best_runs(records, method=method, protocol=protocol, where=HERE)


def test_every_test_set_has_its_file_and_its_official_number_of_rows():
    assert {file.name: file.rows for file in FILES}["AX.tsv"] == OFFICIAL_ROWS["ax"]["test"]
    assert len({file.name for file in FILES}) == 11
    assert sum(file.rows for file in FILES) == sum(
        rows for splits in OFFICIAL_ROWS.values() for split, rows in splits.items() if split.startswith("test")
    )


def test_the_best_run_on_glue_is_taken_and_runs_on_other_data_are_not():
    low, high = make_record("rte", score=0.6), make_record("rte", score=0.7, rate=3e-4)
    synthetic = make_record("rte", score=0.9, source="synthetic", fingerprint="s")
    failed = make_record("rte", status="failed", error="x", seed=4)
    assert best_of(low, synthetic, high, failed) == {"rte": high}
    with pytest.raises(UserError, match="the runs in here are on synthetic data, which the benchmark does not take"):
        best_of(synthetic)


def test_a_filter_that_leaves_nothing_says_what_there_is():
    with pytest.raises(UserError, match="here has no completed run for --method=full; 1 others are completed"):
        best_of(make_record("rte"), method="full")
    with pytest.raises(UserError, match="here has no completed run; 0 others"):
        best_of(make_record("rte", status="failed"))


def test_runs_with_other_selection_splits_are_not_compared():
    held_out = make_record("rte", score={"holdout": 0.9, "validation": 0.5}, rate=1e-5,
                           protocol={"name": "holdout", "fraction": 0.1, "seed": 0})  # fmt: skip
    paper = make_record("rte", score=0.6)
    with pytest.raises(UserError, match=r"RTE in here were chosen on different rows .* give --protocol"):
        best_of(paper, held_out)
    assert best_of(paper, held_out, protocol="holdout") == {"rte": held_out}


def test_predictions_are_written_with_the_benchmarks_row_numbers(tmp_path, glue):
    best = best_of(predicted(tmp_path, "rte", [0, 1], score=0.7), predicted(tmp_path, "stsb", [-0.2, 5.3], score=None))
    files, manifest, lines = written(tmp_path / "s.zip", best, tmp_path, NO_GLUE)
    assert files == {
        "RTE.tsv": "index\tprediction\n10\tentailment\n11\tnot_entailment\n",
        "STS-B.tsv": "index\tprediction\n10\t0.000\n11\t5.000\n",
    }
    entry = manifest["files"]["RTE.tsv"]
    assert (entry["run_id"], entry["rows"], entry["official_rows"]) == (best["rte"]["run_id"], 2, 3000)
    assert entry["chosen_by"] == {"set": "validation", "metric": "accuracy", "score": 0.7}
    (rte,) = [line for line in lines if line.startswith("RTE")]
    assert "(validation accuracy 70.0)" in rte and "3,000 ROWS EXPECTED" in rte
    assert any(line.startswith("STS-B") and "spearman undefined" in line for line in lines)


def test_tasks_without_a_run_get_the_constant_answer_of_their_training_rows(tmp_path, glue):
    best = best_of(predicted(tmp_path, "rte", [0] * 16))
    files, manifest, lines = written(tmp_path / "s.zip", best, tmp_path, glue)
    assert set(files) == {"RTE.tsv", "STS-B.tsv", "WNLI.tsv"}
    assert manifest["files"]["WNLI.tsv"]["from"] == "majority"
    gold = np.asarray(glue.load(FILES[3].task)["train"]["label"])
    assert {line.split("\t")[1] for line in files["STS-B.tsv"].splitlines()[1:]} == {f"{gold.mean():.3f}"}
    assert any(line.startswith("WNLI") and "MAJORITY CLASS" in line for line in lines)
    assert "missing" in manifest["left_out"]["CoLA.tsv"]


def test_what_is_left_out_says_why(tmp_path):
    no_test, gone = predicted(tmp_path, "rte", None), make_record("mrpc")
    best = best_of(predicted(tmp_path, "stsb", [1.0]), no_test, gone)
    _, manifest, lines = written(tmp_path / "s.zip", best, tmp_path, NO_GLUE)
    reasons = manifest["left_out"]
    assert reasons["RTE.tsv"] == f"its best run, {no_test['run_id']}, did not predict test sets, or had none"
    assert f"{gone['run_id']}, are not in {tmp_path}/predictions" in reasons["MRPC.tsv"]
    assert reasons["AX.tsv"] == "no run, and no GLUE data (set GLUE_DIR, or give --data)"
    assert sum("LEFT OUT" in line for line in lines) == 10


def test_nothing_is_written_where_no_run_predicted_a_test_set(tmp_path, glue):
    with pytest.raises(UserError, match=r"no run in .* predicted a test set; run with protocol=submit"):
        write_submission(tmp_path / "s.zip", best_of(predicted(tmp_path, "rte", None)), tmp_path, glue)
    assert not list(tmp_path.glob("s.*"))


def test_the_same_runs_give_the_same_bytes(tmp_path, glue):
    best = best_of(predicted(tmp_path, "rte", [0, 1]))
    for name in ("a", "b"):
        write_submission(tmp_path / f"{name}.zip", best, tmp_path, glue)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
