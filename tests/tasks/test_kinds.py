"""Kinds of tasks: answers from logits, what is stored, constants, parsing."""

import numpy as np
import pytest

from harness.tasks.kinds import Classification, Regression

THREE = Classification(("no", "maybe", "yes"))
MANY = Classification(tuple(f"label{number}" for number in range(300)))


def test_class_ids_are_stored_whole_however_many_labels_there_are():
    ids = np.array([0, 127, 128, 299])
    assert MANY.compact(ids).tolist() == ids.tolist()
    assert MANY.compact(ids).dtype == np.int16
    assert THREE.compact(np.array([2])).dtype == np.int8  # three labels keep their bytes, and the hashes of gold labels
    assert Classification(tuple(map(str, range(128)))).compact(np.array([127])).tolist() == [127]


def test_decisions_and_probabilities():
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]], np.float32)
    assert THREE.decide(logits).tolist() == [1, 0]
    shares = THREE.probabilities(logits[0])
    assert list(shares) == ["no", "maybe", "yes"] and sum(shares.values()) == pytest.approx(1)
    assert shares["maybe"] == pytest.approx(np.exp(2) / (1 + np.exp(2) + np.exp(1)))
    assert THREE.shown(np.int8(2)) == "yes"
    score = Regression(0, 5)
    assert score.decide(np.array([[1.5], [9.0]])).tolist() == [1.5, 9.0]
    assert (score.outputs, score.probabilities(np.array([1.5])), score.shown(np.float32(1.5))) == (1, {}, 1.5)


def test_constants_are_the_majority_or_the_mean():
    assert THREE.constant(np.array([2, 1, 2, 1]), 2).tolist() == [1, 1]  # the lowest of equals
    assert Regression().constant(np.array([1.0, 4.0]), 3).tolist() == [2.5, 2.5, 2.5]


@pytest.mark.parametrize(("text", "value"), [("maybe", 1), ("2", 2)])
def test_labels_are_read_by_word_or_id(text, value):
    assert THREE.parse(text) == value


@pytest.mark.parametrize("text", ["3", "-1", "", "Yes", "1.0"])
def test_what_is_no_label_says_what_is_allowed(text):
    with pytest.raises(ValueError, match="no, maybe, yes, 0, 1, 2"):
        THREE.parse(text)


@pytest.mark.parametrize("text", ["5.01", "nan", "five", "-0.1"])
def test_scores_stay_in_their_range(text):
    assert Regression(0, 5).parse("5") == 5.0
    with pytest.raises(ValueError, match="from 0 to 5"):
        Regression(0, 5).parse(text)


def test_a_score_without_a_range_must_be_finite():
    assert Regression().parse("-1e6") == -1e6
    with pytest.raises(ValueError, match="finite"):
        Regression().parse("inf")
