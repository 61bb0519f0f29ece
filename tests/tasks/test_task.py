"""Tasks from settings: GLUE's by name, others by description, and every way in which a description can be wrong."""

import pytest

from harness.errors import UserError
from harness.records.record import task_of
from harness.tasks.glue import OFFICIAL_ROWS, TASKS, cut_splits, find_task, in_glue_order, task_settings
from harness.tasks.task import describe, task_from

SPAM = {"name": "spam", "kind": "classification", "labels": ["ham", "spam"], "metrics": ["f1", "accuracy"]}


def test_a_task_survives_its_description():
    task = task_from(SPAM | {"title": "Spam", "text": ["message"]})
    assert (task.title, task.kind.outputs, task.headline, task.columns) == ("Spam", 2, "f1", ("sentence1",))
    assert find_task(task_settings(task)) == task
    assert find_task(describe(task)) == task
    assert task_of({"config": {"task": task_settings(task)}}) == task


def test_glue_stands_in_a_record_by_name_alone():
    for name, task in TASKS.items():
        assert task_settings(task) == {"name": name}
        assert task_of({"config": {"task": {"name": name}}}) is task
    everything_else_unset = {"name": "rte", "title": None, "kind": None}
    assert find_task(everything_else_unset) is TASKS["rte"]


def test_defaults_come_from_the_kind():
    task = task_from({"name": "age", "kind": "regression"})
    assert (task.metrics, task.headline, task.evaluation_sets) == (("spearman", "pearson"), "spearman", ("validation",))
    assert task_from({"name": "x", "kind": "regression", "headline": "pearson"}).metrics == ("pearson",)
    topics = task_from({"name": "topics", "kind": "classification", "labels": ["a", "b", "c"]})
    assert (topics.metrics, topics.headline) == (("accuracy", "macro_f1"), "accuracy")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Spam mail"}, "task.name=Spam mail"),
        ({"kind": "ranking"}, "task.kind=ranking is unknown; choose one of classification, regression"),
        ({"labels": ["ham"]}, "at least two different labels"),
        ({"labels": ["ham", "ham"]}, "at least two different labels"),
        ({"kind": "regression"}, "a regression task has no labels"),
        ({"metrics": ["bleu"]}, "bleu is not a metric for classification tasks; choose from accuracy, f1, macro_f1"),
        ({"metrics": ["spearman"]}, "spearman is not a metric for classification tasks"),
        ({"labels": ["a", "b", "c"]}, "f1 needs a task with 2 labels; use macro_f1"),
        ({"headline": "macro_f1"}, "task.headline=macro_f1 is not one of task.metrics"),
        ({"text": ["a", "b", "c"]}, "one or two text columns"),
    ],
)
def test_a_wrong_description_names_the_setting(changes, words):
    with pytest.raises(UserError) as caught:
        task_from(SPAM | changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_tasks_and_glues_cannot_be_changed():
    with pytest.raises(UserError, match="'mprc' is not a GLUE task; choose one of cola, sst2"):
        find_task({"name": "mprc", "kind": None})
    with pytest.raises(UserError, match=r"task.labels: rte is a GLUE task and cannot be changed"):
        find_task({"name": "rte", "labels": ["yes", "no"]})


def test_cut_files_are_distinguished_from_complete_ones():
    assert cut_splits("qqp", OFFICIAL_ROWS["qqp"]) == ()
    assert cut_splits("qqp", {"train": 8999, "validation": 40_430}) == ("train",)
    assert cut_splits("mnli", {"train": 392_702, "validation_matched": 1000, "validation_mismatched": 9832}) == (
        "validation_matched",
    )
    assert cut_splits("spam", {"train": 5}) == ()


def test_tasks_are_in_glues_order_then_by_name():
    assert in_glue_order(["zoo", "rte", "age", "cola"]) == ["cola", "rte", "age", "zoo"]
