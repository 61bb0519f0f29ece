"""What titles, notes and captions say of the data: complete GLUE, cut files, samples of them, other data."""

import dataclasses

import pytest

from harness.records.record import task_of
from harness.reporting.bootstrap import Bootstrap
from harness.reporting.documents import make_report
from harness.reporting.facts import cut_phrase, data_phrase, in_order, reported_detail, reported_split, rows_phrase
from harness.tasks.glue import TASKS
from tests.fixtures.make_records import make_record

CUT_QQP = {"train": 8_999, "validation": 1_000}
SPAM = {"name": "spam", "title": "Spam", "kind": "classification", "labels": ["ham", "spam"], "metrics": ["accuracy"],
        "headline": "accuracy"}  # fmt: skip
HOLDOUT = {"name": "holdout", "fraction": 0.1, "seed": 0}


def report_of(records, tmp_path):
    """Everything that a report says, by file, figures and their captions included."""
    files = make_report(records, Bootstrap(tmp_path)).files
    return {name: content for name, content in files.items() if isinstance(content, str)}


def sized(task, **fields):
    """Enough runs of a task for a figure."""
    return [make_record(task, size=size, **fields) for size in (1, 8, 64)]


def test_complete_files_are_the_official_sets(tmp_path):
    records = [*sized("mrpc"), *sized("mnli")]
    assert data_phrase(records) == "GLUE (local)"
    assert reported_split(records) == "the official validation set"
    assert (cut_phrase(records), reported_detail(records)) == ("", "")
    files = report_of(records, tmp_path)
    assert "## all-MiniLM-L6-v2 on GLUE (local), all rows" in files["tables/glue.md"]
    assert "on the official validation set (" in files["tables/glue.md"]
    assert "the same split, the official validation set, which" in files["tables/NOTES.md"]
    assert "chosen and reported on the official validation set." in files["figures/README.md"]
    of_claims = "runs that are synthetic, cut, of fewer than 3 seeds"  # what is never judged
    assert not any("cut" in text.replace("cut_files", "").replace(of_claims, "").lower() for text in files.values())


def test_cut_evaluation_files_are_not_called_official(tmp_path):
    records = [*sized("mrpc"), *sized("qqp", available=CUT_QQP)]
    assert data_phrase(records) == "GLUE files, cut (local)"
    assert cut_phrase(records) == "QQP train 8,999 (official: 363,846), validation 1,000 (official: 40,430)"
    files = report_of(records, tmp_path)
    for name in ("tables/glue.md", "tables/intervals.md", "tables/by_size.md", "tables/methods.md", "tables/sweep.md"):
        text = files[name]
        assert "on GLUE files, cut (local), all rows" in text
        assert "official validation set" not in text
        if "sweep" not in name:
            assert "on the validation set (F1), chosen on the same split, which is optimistic." in text
            assert "Scored on a part of the rows: QQP." in text
    notes = files["tables/NOTES.md"]
    assert "the same split, the validation set, which makes the scores optimistic." in notes
    assert "The validation set is official for MRPC; cut for QQP (1,000 rows, officially 40,430)." in notes
    assert "official validation set" not in notes
    assert "QQP train 8,999 (official: 363,846), validation 1,000" in files["tables/glue.csv"]
    assert "Cut files: QQP train 8,999 (official: 363,846), validation 1,000" in files["figures/README.md"]
    assert "official validation set" not in files["figures/README.md"] + files["tables/glue.tex"]


@pytest.mark.parametrize("protocol", [None, HOLDOUT])
def test_cut_training_files_leave_the_validation_set_official(tmp_path, protocol):
    cut = sized("qnli", available={"train": 9_999}, protocol=protocol, score={"holdout": 0.8, "validation": 0.8})
    assert data_phrase(cut) == "GLUE files, cut (local)"
    assert (reported_split(cut), reported_detail(cut)) == ("the official validation set", "")
    files = report_of(cut, tmp_path)
    assert "GLUE release: QNLI train 9,999 (official: 104,743)." in files["tables/NOTES.md"]
    assert "the official validation set, which" in files["tables/NOTES.md"]


def test_a_figure_speaks_of_the_tasks_that_it_draws(tmp_path):
    records = [*sized("mrpc"), make_record("qqp", available=CUT_QQP)]
    caption = report_of(records, tmp_path)["figures/README.md"]
    assert "data: GLUE (local). Rows, training / evaluation: MRPC 3,668 / 408." in caption
    assert "QQP" not in caption and "reported on the official validation set" in caption


def test_a_row_limit_makes_the_reported_set_a_sample(tmp_path):
    records = [*sized("mrpc", max_eval_rows=300), *sized("rte", max_eval_rows=300)]
    assert data_phrase(records) == "GLUE (local)"
    assert reported_split(records) == "the validation set"
    detail = "The validation set is official for RTE; a random sample of the official one for MRPC (300 of 408 rows)."
    assert reported_detail(records) == detail
    assert rows_phrase(records) == "MRPC 3,668 / 300 of 408; RTE 2,490 / 277"
    files = report_of(records, tmp_path)
    assert detail in files["tables/NOTES.md"]
    for name in ("tables/glue.md", "tables/intervals.md", "tables/glue.tex"):
        assert "Scored on a part of the rows: MRPC." in files[name]
    shown = [files[name] for name in ("tables/glue.md", "tables/NOTES.md", "figures/README.md")]
    assert not any("official validation set" in text for text in shown)


def test_other_data_have_nothing_official(tmp_path):
    records = sized("mrpc", source="synthetic", max_eval_rows=300, available={"validation": 500})
    assert data_phrase(records) == "synthetic data (NOT GLUE)"
    assert (reported_split(records), cut_phrase(records)) == ("the validation set", "")
    assert reported_detail(records) == "The validation set is a random sample for MRPC (300 of 500 rows)."
    files = report_of(records, tmp_path)
    assert "**NOT GLUE: synthetic data.**" in files["tables/glue.md"]
    first = files["tables/glue.md"].split("\n## Published")[0]
    assert not any("official" in text for text in (first, files["figures/README.md"], files["tables/methods.md"]))


def test_tasks_of_ones_own_are_not_measured_by_glue(tmp_path):
    record = make_record(SPAM, score=0.9)
    assert data_phrase([record]) == "own data (local)"
    files = report_of([record], tmp_path)
    assert not any("NOT GLUE" in text for name, text in files.items() if name != "report.html")
    assert "## all-MiniLM-L6-v2 on own data (local), all rows" in files["tables/glue.md"]


def test_a_part_of_a_task_that_says_how_many_rows_it_has(tmp_path):
    read = {"file": "spam.csv", "text": ["text"], "split": {"validation": 0.2}, "expected_rows": 5574}
    record = make_record(SPAM | read, score=0.9)
    record["data"]["available"] = {"train": 4000, "validation": 1000}
    phrase = f"{task_of(record).title} 5,000 rows (expected: 5,574)"
    assert cut_phrase([record]) == phrase
    assert f"than the complete data: {phrase}." in report_of([record], tmp_path)["tables/NOTES.md"]
    record["data"]["available"]["validation"] += 574
    assert cut_phrase([record]) == ""


def test_data_that_no_run_has_loaded():
    assert data_phrase([make_record(status="failed", error="no such file")]) == "local data (never loaded)"


def test_tasks_are_in_the_order_of_glue_and_then_by_name():
    zebra, apple = (dataclasses.replace(TASKS["rte"], name=name, title=name) for name in ("zebra", "apple"))
    tasks = [zebra, TASKS["wnli"], apple, TASKS["cola"], TASKS["cola"]]
    assert [task.name for task in in_order(tasks)] == ["cola", "wnli", "apple", "zebra"]


def test_a_reported_test_split_is_called_so(tmp_path):
    """With protocol=test the task of a record has the test split as its evaluation set."""
    task = {"name": "spam", "kind": "classification", "labels": ["a", "b"], "evaluation_sets": ["test"]}
    records = [make_record(task, size=size, protocol={"name": "test"}) for size in (1, 8, 64)]
    assert reported_split(records) == "the test set"
    files = report_of(records, tmp_path)
    assert (
        "the test set" in files["tables/tasks.md"]
        and "alidation set, reported on the test set" in files["figures/README.md"]
    )
    few = [make_record(task, protocol={"name": "test"}, max_eval_rows=10)]
    assert reported_detail(few) == "The test set is a random sample for spam (10 of 100 rows)."
