"""Selection protocols: the rows that are held out, which set chooses, and what a sweeper sees."""

import numpy as np
import pytest
from datasets import Dataset

from harness.data.splits import hold_out
from harness.records.choice import by_choice, choosing_rows
from harness.reporting.groups import comparable_groups
from harness.reporting.tables import chosen_table
from harness.sweeps import jobs
from harness.tasks.glue import TASKS, get_task
from harness.tasks.protocols import choosing_set, scored_sets
from tests.fixtures.make_records import make_record

HOLDOUT = {"name": "holdout", "fraction": 0.1, "seed": 0}


def split(labels, **options):
    rows = Dataset.from_dict({"label": list(labels), "idx": list(range(len(labels)))})
    return hold_out(rows, **({"fraction": 0.1, "seed": 0} | options))


def test_a_tenth_is_held_out_with_the_shares_of_the_classes():
    labels = np.random.default_rng(1).permutation([0] * 700 + [1] * 250 + [2] * 50)
    train, held_out = split(labels)
    assert (len(train), len(held_out)) == (900, 100)
    assert np.bincount(held_out["label"]).tolist() == [70, 25, 5]
    assert sorted([*train["idx"], *held_out["idx"]]) == list(range(1000))
    assert list(held_out["idx"]) == sorted(held_out["idx"])
    assert [labels[i] for i in held_out["idx"]] == list(held_out["label"])


def test_scores_keep_their_distribution():
    labels = np.random.default_rng(2).beta(2, 1, 2000) * 5
    _, held_out = split(labels)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(held_out["label"], shares) == pytest.approx(np.quantile(labels, shares), abs=0.05)


def test_the_seed_draws_the_rows_and_nothing_else_does():
    labels = [0, 1] * 200
    assert list(split(labels)[1]["idx"]) == list(split(labels)[1]["idx"])
    assert list(split(labels)[1]["idx"]) != list(split(labels, seed=1)[1]["idx"])


@pytest.mark.parametrize(("rows", "fraction", "held_out"), [(2, 0.1, 1), (3, 0.9, 2), (10, 0.3, 3), (25, 0.5, 12)])
def test_small_splits_keep_a_row_on_either_side(rows, fraction, held_out):
    train, chosen = split([0] * rows, fraction=fraction)
    assert (len(train), len(chosen)) == (rows - held_out, held_out)


def test_which_set_chooses_and_which_are_scored():
    for name in ("paper", "submit"):
        assert choosing_set(name, get_task("mnli")) == "validation_matched"
        assert scored_sets(name, get_task("rte")) == ("validation",)
    assert choosing_set("holdout", get_task("mnli")) == "holdout"
    assert scored_sets("holdout", get_task("mnli")) == ("holdout", *TASKS["mnli"].evaluation_sets)


def records_of_two():
    """Two configs: the holdout prefers the first, the validation set the second."""
    found = []
    for rate, holdout, validation in ((1e-3, 0.70, 0.60), (3e-3, 0.65, 0.80)):
        record = make_record("rte", score={"holdout": holdout, "validation": validation}, rate=rate, protocol=HOLDOUT)
        record["protocol"] = {"chooses_on": "holdout", "reports_on": ["validation"]}
        found.append(record)
    return found


def test_the_holdout_chooses_and_the_validation_set_is_reported():
    (group,) = comparable_groups(records_of_two())
    (cell,) = group.cells.values()
    assert cell.chosen.learning_rate == 1e-3
    assert cell.chosen.score().mean == 0.60
    assert cell.chosen.choice_score.mean == 0.70
    (line,) = chosen_table(group).rows
    assert "70.0" in line and "60.0" in line
    assert "protocol holdout" in group.title


def test_which_runs_were_chosen_on_the_same_rows():
    def rows(**options):
        return choosing_rows(make_record("rte", **options))

    held_out = rows(protocol=HOLDOUT)
    assert held_out == rows(protocol=HOLDOUT, rate=1e-5, seed=3, max_eval_rows=9, method="full")
    assert rows() != held_out
    for change in ({"fraction": 0.2}, {"seed": 1}):
        assert rows(protocol=HOLDOUT | change) != held_out
    for change in ({"max_train_rows": 100}, {"fingerprint": "other"}):
        assert rows(protocol=HOLDOUT, **change) != held_out
    assert rows() == rows(protocol={"name": "submit"}, max_train_rows=100)
    assert rows() != rows(max_eval_rows=100)
    assert rows() != rows(fingerprint="other")


def test_the_best_run_has_the_highest_score_then_fewer_parameters():
    runs = [make_record("rte", score=score, size=size) for score, size in
            ((None, 8), (0.7, 64), (0.7, 8), (0.8, 256), (0.0, 8), (-0.1, 8))]  # fmt: skip
    ordered = sorted(runs, key=by_choice)
    assert [runs.index(run) for run in ordered] == [3, 2, 1, 4, 5, 0]


def test_a_sweeper_never_sees_the_rows_that_are_reported():
    first, second = records_of_two()
    assert (jobs.score_of(first), jobs.score_of(second)) == (0.70, 0.65)
    mnli = make_record(
        "mnli", score={"validation_matched": 0.8, "validation_mismatched": 0.1}, protocol={"name": "paper"}
    )
    assert jobs.score_of(mnli) == 0.8
