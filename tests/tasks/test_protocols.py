"""Selection protocols: the split that selects, and the splits that are scored."""

import pytest

from harness.errors import UserError
from harness.tasks.glue import TASKS, find_task, get_task, task_settings
from harness.tasks.protocols import scored_sets, selection_split, task_under
from harness.tasks.task import task_from

FILES = {"name": "spam", "kind": "regression", "files": {"train": "a.csv", "validation": "b.csv", "test": "c.csv"}}


def test_which_split_selects_and_which_are_scored():
    assert selection_split("paper", get_task("mnli")) == "validation_matched"
    assert scored_sets("paper", get_task("rte")) == ("validation",)
    assert selection_split("holdout", get_task("mnli")) == "holdout"
    assert scored_sets("holdout", get_task("mnli")) == ("holdout", *TASKS["mnli"].evaluation_sets)


def test_under_the_protocol_test_validation_selects_and_test_is_reported():
    task = task_under("test", task_from(FILES))
    assert selection_split("test", task) == "validation"
    assert scored_sets("test", task) == ("validation", "test")
    assert (task.evaluation_sets, task.test_sets) == (("test",), ())
    assert task.labelled_splits == task.splits == ("train", "validation", "test")
    assert find_task(task_settings(task)) == task  # a record says the same


def test_other_protocols_leave_a_task_as_it_is():
    for protocol in ("paper", "holdout"):
        assert task_under(protocol, task_from(FILES)) == task_from(FILES)
        assert task_under(protocol, get_task("mnli")) is TASKS["mnli"]


@pytest.mark.parametrize(
    ("protocol", "files", "words"),
    [
        ("test", {"train": "a", "validation": "b"}, ["needs a test split", "task.files.test", "protocol=holdout"]),
        ("test", {"train": "a", "test": "b"}, ["needs a validation split", "task.split.validation=0.1"]),
        ("paper", {"train": "a", "test": "b"}, ["protocol=paper needs a validation split"]),
        ("holdout", {"train": "a"}, ["protocol=holdout needs a validation split", "task.files.validation"]),
    ],
)
def test_a_split_that_a_protocol_needs_and_a_task_lacks(protocol, files, words):
    with pytest.raises(UserError) as caught:
        task_under(protocol, task_from(FILES | {"files": files}))
    assert all(word in str(caught.value) for word in words)


def test_the_unlabelled_test_sets_of_glue_are_not_reported():
    with pytest.raises(UserError, match="CoLA's has none; use protocol=paper or protocol=holdout"):
        task_under("test", get_task("cola"))
