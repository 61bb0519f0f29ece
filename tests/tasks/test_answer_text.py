"""Exact match and F1 against a second implementation, written here from the rules of the official evaluation alone."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from harness.tasks.answer_text import exact_match, normalise, token_f1
from harness.tasks.metrics import METRICS
from harness.tasks.span import Answer, Gold, Span, objects
from harness.tasks.task import task_from
from harness.training.evaluate_metrics import score

TASK = task_from({"name": "squad", "kind": "span"})
EDGES = [
    ("", ""), ("the", ""), ("", "word"), ("a an the", "The"), ("...", "!?"), ("U.S.", "us"), ("U.S.", "u s"),
    ("10–20", "10-20"), ("10-20", "1020"), ("the\nNile", "nile"), (" Paris ", "paris"), ("theatre", "the atre"),
    ("an answer", "answer a"), ("the the cat", "cat cat"), ("Naïve", "naïve"), ("İ", "i"), ("a\u00a0b", "b"),
    ("x" * 500, "x"), ("one two two", "two one"), ("a-b", "ab"), ("the-cat", "thecat"), ("“a”", "“”"), ("$5", "5"),
]  # fmt: skip


def words_of(text: str) -> list[str]:
    """The rules, step by step: lower case, no ASCII punctuation, no articles as whole words, split at white space."""
    kept = "".join(c for c in text.lower() if not (c.isascii() and c.isprintable() and not c.isalnum() and c != " "))
    word, words, separators = "", [], []
    for c in kept + " ":
        if c.isalnum() or c == "_":
            word += c
        else:
            words.append(" " if word in ("a", "an", "the") else word)
            separators.append(c)
            word = ""
    return "".join(w + s for w, s in zip(words, separators, strict=True)).split()


def second_scores(predictions: dict[str, str], gold: dict[str, list[str]]) -> dict[str, float]:
    totals = {"exact_match": 0.0, "token_f1": 0.0}
    for key, answers in gold.items():
        ours, best = words_of(predictions[key]), [0.0, 0.0]
        for answer in answers:
            left = words_of(answer)
            exact, size = float(left == ours), len(left) + len(ours)
            common = 0
            for word in ours:
                if word in left:
                    left.remove(word)
                    common += 1
            best = [max(best[0], exact), max(best[1], 2 * common / size if common else 0.0)]
        totals["exact_match"] += best[0]
        totals["token_f1"] += best[1]
    return {name: value / len(gold) for name, value in totals.items()}


def our_scores(predictions: dict[str, str], gold: dict[str, list[str]]) -> dict[str, float]:
    answers = objects(Answer(predictions[key]) for key in gold)
    references = objects(Gold(key, tuple(texts)) for key, texts in gold.items())
    scores, reasons = score(TASK, answers, references)
    assert not reasons
    stored = TASK.kind.compact(answers, references)
    for name, value in scores.items():
        assert METRICS[name].vectorised(stored, None) == pytest.approx(value, abs=1e-6)
    return scores


@pytest.mark.parametrize(("prediction", "answer"), EDGES)
def test_edge_cases(prediction, answer):
    assert our_scores({"q": prediction}, {"q": [answer]}) == pytest.approx(
        second_scores({"q": prediction}, {"q": [answer]})
    )


def test_what_the_rules_say():
    assert normalise("The U.S. — a\n  nation") == "us — nation"
    assert exact_match("the Nile!", "Nile") == 1 and token_f1("", "") == 0 and exact_match("", "the") == 1
    assert token_f1("the river Nile in Egypt", "Nile river") == pytest.approx(2 / 3)


def test_noise_and_the_best_of_several_answers():
    rng = random.Random(0)
    alphabet = ["a", "the", "an", "cat", "Dog", "U.S.", "–", "-", "!", "é", "10", "\n", "  ", "İ", "x_y"]

    def text() -> str:
        return rng.choice(("", " ")).join(rng.choices(alphabet, k=rng.randrange(6)))

    gold = {str(key): [text() for _ in range(rng.randrange(1, 5))] for key in range(500)}
    predictions = {key: text() if rng.random() < 0.7 else rng.choice(texts) for key, texts in gold.items()}
    assert our_scores(predictions, gold) == pytest.approx(second_scores(predictions, gold))


def test_resampled_scores_are_those_of_the_resampled_questions():
    gold = objects(Gold(str(key), ("the red cat", "dog")) for key in range(4))
    answers = objects(map(Answer, ["cat", "a dog", "bird", "red"]))
    rows = np.array([[0, 0, 2, 3], [1, 1, 1, 3]])
    stored = Span().compact(answers, gold)[rows]
    for name in TASK.metrics:
        for sample, value in zip(rows, METRICS[name].vectorised(stored, None), strict=True):
            assert value == pytest.approx(score(TASK, answers[sample], gold[sample])[0][name])


@pytest.mark.skipif("SQUAD_DIR" not in os.environ, reason="needs dev-v1.1.json in SQUAD_DIR")
def test_gold_answers_of_the_official_dev_set():
    whole = json.loads((Path(os.environ["SQUAD_DIR"]) / "dev-v1.1.json").read_text(encoding="utf-8"))
    asked = [asked for article in whole["data"] for part in article["paragraphs"] for asked in part["qas"]]
    gold = {one["id"]: [answer["text"] for answer in one["answers"]] for one in asked}
    first = {key: answers[0] for key, answers in gold.items()}
    assert our_scores(first, gold) == second_scores(first, gold) == {"exact_match": 1.0, "token_f1": 1.0}
    rng = random.Random(0)
    texts = list(first.values())
    noise = {key: rng.choice(texts) if rng.random() < 0.3 else text[: rng.randrange(40)] for key, text in first.items()}
    leave_one_out = {key: answers[:-1] or answers for key, answers in gold.items()}
    human = {key: answers[-1] for key, answers in gold.items()}
    assert our_scores(noise, gold) == pytest.approx(second_scores(noise, gold))
    assert our_scores(human, leave_one_out) == pytest.approx(second_scores(human, leave_one_out))
