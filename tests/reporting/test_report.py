import os
import subprocess
import sys

import pandas as pd
import pytest

from harness.commands.report import main
from harness.records.record import load_records, write_plan
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.documents import make_report
from tests.fixtures.make_records import make_record, write_all


def run_python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


@pytest.fixture
def results(tmp_path):
    """A small sweep: two tasks, full fine-tuning and two sizes, one failed, one diverged and one missing run."""
    records = [make_record("mrpc", "full", score=s, seed=i, rate=5e-5) for i, s in enumerate((0.85, 0.87))]
    for size, scores in {8: (0.84, 0.86), 64: (0.86, 0.88)}.items():
        records += [make_record("mrpc", score=s, seed=i, size=size) for i, s in enumerate(scores)]
        records += [make_record("rte", score=s, seed=i, size=size) for i, s in enumerate(scores)]
    records.append(make_record("rte", "full", status="failed", error="out of\nmemory"))
    records.append(make_record("rte", seed=2, status="diverged", error="loss is nan at step 7"))
    records.append(make_record("cola", score=0.5, source="synthetic", max_train_rows=500))
    write_all(tmp_path, records)
    write_plan(tmp_path, [*(record["run_id"] for record in records), "mrpc-never-started"])
    return tmp_path


@pytest.mark.process
def test_nothing_heavy_on_the_reporting_side():
    heavy = "{'torch', 'transformers', 'datasets', 'evaluate', 'sklearn'}"
    done = run_python("-c", f"import harness.report, sys; assert not {heavy} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


@pytest.mark.process
def test_the_command_writes_the_tables_and_prints_them_with_all_notes(results):
    done = run_python("-m", "harness.report", str(results), "--notes", PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr
    names = ["tables/glue.md", "tables/glue.tex", "tables/glue.csv", "tables/by_size.md", "tables/sweep.md", "runs.csv"]
    assert all((results / name).stat().st_size and str(results / name) in done.stdout for name in names)
    markdown = (results / "tables" / "glue.md").read_text(encoding="utf-8")
    sections = markdown.split("\n## ")
    assert [section.splitlines()[0] for section in sections[1:]] == [
        "all-MiniLM-L6-v2 on GLUE (local), all rows",
        "Adapters (64, best size) against full fine-tuning: all-MiniLM-L6-v2 on GLUE (local), all rows",
        "all-MiniLM-L6-v2 on synthetic data (NOT GLUE), at most 500 training rows",
        "Published: Table 1 of the paper",
        "Published: similar encoders",
    ]
    assert all(line in done.stdout for line in markdown.splitlines()[3:])  # without its title and the link to the notes
    assert (results / "tables" / "NOTES.md").read_text(encoding="utf-8") in done.stdout
    (adapters,) = (line for line in sections[1].splitlines() if line.startswith("| Adapters (64, best size)  "))
    assert [cell.strip() for cell in adapters.split("|")[2:-1]] == [
        "1.05x",
        "2.67 %",
        "87.0 ±1.4",
        "87.0 ±1.4",
        "87.0",
    ]


def test_without_notes_scores_verdicts_and_the_folder_are_printed(results, capsys):
    assert main([str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.removeprefix("## ") for line in lines if line.startswith("#")] == [
        "all-MiniLM-L6-v2 on GLUE (local), all rows",
        "all-MiniLM-L6-v2 on synthetic data (NOT GLUE), at most 500 training rows",
    ]
    whole = (results / "tables/glue.md").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("| Adapters (64, best size) ") for line in lines)
    assert {line for line in lines if line.startswith("|")} < set(whole)
    notes = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    starts = [
        "Runs of this section: 10 completed, 1 failed, 1 diverged, 0 running or interrupted.",
        "Missing, planned in this folder and without a record: 1 (`mrpc-never-started`).",
        "failed: no run of that cell has completed.",
        "'Within 0.4 points of full fine-tuning on the mean (adapters of the best size)': not judged. Here +1.0",
        "'Within 0.8 points of full fine-tuning on the mean (adapters of size 64)': not judged. Here +1.0",
        "**NOT GLUE: synthetic data.**",
    ]
    assert [note[: len(start)] for note, start in zip(notes, starts, strict=True)] == starts
    assert "; 3 seeds on MRPC; " in notes[3] and "runs of both methods on CoLA, SST-2, STS-B, QQP" in notes[3]
    assert lines[-4] == f"The paper's statements: 4 not judged, 18 not run ({results}/tables/claims.md)"
    assert lines[-2] == f"To look at: {results}/report.html"
    assert lines[-1] == f"Tables, figures and notes: {results} (--notes prints all notes)"


def test_notes_stand_once_in_a_file_of_their_own(results, capsys):
    assert main([str(results), "--notes"]) == 0
    printed = capsys.readouterr().out
    tables, _, notes = printed.partition("\n# Notes\n")
    assert "- **NOT GLUE: synthetic data.**" in tables
    every, first, second = notes.split("\n## ")[1:]
    assert every.startswith("How to read the tables") and "\n- Chosen: per cell" in every
    assert "NOT GLUE: synthetic" not in first
    assert "- **NOT GLUE: synthetic data.**" in second
    files = {path.name: path.read_text(encoding="utf-8") for path in (results / "tables").iterdir()}
    holders = [name for name, text in files.items() if "22,713,216 parameters without head" in text]
    assert holders == ["NOTES.md"]
    for note in (
        "22,713,216 parameters without head, 6 layers, width 384, pooling ",
        ", sha256 53aa51172d14.",
        "MRPC 3,668 / 408; RTE 2,490 / 277.",
        "commit 0123456789; device cpu; precision fp32; torch 2.9.0, transformers 5.0.0.",
        "MRPC F1; RTE accuracy.",
        "the official validation set, which makes the scores optimistic.",
        "Seeds: n = 2 (seeds 0, 1); ±",
        "Seeds of a chosen config without a score: RTE Adapters (64) 1 diverged of 3.",
        "Runs of this section: 10 completed, 1 failed, 1 diverged, 0 running or interrupted.",
        "Missing, planned in this folder and without a record: 1 (`mrpc-never-started`).",
        "`: out of memory",
        "`: loss is nan at step 7",
    ):
        assert note in first, note
    assert "CoLA 500 of 8,551 / 1,043." in second
    assert "the validation set, which" in second  # not the official one
    assert "Seeds: n = 1 (seed 0); one seed has no ±." in second


def test_notes_list_what_differs_between_runs(tmp_path, capsys):
    other = make_record(seed=1)
    other["provenance"] |= {"commit": "fedcba9876543210", "dirty": True, "device": "cuda", "precision": "bf16"}
    other["provenance"]["versions"] = {"torch": "2.10.0", "transformers": "5.0.0"}
    write_all(tmp_path, [make_record(), other])
    main([str(tmp_path), "--notes"])
    assert (
        "commit 0123456789, fedcba9876 (dirty: uncommitted changes); device cpu, cuda; precision bf16, fp32; "
        "torch 2.10.0 and 2.9.0, transformers 5.0.0." in capsys.readouterr().out
    )


def test_every_note_is_one_line(results):
    main([str(results)])
    for name in ("glue", "by_size", "sweep", "NOTES"):
        first, *lines = (results / "tables" / f"{name}.md").read_text(encoding="utf-8").splitlines()
        assert first.startswith("# ") and (name == "NOTES" or "[NOTES.md](NOTES.md)" in lines.pop(1))
        assert all(line[:2] in ("", "##", "| ", "- ") for line in lines)


def test_out_takes_the_files_and_results_stay_as_they_are(results, tmp_path):
    out = tmp_path / "elsewhere" / "report"
    assert main([str(results), "--out", str(out)]) == 0
    assert (out / "tables" / "glue.md").exists()
    assert not (results / "tables").exists()


def test_runs_csv_has_every_run_and_comes_back(results):
    main([str(results)])
    frame = pd.read_csv(results / "runs.csv").set_index("run_id")
    assert len(frame) == 13
    assert dict(frame.status.value_counts()) == {"completed": 11, "failed": 1, "diverged": 1}
    best = frame[(frame.task == "mrpc") & (frame.label == "Adapters (64)") & (frame.seed == 1)].iloc[0]
    assert (best.score, best.bottleneck_size, best.learning_rate) == (0.88, 64, 1e-3)


def test_by_size_and_sweep_files(results):
    main([str(results)])
    by_size = (results / "tables" / "by_size.md").read_text(encoding="utf-8")
    assert "| MRPC    | 85.0 ±1.4 | 87.0 ±1.4 |        64 |" in by_size
    assert "86.2 at size 8, 85.8 at size 64, 85.7 at size 256" in by_size
    sweep = (results / "tables" / "sweep.md").read_text(encoding="utf-8")
    # Two tasks × three rows, of which RTE full fine-tuning has no choice.
    assert "0 of 6 cells chose the lowest or the highest learning rate" in sweep
    assert "5 cells tried one rate only" in sweep


def test_the_main_table_does_not_depend_on_the_order_of_the_records(results, tmp_path):
    records = load_records(results)
    made = [make_report(rows, Bootstrap(tmp_path), with_figures=False).files for rows in (records, records[::-1])]
    for name in ("tables/glue.csv", "tables/glue.tex", "tables/by_size.md"):
        first, second = (files[name] for files in made)
        assert sorted(first.splitlines()) == sorted(second.splitlines())  # failures are listed in the order given


def test_a_folder_of_failures_still_makes_a_report(tmp_path, capsys):
    write_all(tmp_path, [make_record(status="failed", error="no such file")])
    assert main([str(tmp_path), "--notes"]) == 0
    printed = capsys.readouterr().out
    assert "| Adapters (64)  |         – |       – | failed |    – |" in printed
    assert "No run has come as far as loading its encoder and data." in printed


def test_full_fine_tuning_alone_has_no_table_by_size(tmp_path):
    write_all(tmp_path, [make_record(method="full")])
    main([str(tmp_path)])
    assert "No run has a bottleneck size." in (tmp_path / "tables" / "by_size.md").read_text(encoding="utf-8")


@pytest.mark.process
def test_an_empty_folder_is_the_users_error(tmp_path):
    done = run_python("-m", "harness.report", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no run records in" in done.stderr


def test_an_unwritable_out_is_the_users_error(results, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert main([str(results), "--out", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot be written" in error


def test_help_names_the_files(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "by_size.{md,tex}" in text and "next to these folders runs.csv (one row per run)" in text
