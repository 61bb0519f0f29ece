"""Selection protocols: the split that selects, and the splits that are scored."""

from harness.tasks.glue import TASKS, get_task
from harness.tasks.protocols import scored_sets, selection_split


def test_which_split_selects_and_which_are_scored():
    assert selection_split("paper", get_task("mnli")) == "validation_matched"
    assert scored_sets("paper", get_task("rte")) == ("validation",)
    assert selection_split("holdout", get_task("mnli")) == "holdout"
    assert scored_sets("holdout", get_task("mnli")) == ("holdout", *TASKS["mnli"].evaluation_sets)
