"""How a task's own rows are read: settings, their defaults, what a record keeps of them, and what is refused."""

import pytest

from harness.errors import UserError
from harness.tasks.glue import find_task, task_settings
from harness.tasks.reading import WHOLE, Division, reading_from
from harness.tasks.task import task_from, with_labels

FILE = {"name": "spam", "kind": "classification", "text": ["message"], "label": "kind", "file": "spam.csv"}
FILES = FILE | {"file": None, "files": {"train": "a.csv", "validation": "b.csv"}}


def test_one_file_is_divided_by_default():
    reading = reading_from(FILE)
    assert reading.files == ((WHOLE, "spam.csv"),) and reading.is_whole
    assert reading.division == Division(0.1, 0.1, 0, True)
    assert reading.folder == "spam" and reading.unknown_labels == "error"
    task = task_from(FILE)
    assert (task.evaluation_sets, task.test_sets, task.kind.labels) == (("validation",), ("test",), ())
    assert task_from(FILE | {"split": {"test": 0}}).test_sets == ()


def test_files_per_split_are_not_divided_unless_a_split_is_missing():
    assert reading_from(FILES).division == Division()
    assert task_from(FILES).test_sets == ()
    part = FILES | {"files": {"train": "a.csv", "test": "c.csv"}, "split": {"validation": 0.2}}
    assert reading_from(part).division == Division(validation=0.2)
    assert reading_from(part).has("validation") and task_from(part).test_sets == ("test",)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {"Y": "yes", "Yes": "yes", "N": "no"}, "unknown_labels": "drop", "missing": ["NA", "-"]},
        {"labels": ["b", "a"], "split": {"validation": 0.2, "test": 0, "seed": 3, "keep_duplicates_together": False}},
        {"file": None, "hub": {"name": "me/spam", "config": "en", "revision": "a" * 40}, "min_label_rows": 2},
        {"header": False, "text": [1, 2], "label": 0, "delimiter": "|", "quoting": "none", "encoding": "cp1252"},
        {"file": None, "files": {"train": "x/a.tsv", "validation": "x/b.tsv"}, "folder": "y", "expected_rows": 9},
    ],
)
def test_a_record_keeps_all_that_reads_the_rows(changes):
    task = task_from(FILE | changes)
    again = find_task(task_settings(task))
    assert again == task and again.reading == task.reading


def test_a_record_keeps_no_folder_of_one_machine():
    for path in ("/data/mine/spam.csv", "../spam.csv", "~/spam.csv"):
        assert task_settings(task_from(FILE | {"file": path}))["file"] == "spam.csv"
    assert task_settings(task_from(FILE | {"file": "mails/spam.csv"}))["file"] == "mails/spam.csv"


def test_the_labels_of_a_mapping_are_in_its_order():
    task = task_from(FILE | {"labels": {"Y": "yes", "N": "no", "Yes": "yes"}})
    assert task.kind.labels == ("yes", "no")
    assert dict(task.reading.spellings) == {"Y": "yes", "N": "no", "Yes": "yes"}


def test_labels_that_are_found_later_must_fit_the_metrics():
    task = task_from(FILE | {"metrics": ["f1"]})
    assert with_labels(task, ["ham", "spam"]).kind.labels == ("ham", "spam")
    with pytest.raises(UserError, match="f1 needs a task with 2 labels"):
        with_labels(task, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hub": {"name": "a/b"}}, "task.file and task.hub: give one of them"),
        ({"file": None}, "task.label says how rows are read, but nothing says where they lie; give task.file"),
        ({"file": None, "hub": {"config": "en"}}, "task.hub.name=OWNER/NAME"),
        ({"file": None, "files": {"validation": "b.csv"}}, "task.files has no train"),
        ({"split": {"validation": 0.5, "test": 0.5}}, "leave no training rows"),
        (FILES | {"split": {"validation": 0.1}}, "task.files.validation is that split already"),
        ({"header": False}, "task.text and task.label as positions from 0"),
        ({"delimiter": ";;"}, "task.delimiter=';;' is not one character; give one, or tab"),
        ({"encoding": "utf-9"}, "task.encoding=utf-9 is unknown; give one of Python's"),
        ({"labels": {True: "yes", "N": "no"}}, "task.labels: YAML reads yes, no"),
        ({"labels": "yes"}, "task.labels=yes: give a list of labels, or a mapping"),
    ],
)
def test_a_wrong_setting_is_named(changes, words):
    with pytest.raises(UserError) as caught:
        task_from(FILE | changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)
