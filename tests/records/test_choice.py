"""How runs rank: by the selection split alone, which the reported scores never touch."""

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.records.choice import best_run, by_choice, selection_rows
from harness.reporting.groups import comparable_groups
from harness.reporting.tables import chosen_table
from harness.sweeps import session
from tests.fixtures.make_records import make_record

HOLDOUT = {"name": "holdout", "fraction": 0.1, "seed": 0}


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


def test_which_runs_have_the_same_selection_split():
    def rows(**options):
        return selection_rows(make_record("rte", **options))

    held_out = rows(protocol=HOLDOUT)
    assert held_out == rows(protocol=HOLDOUT, rate=1e-5, seed=3, max_eval_rows=9, method="full")
    assert rows() != held_out
    for change in ({"fraction": 0.2}, {"seed": 1}):
        assert rows(protocol=HOLDOUT | change) != held_out
    for change in ({"max_train_rows": 100}, {"fingerprint": "other"}):
        assert rows(protocol=HOLDOUT, **change) != held_out
    assert rows() == rows(max_train_rows=100)
    assert rows() != rows(max_eval_rows=100)
    assert rows() != rows(fingerprint="other")


def test_the_best_run_has_the_highest_score_then_fewer_parameters():
    runs = [make_record("rte", score=score, size=size) for score, size in
            ((None, 8), (0.7, 64), (0.7, 8), (0.8, 256), (0.0, 8), (-0.1, 8))]  # fmt: skip
    ordered = sorted(runs, key=by_choice)
    assert [runs.index(run) for run in ordered] == [3, 2, 1, 4, 5, 0]


def test_runs_with_other_selection_splits_are_not_compared():
    runs = [make_record("rte", score=score, rate=score) for score in (0.5, 0.7)]
    assert best_run(runs, where=Path("here"), remedy="x") is runs[1]
    held_out = make_record("rte", score={"holdout": 0.9, "validation": 0.5}, protocol=HOLDOUT)
    with pytest.raises(UserError, match=r"RTE in here .* \(protocols holdout, paper, or .*\); give --protocol"):
        best_run([*runs, held_out], where=Path("here"), remedy="give --protocol")


def test_a_sweeper_never_sees_the_reported_scores():
    first, second = records_of_two()
    assert (session.score_of(first), session.score_of(second)) == (0.70, 0.65)
    mnli = make_record(
        "mnli", score={"validation_matched": 0.8, "validation_mismatched": 0.1}, protocol={"name": "paper"}
    )
    assert session.score_of(mnli) == 0.8
