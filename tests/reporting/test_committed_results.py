"""The committed tables are those of a fresh report of the committed records.

Gold labels are not committed, since GLUE's are the benchmark's. Without them scores are compared and intervals are
not; with GLUE_DIR, where it holds the rows that the runs were scored on, everything is, and on the synthetic suite
always. The rows of other suites are in the folders that TEXT_DIR and SQUAD_DIR name.
"""

import io
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.records.record import load_planned, load_records
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.documents import make_report
from tests.conftest import ROOT

# Working results have no README.
FOLDERS = sorted(path.parent for path in (ROOT / "results").rglob("runs") if (path.parent / "README.md").exists())
# Where the rows lie that the runs were scored on, if they are not the synthetic suite's.
VARIABLES = {"further_tasks": "TEXT_DIR", "squad": "SQUAD_DIR", "short": "SQUAD_DIR"}
COMMITTED = ("tables/*.md", "tables/*.csv", "tables/*.tex", "runs.csv")


def committed(folder: Path) -> dict[str, str]:
    paths = [path for pattern in COMMITTED for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


def fresh(folder: Path, predictions: Path) -> dict[str, str]:
    """The tables of the records in `folder`, with the predictions and gold labels that another folder holds."""
    records = load_records(folder)
    missing = sorted(load_planned(folder) - {record["run_id"] for record in records})
    with_paper = (folder / "tables/tasks.md").exists()  # such suites are compared with the paper's scores of them
    return make_report(
        records, Bootstrap(predictions), missing=missing, with_figures=False, with_paper=with_paper
    ).files


def without_intervals(name: str, text: str) -> str:
    """What depends on no gold label: no bounds, none of the paddings that they change, no verdict on a claim, with what
    is to be run for one.
    """
    if name.endswith("glue.csv"):
        frame = pd.read_csv(io.StringIO(text))
        return frame[[column for column in frame if not column.endswith((" low", " high"))]].to_csv()
    if name.endswith(("scores_long.csv", "tasks.csv")):
        return pd.read_csv(io.StringIO(text)).drop(columns=["low", "high"]).to_csv()
    if name.endswith("claims.csv"):
        judged = ["interval", "low", "high", "reason", "verdict", "command"]
        return pd.read_csv(io.StringIO(text)).drop(columns=judged).to_csv()
    if name.endswith("claims.md"):  # columns: statement, section, paper, here, interval, verdict, why
        text = re.sub(r"(?m)^(\|(?:[^|]*\|){4}).*$", r"\1", text)
    if "methods_compared" in name:
        text = re.sub(r"\b(ahead|behind|inconclusive)(, by itself)?\b|(?<=&) --(?= &)", "", text)
    lines = [line for line in text.splitlines() if not line.lstrip("-% ").startswith("'Within")]
    if name.endswith(".tex"):  # widths of columns and of the table
        lines = [line.replace("table*", "table") for line in lines if not line.startswith(("  S[", "  r", "  l"))]
    if name.endswith((".md", ".tex")):
        lines = [re.sub(r"\s*\[[^\]]*\]", "", line) for line in lines]
        lines = [re.sub(r"[-\s–]*\|[-:\s–]*", "|", line) for line in lines]
        lines = [re.sub(r"\{\s*\}", "", line) for line in lines]
        lines = [re.sub(r"&\s*(--)?\s*\\\\$", r"& \\\\", line) for line in lines]
    return "\n".join(lines)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_committed_tables_are_those_of_the_committed_records(folder, tmp_path):
    here, made = committed(folder), fresh(folder, tmp_path)
    assert set(here) == set(made)
    for name, text in made.items():
        assert without_intervals(name, here[name]) == without_intervals(name, text), f"{folder.name}/{name}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_committed_intervals_are_those_of_the_gold_labels(folder, tmp_path):
    from harness.data.sources import resolve
    from harness.data.splits import restore_gold

    records = load_records(folder)
    (source,) = {record["config"]["data"]["source"] for record in records}
    variable = VARIABLES.get(folder.name, "GLUE_DIR")
    if source == "local" and not os.environ.get(variable):
        pytest.skip(f"needs gold labels: {variable} is not set")
    for part in ("runs", "predictions"):
        shutil.copytree(folder / part, tmp_path / part)
    path = os.environ.get(variable) if source == "local" else None
    if restore_gold(tmp_path, records, resolve(source=source, path=path)):
        pytest.skip(f"{variable} has other rows than those that the runs were scored on")
    here, made = committed(folder), fresh(folder, tmp_path)
    for name in ("tables/glue.csv", "tables/scores_long.csv"):
        here_csv, made_csv = (pd.read_csv(io.StringIO(files.pop(name))) for files in (here, made))
        pd.testing.assert_frame_equal(here_csv, made_csv, rtol=1e-9)  # other processors add in another order
    for name, text in made.items():
        assert here[name] == text, f"{folder.name}/{name}"


def test_there_are_committed_results():
    assert "minilm" in [folder.name for folder in FOLDERS]


def test_scores_and_notes_are_compared_and_intervals_are_not():
    with_bounds = "| MRPC    | 408 | 85.5 ±1.2 [82.5, 88.2] |\n- 'Within 0.4 points': confirmed.\n- a note"
    without = "| MRPC    |  408 |   85.5 ±1.2 |\n- 'Within 0.4 points': cannot be judged.\n- a note"
    assert without_intervals("glue.md", with_bounds) == without_intervals("glue.md", without)
    for other in (without.replace("85.5", "85.4"), without.replace("408", "409"), without + "."):
        assert without_intervals("glue.md", other) != without_intervals("glue.md", without)
