"""The baseline without an encoder, on rows that are written here."""

import numpy as np
import pytest

from harness.errors import UserError
from harness.method_config import TfidfConfig
from harness.tasks.glue import get_task
from harness.tasks.task import task_from
from harness.training import tfidf
from harness.training.tfidf import Features, Texts, fit

TOPICS = task_from({"name": "topics", "kind": "classification", "labels": ["food", "sport", "war"]})
WORDS = {0: "bread soup apple", 1: "goal match team", 2: "tank army siege"}


def topics(count, seed=0):
    """Rows of two words of their topic and three of no topic."""
    draws = np.random.default_rng(seed)
    gold = np.arange(count) % 3
    noise = ["the", "a", "some", "one", "and", "of", "in", "on"]
    texts = [" ".join([*draws.choice(WORDS[label].split(), 2), *draws.choice(noise, 3)]) for label in gold]
    return Texts([texts], gold)


def pairs(count, seed=0):
    """A pair is a paraphrase (1) if its texts are about the same thing; the words themselves tell nothing."""
    draws = np.random.default_rng(seed)
    nouns = [f"noun{index}" for index in range(30)]
    gold = np.arange(count) % 2
    first = [draws.choice(nouns, 4, replace=False) for _ in gold]
    second = [
        draws.permutation(words) if label else draws.choice(nouns, 4) for words, label in zip(first, gold, strict=True)
    ]
    return Texts([[" ".join(words) for words in column] for column in (first, second)], gold)


def test_it_learns_what_words_say():
    fitted = fit(TOPICS, TfidfConfig(), topics(90), topics(30, seed=1))
    held_out = topics(60, seed=2)
    assert np.mean(fitted.predict(held_out.columns) == held_out.gold) > 0.9
    assert set(fitted.predict(held_out.columns)) <= {0, 1, 2}


def test_every_point_is_tried_and_the_best_on_the_selection_split_is_kept():
    """The words of the selection split have an ending that no training row has: characters tell more than words."""
    train, selection = topics(60), topics(30, seed=1)
    selection = Texts(
        [[" ".join(f"{word}ed" for word in text.split()) for text in selection.columns[0]]], selection.gold
    )
    done = []
    fitted = fit(TOPICS, TfidfConfig(), train, selection, lambda *step: done.append(step))
    config = TfidfConfig()
    assert [(point["features"], point["inverse_penalty"]) for point in fitted.tried] == [
        (name, inverse) for name in config.features for inverse in config.inverse_penalty
    ]
    best = max(fitted.tried, key=lambda point: point["score"])
    assert best["features"] == "char" and best["score"] > fitted.tried[0]["score"]
    assert fitted.chosen == {name: best[name] for name in ("features", "inverse_penalty")}
    assert np.mean(fitted.predict(selection.columns) == selection.gold) == best["score"]
    assert done == [(step, 15, None) for step in range(1, 16)]


def test_a_tie_goes_to_the_earlier_features_and_the_stronger_penalty():
    config = TfidfConfig(features=["char", "word"], inverse_penalty=[1000, 100])
    fitted = fit(TOPICS, config, topics(300), topics(30, seed=1))
    assert {point["score"] for point in fitted.tried} == {1.0}
    assert fitted.chosen == {"features": "char", "inverse_penalty": 100}


def test_trained_are_the_coefficients_and_intercepts():
    config = TfidfConfig(features=["word"], inverse_penalty=[1])
    fitted = fit(TOPICS, config, topics(60), topics(30, seed=1))
    assert fitted.coefficients == 3 * fitted.features.of([["bread"]]).shape[1] + 3


@pytest.mark.parametrize(("features", "columns"), [("word", 5), ("char", 5), ("word+char", 10)])
def test_features_are_no_more_than_asked_for(features, columns):
    config = TfidfConfig(features=[features], inverse_penalty=[1], max_features=5)
    fitted = fit(TOPICS, config, topics(60), topics(30, seed=1))
    assert fitted.features.of([["bread soup"]]).shape == (1, columns)


def test_pairs_are_compared():
    """The words of a pair say nothing by themselves: only what its texts share does."""
    held_out = pairs(100, seed=2)
    fitted = fit(get_task("mrpc"), TfidfConfig(features=["word"]), pairs(300), pairs(60, seed=1))
    assert np.mean(fitted.predict(held_out.columns) == held_out.gold) > 0.9


def test_a_pairs_features_are_both_texts_their_difference_product_and_cosine():
    train = pairs(20)
    vectoriser = tfidf._vectoriser("word", 1000).fit([text for column in train.columns for text in column])
    first, second = (vectoriser.transform(column).toarray() for column in train.columns)
    cosine = np.sum(first * second, axis=1, keepdims=True)
    expected = np.hstack([first, second, abs(first - second), first * second, cosine])
    assert np.allclose(Features([vectoriser]).of(train.columns).toarray(), expected)


def test_a_regression_predicts_numbers():
    rows = pairs(300)
    similarity = Texts(rows.columns, rows.gold * 4.0 + 0.5)
    fitted = fit(get_task("stsb"), TfidfConfig(features=["word"]), similarity, similarity)
    predicted = fitted.predict(rows.columns)
    assert predicted.shape == (300,) and predicted.dtype.kind == "f"
    assert predicted[rows.gold == 1].mean() > predicted[rows.gold == 0].mean() + 2


def test_labels_that_training_rows_lack_are_never_predicted():
    gold = topics(60).gold
    train = Texts([[text for text, label in zip(topics(60).columns[0], gold, strict=True) if label]], gold[gold > 0])
    fitted = fit(TOPICS, TfidfConfig(features=["word"]), train, topics(30, seed=1))
    assert set(fitted.predict(topics(30).columns)) == {1, 2}


def test_training_rows_of_one_label_are_refused():
    with pytest.raises(UserError, match=r"two different labels.*have sport"):
        fit(TOPICS, TfidfConfig(), Texts([["goal", "match"]], np.array([1, 1])), topics(3))


def test_characters_are_left_out_where_they_would_take_too_much_memory(monkeypatch):
    monkeypatch.setattr(tfidf, "MOST_CHARACTERS", 100)
    fitted = fit(TOPICS, TfidfConfig(inverse_penalty=[1]), topics(60), topics(30, seed=1))
    assert [point["features"] for point in fitted.tried] == ["word"]
    fitted = fit(TOPICS, TfidfConfig(features=["char"], inverse_penalty=[1]), topics(60), topics(30, seed=1))
    assert [point["features"] for point in fitted.tried] == ["word"]
