"""GLUE's official row counts, and which files are cut."""

import pytest

from harness.tasks.glue import DIAGNOSTICS, OFFICIAL_ROWS, TASKS, cut_splits


@pytest.mark.parametrize("task", [*TASKS.values(), *DIAGNOSTICS.values()], ids=lambda task: task.name)
def test_every_split_has_an_official_row_count_and_complete_files_are_not_cut(task):
    assert set(OFFICIAL_ROWS[task.name]) == set(task.splits)
    assert cut_splits(task.name, OFFICIAL_ROWS[task.name]) == ()


def test_splits_with_other_row_counts_are_cut():
    assert cut_splits("qqp", {"train": 8_999, "validation": 1_000}) == ("train", "validation")
    assert cut_splits("qnli", {"train": 9_999, "validation": 5_463}) == ("train",)
    assert cut_splits("rte", {"train": 2_491, "validation": 277}) == ("train",)
    assert cut_splits("mnli", {"train": 392_702, "validation_matched": 9_815, "validation_mismatched": 1}) == (
        "validation_mismatched",
    )


def test_other_tasks_and_other_splits_have_nothing_official_to_be_cut_from():
    assert cut_splits("reviews", {"train": 10}) == ()
    assert cut_splits("rte", {"holdout": 249}) == ()
