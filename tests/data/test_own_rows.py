"""A task's own rows: labels merged, rows dropped and counted, labels that no run could learn refused."""

import pandas as pd
import pytest

from harness.data.own_rows import Table, own_rows, to_datasets
from harness.errors import UserError
from harness.tasks.protocols import task_under
from harness.tasks.reading import WHOLE
from harness.tasks.task import task_from, with_labels

SPAM = {"name": "spam", "kind": "classification", "text": ["message"], "label": "kind", "file": "spam.csv"}
FILES = SPAM | {"file": None, "files": {"train": "a", "validation": "b", "test": "c"}}
SCORES = SPAM | {"kind": "regression"}


def table(name, texts, labels):
    rows = pd.DataFrame({0: texts, 1: labels}, dtype="str")
    return Table(rows, name, lambda row: f"{name} line {row + 2}")


def whole(labels, texts=None):
    texts = [f"text {row}" for row in range(len(labels))] if texts is None else texts
    return {WHOLE: table("spam.csv", texts, labels)}


def per_split(**labels):
    return {name: table(name, [f"{name} {row}" for row in range(len(rows))], rows) for name, rows in labels.items()}


def test_spellings_are_merged_and_other_values_dropped():
    task = task_from(SPAM | {"labels": {"Y": "yes", "Yes": "yes", "N": "no"}, "unknown_labels": "drop"})
    own = own_rows(whole(["Y", "Yes ", "N", "N", "?", None, "n"] * 10), task)
    assert own.labels == ("yes", "no")
    assert own.dropped == {"no label": 10, "label '?'": 10, "label 'n'": 10}
    assert own.read == {"rows": 70}
    assert pd.concat(own.splits.values())["label"].value_counts().to_dict() == {"yes": 20, "no": 20}


def test_labels_are_those_of_the_training_rows_numbers_by_size():
    assert own_rows(whole(["10", "9", "b", "a"] * 10), task_from(SPAM)).labels == ("9", "10", "a", "b")


def test_rows_without_text_are_dropped():
    texts = [f"text {row}" for row in range(18)] + ["  ", None]
    assert own_rows(whole(["a", "b"] * 10, texts), task_from(SPAM)).dropped == {"no text": 2}


def test_labels_with_few_rows_are_dropped_on_request():
    task = task_from(SPAM | {"min_label_rows": 2})
    own = own_rows(whole(["a", "b"] * 10 + ["c"]), task)
    assert (own.labels, own.dropped) == (("a", "b"), {"rare label": 1})
    again = own_rows(whole(["a", "b"] * 10 + ["c"]), with_labels(task, own.labels))
    assert again.dropped == own.dropped


def test_repeated_texts_are_counted():
    own = own_rows(whole(["a", "b"] * 20, ["same", "same"] + [f"text {row}" for row in range(38)]), task_from(SPAM))
    assert own.summary(("sentence1",))["duplicates"] == {
        "repeated": 1, "with_several_labels": 1, "also_in_train": {"validation": 0, "test": 0},
    }  # fmt: skip


def test_the_gold_labels_of_a_test_set_are_hidden_unless_it_is_reported():
    tables = per_split(train=["a", "b"] * 5, validation=["b", "a"], test=["b", "b"])
    tables["test"] = Table(tables["test"].rows[[0]], "test", str)
    task = with_labels(task_from(FILES), ["a", "b"])
    rows = to_datasets(own_rows(tables, task), task)
    assert rows["validation"]["label"][:] == [1, 0] and rows["test"]["label"][:] == [-1, -1]
    reported = task_under("test", task)
    tables = per_split(train=["a", "b"] * 5, validation=["b", "a"], test=["b", "b"])
    assert to_datasets(own_rows(tables, reported), reported)["test"]["label"][:] == [1, 1]


def test_thousands_of_labels():
    labels = [f"label {row % 3000}" for row in range(9000)]
    task = task_from(SPAM)
    task = with_labels(task, own_rows(whole(labels), task).labels)
    rows = to_datasets(own_rows(whole(labels), task), task)
    assert task.kind.outputs == 3000
    assert task.kind.compact(rows["train"].to_pandas()["label"].to_numpy()).max() == 2999


def test_missing_splits_are_taken_from_the_training_rows():
    task = task_from(FILES | {"files": {"train": "a", "test": "c"}, "split": {"validation": 0.2}})
    tables = per_split(train=["a", "b"] * 10, test=["a", "b"])
    own = own_rows(tables, task_under("test", task))
    assert {name: len(rows) for name, rows in own.splits.items()} == {"train": 16, "validation": 4, "test": 2}


@pytest.mark.parametrize(
    ("settings", "tables", "words"),
    [
        (SPAM, whole(["a", "b"] * 5, [None] * 10), ["no row has a text", "'message' is empty in all 10 rows"]),
        (SPAM, whole([None] * 10), ["no row has a label", "'kind' is empty"]),
        (SPAM, whole(["a"] * 10), ["one label only (a)"]),
        (SPAM | {"labels": ["a", "b"]}, whole(["a", "b", "c"] * 5),
         ["label 'c' (5 rows) is not one of the task's labels (a, b)", "task.unknown_labels=drop"]),
        (SPAM | {"labels": ["a", "b", "c"]}, whole(["a", "b"] * 5),
         ["label 'c' has no training row (values there: a, b)"]),
        (SCORES, whole(["1", "2.5", "high", "4"]), ["spam.csv line 4: the label 'high' is not a number"]),
        (SCORES, whole(["1", "inf"]), ["line 3: the label 'inf' is not a number"]),
    ],
)  # fmt: skip
def test_rows_that_no_run_could_use(settings, tables, words):
    with pytest.raises(UserError) as caught:
        own_rows(tables, task_from(settings))
    assert all(word in str(caught.value) for word in words), caught.value


def test_labels_of_a_test_set_that_no_training_row_has():
    tables = per_split(train=["a", "b"] * 5, validation=["a", "b"], test=["a", "z"])
    with pytest.raises(UserError, match=r"test: label 'z' \(1 rows\) is not one of the task's labels \(a, b\)"):
        own_rows(tables, task_under("test", task_from(FILES)))
    kept = own_rows(tables, task_under("test", task_from(FILES | {"unknown_labels": "drop"})))
    assert len(kept.splits["test"]) == 1 and kept.dropped == {"label 'z'": 1}


def test_a_split_that_the_filters_leave_empty():
    tables = per_split(train=["a", "b"] * 5, validation=["z", "z"], test=["a", "b"])
    with pytest.raises(UserError, match="validation: no row has one of the task's labels"):
        own_rows(tables, task_under("test", task_from(FILES | {"unknown_labels": "drop"})))
