"""CoLA by domain, on a folder in the official format and predictions whose scores are known on each kind of row."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from harness.data.sources import resolve
from harness.data.splits import split_rows
from harness.records.predictions import read_predictions, store_predictions, write_predictions
from harness.records.record import load_records, write_record
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.groups import comparable_groups
from harness.tasks.glue import TASKS
from scripts.cola_domains import main
from tests.conftest import ROOT
from tests.fixtures.make_records import make_record

TASK = TASKS["cola"]
HOLDOUT = {"name": "holdout", "fraction": 0.25, "seed": 0}
DEV = ["gj04", "new1", "bc01", "new2", "new1"] * 12  # two of five rows are in-domain
IN_DOMAIN = np.array([not source.startswith("new") for source in DEV])


def write_cola(folder: Path, dev: list[str] = DEV) -> Path:
    (folder / "CoLA").mkdir(parents=True)
    for name, sources in (("train", ["gj04", "bc01"] * 40), ("dev", dev)):
        lines = [f"{source}\t{row // 2 % 2}\t\tSentence {row}.\n" for row, source in enumerate(sources)]
        (folder / "CoLA" / f"{name}.tsv").write_text("".join(lines))
    return folder


def gold_labels(glue: Path) -> dict[str, np.ndarray]:
    rows = split_rows(
        resolve(source="local", path=str(glue)).load(TASK), TASK, HOLDOUT, max_train_rows=None, max_eval_rows=None
    )
    return {name: np.array(rows[name]["label"]) for name in ("holdout", "validation")}


@pytest.fixture(scope="module")
def glue(tmp_path_factory) -> Path:
    return write_cola(tmp_path_factory.mktemp("glue"))


def store(results: Path, glue: Path, wrong: dict[str, list[int]], protocol=HOLDOUT, **options) -> dict:
    """A run that is right on all rows but those of `wrong`, by evaluation set."""
    gold = gold_labels(glue)
    if protocol["name"] == "paper":
        gold.pop("holdout")
    predictions = {name: labels.copy() for name, labels in gold.items()}
    for name in gold:
        predictions[name][wrong.get(name, [])] ^= 1
    scores = {name: matthews_corrcoef(gold[name], values) for name, values in predictions.items()}
    record = make_record("cola", score=scores, protocol=protocol, **options)
    record["data"]["rows"] = {name: len(labels) for name, labels in gold.items()}
    record["predictions"] = store_predictions(results, record["run_id"], TASK, predictions, gold)
    write_record(results, record)
    return record


@pytest.fixture
def results(tmp_path, glue) -> Path:
    """Two seeds: right on held-out and in-domain rows, and wrong on one or two of three out-of-domain rows."""
    out = np.flatnonzero(~IN_DOMAIN)
    for seed in (0, 1):
        store(tmp_path, glue, {"validation": [*out[:: 3 - seed]]}, seed=seed)
    return tmp_path


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


def lines_of(text: str, title: str) -> list[list[str]]:
    """The cells of the table below a title, without its header."""
    block = text.split(f"## {title}: ")[1].split("\n## ")[0]
    table = [line for line in block.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_scores_are_those_of_the_rows_of_each_domain(capsys, results, glue):
    status, text, _ = run(capsys, results, "--data-path", glue)
    assert status == 0
    assert text == (results / "cola_domains.md").read_text() + "\n"
    by_part = {line[0]: line[1:3] for line in lines_of(text, "Rows")}
    assert by_part == {
        "Held-out": ["20", "2"], "Validation": ["60", "4"], "In-domain": ["24", "2"], "Out-of-domain": ["36", "2"],
    }  # fmt: skip
    assert "Sources without a training row: new1 (24), new2 (12)." in text

    gold = gold_labels(glue)["validation"]
    files = [read_predictions(results, path.stem)["validation"] for path in sorted((results / "runs").iterdir())]
    whole, out = (
        np.mean([100 * matthews_corrcoef(gold[rows], values[rows]) for values in files])
        for rows in (slice(None), ~IN_DOMAIN)
    )
    ((_, _, _, runs, held_out, validation, inside, outside, choice),) = lines_of(text, "Scores")
    assert (runs, choice) == ("2", "chosen")
    assert held_out == inside == "100.0 ±0.0 [100.0, 100.0]"
    assert validation.startswith(f"{whole:.1f} ±") and outside.startswith(f"{out:.1f} ±".replace("-", "−"))

    (one,) = lines_of(text, "Gaps")
    assert one[4].startswith(f"+{100 - whole:.1f} [") and one[6] == "+0.0 [0.0, 0.0]"
    assert one[8].startswith(f"+{100 - out:.1f} [") and one[9].startswith("[")


def test_the_mean_is_that_of_the_chosen_candidates(capsys, results, glue):
    store(results, glue, {}, rate=3e-4)  # one seed, where the chosen candidate has two
    store(results, glue, {"holdout": [0, 1]}, method="full")
    _, text, _ = run(capsys, results, "--data-path", glue)
    full, *adapters, mean = lines_of(text, "Gaps")
    assert [line[-1] for line in (full, *adapters)] == ["chosen", "", "chosen"]
    points = [float(line[4].split()[0].replace("−", "-")) for line in (full, adapters[1], mean)]
    assert points[2] == pytest.approx(np.mean(points[:2]), abs=0.1)
    assert (mean[0], mean[5]) == ("Mean of the chosen (2)", "–")


def test_intervals_of_whole_sets_are_the_reports(capsys, results, glue):
    _, text, _ = run(capsys, results, "--data-path", glue, "--out", results / "elsewhere" / "table.md")
    assert (results / "elsewhere" / "table.md").exists() and not (results / "cola_domains.md").exists()
    (group,) = comparable_groups(load_records(results))
    low, high = Bootstrap(results).interval(group.ordered_cells[0].chosen, "validation")
    assert f"[{low:.1f}, {high:.1f}]" in lines_of(text, "Scores")[0][5]


def test_without_held_out_rows_the_domains_are_compared(capsys, tmp_path, glue):
    store(tmp_path, glue, {"validation": [1, 2]}, protocol={"name": "paper"})
    _, text, _ = run(capsys, tmp_path, "--data-path", glue)
    assert [line[0] for line in lines_of(text, "Rows")] == ["Validation", "In-domain", "Out-of-domain"]
    assert len(lines_of(text, "Gaps")[0]) == 7 and "Held-out" not in text


def test_other_rows_than_those_of_the_runs_are_refused(capsys, results, glue, tmp_path_factory):
    shorter = write_cola(tmp_path_factory.mktemp("shorter"), DEV[:-1])
    status, _, error = run(capsys, results, "--data-path", shorter)
    assert status == 2 and "was scored on 60 rows of validation" in error and "have 59" in error
    swapped = shutil.copytree(glue, tmp_path_factory.mktemp("swapped") / "glue")
    dev = swapped / "CoLA/dev.tsv"
    dev.write_text("".join(reversed(dev.read_text().splitlines(keepends=True))))
    status, _, error = run(capsys, results, "--data-path", swapped)
    assert status == 2 and "scored on other gold labels" in error and error.count("\n") == 1


def test_missing_files_and_runs_are_one_line(capsys, results, glue, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    status, _, error = run(capsys, results, "--data-path", empty)
    assert status == 2 and "CoLA/train.tsv is missing" in error and error.count("\n") == 1
    status, _, error = run(capsys, empty, "--data-path", glue)
    assert status == 2 and "no run records" in error
    write_record(empty, make_record("rte"))
    status, _, error = run(capsys, empty, "--data-path", glue)
    assert status == 2 and "has no finished run of CoLA" in error


def test_predictions_must_be_there_and_as_many_as_rows(capsys, results, glue):
    path = sorted((results / "predictions").iterdir())[0]
    path.write_bytes(b"no archive")
    status, _, error = run(capsys, results, "--data-path", glue)
    assert status == 2 and f"has no usable {path.name}" in error
    record = store(results, glue, {}, seed=0)
    record["predictions"].pop("sha256")  # as in records from before there was one
    write_record(results, record)
    short = {name: values[:-1] for name, values in read_predictions(results, record["run_id"]).items()}
    write_predictions(results, record["run_id"], short)
    status, _, error = run(capsys, results, "--data-path", glue)
    assert status == 2 and "19 predictions of holdout" in error and "has 20 rows" in error


def test_the_committed_table_is_that_of_the_committed_predictions(capsys, tmp_path):
    if not os.environ.get("GLUE_DIR"):
        pytest.skip("needs the sources of CoLA's sentences: GLUE_DIR is not set")
    status, _, error = run(capsys, ROOT / "results/minilm", "--out", tmp_path / "fresh.md")
    if status == 2 and "was scored on" in error:
        pytest.skip("GLUE_DIR has other rows than those that the runs were scored on")
    assert (tmp_path / "fresh.md").read_text() == (ROOT / "results/minilm/cola_domains.md").read_text()
