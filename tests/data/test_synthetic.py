"""The synthetic suite: shape, determinism, disjoint splits, labels that follow from the text, and difficulty."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from harness.data.sources.synthetic import suite
from harness.data.sources.synthetic.lexicon import (
    CITIES,
    COUNTRY_OF,
    FRAMES,
    NAMES,
    NUMBERS,
    PEOPLE,
    TAXONOMY,
    a,
    gerund,
    participle,
    past,
    plural,
    third,
)
from harness.data.sources.synthetic.suite import EVALUATION_ROWS, TEST_ROWS, TRAIN_ROWS, VERSION
from harness.errors import UserError
from harness.tasks.glue import TASKS

NAMES_OF_TASKS = [name for name in TASKS if name != "wnli"]
every_task = pytest.mark.parametrize("name", NAMES_OF_TASKS)

# First 16 digits of the hash of all rows of version 3. If one changes, the data has changed: raise VERSION.
SHA256 = {
    "cola": "9524d05641b822b5",
    "sst2": "ec8b8ddb767255dd",
    "mrpc": "11b7241844d9bb60",
    "stsb": "a26848c767f73050",
    "qqp": "2aaa7d08319e2adc",
    "mnli": "b7d0b23b69686640",
    "qnli": "90357d53615c4534",
    "rte": "5c58bfe9ea29c8bb",
}

SUITE = suite.Synthetic("as given")


@cache
def rows(name: str, split: str = "train") -> list[tuple]:
    """(sentence1[, sentence2], label) of a split."""
    data = SUITE.load(TASKS[name])[split]
    return list(zip(*(data[column] for column in (*TASKS[name].columns, "label")), strict=True))


@every_task
def test_rows_are_those_of_this_version(name):
    digest = hashlib.sha256()
    for split, data in SUITE.load(TASKS[name]).items():
        for row in data.to_list():
            digest.update(repr((split, *row.values())).encode())
    assert VERSION == 3
    assert digest.hexdigest()[:16] == SHA256[name]


@every_task
def test_splits_sizes_and_columns(name):
    task, data = TASKS[name], SUITE.load(TASKS[name])
    sizes = {split: len(data[split]) for split in data}
    assert sizes == {
        "train": TRAIN_ROWS,
        **dict.fromkeys(task.evaluation_sets, EVALUATION_ROWS),
        **dict.fromkeys(task.test_sets, TEST_ROWS),
    }
    for split in data.values():
        assert split.column_names == [*task.columns, "label", "idx"]
        assert split["idx"][:] == list(range(len(split)))
        assert split.features["idx"].dtype == "int32"
        if task.kind.name == "regression":
            assert split.features["label"].dtype == "float32"
        else:
            assert tuple(split.features["label"].names) == task.kind.labels


@every_task
def test_no_text_occurs_twice(name):
    texts = [row[:-1] for split in SUITE.load(TASKS[name]) for row in rows(name, split)]
    assert len(set(texts)) == len(texts)


@every_task
def test_test_labels_are_hidden(name):
    for split in TASKS[name].test_sets:
        assert set(SUITE.load(TASKS[name])[split]["label"]) == {-1}


@pytest.mark.parametrize("name", [name for name in NAMES_OF_TASKS if name != "stsb"])
def test_labels_are_balanced(name):
    count = TASKS[name].kind.outputs
    for split in ("train", *TASKS[name].evaluation_sets):
        labels = Counter(row[-1] for row in rows(name, split))
        found = [labels[label] / labels.total() for label in range(count)]
        assert found == pytest.approx([1 / count] * count, abs=0.002)


@every_task
def test_sentences_are_clean_and_short(name):
    for *texts, _ in rows(name):
        for text in texts:
            assert text == text.strip() and "  " not in text and "{" not in text
            assert text[-1] in ".?"
            assert 2 <= len(text.split()) <= 40


def test_stsb_scores_are_quarter_steps_over_the_whole_range():
    assert {row[-1] for row in rows("stsb")} == {quarter / 4 for quarter in range(21)}


def test_stsb_score_rises_with_what_is_shared():
    """Without synonyms in play, sentences of a high score share more words than those of a low one."""

    def shared(first: str, second: str) -> int:
        return len(set(first.lower().strip(".").split()) & set(second.lower().strip(".").split()) - {"the", "at", "in"})

    low = [shared(*row[:2]) for row in rows("stsb") if row[-1] <= 0.5]
    high = [shared(*row[:2]) for row in rows("stsb") if row[-1] >= 4.5]
    assert np.mean(high) > np.mean(low) + 1


def test_paraphrases_agree_in_city_and_number():
    def facts(text: str) -> list[str]:
        return [word for word in text.replace(".", "").replace(",", "").split() if word in CITIES + NUMBERS]

    differing = [label for first, second, label in rows("mrpc") if facts(first) != facts(second)]
    assert len(differing) > 50
    assert set(differing) == {0}


def test_comparison_questions_are_duplicates_when_both_ends_turn():
    """`Is A bigger than B?` and `Is B smaller than A?`: label from the two turns alone."""
    pattern = re.compile(r"(?:is|are|that) (\w+)(?: is| are)? ((?:more|less )?[\w ]+) than (\w+)\?", re.I)
    checked = 0
    for first, second, label in rows("qqp"):
        one, two = pattern.search(first), pattern.search(second)
        if one and two and {one[1].lower(), one[3].lower()} == {two[1].lower(), two[3].lower()}:
            turned = one[1].lower() != two[1].lower()
            assert label == (turned == (one[2] != two[2]))
            checked += 1
    assert checked > 300


def test_reports_of_the_same_person_and_thing_are_settled_by_the_verb():
    """`The doctor sold the car` and `The vehicle was bought by the physician`: what was done decides."""
    same = {
        word: number for number, pair in enumerate((*PEOPLE, *sum((f.objects for f in FRAMES), ()))) for word in pair
    }
    plain = re.compile(r"The ([\w -]+?) (\w+(?: off| away| down)?) the ([\w -]+?)\.$")
    sides = {past(verb): (number, side) for number, frame in enumerate(FRAMES)
             for side, verbs in enumerate((frame.verbs, frame.opposites)) for verb in verbs}  # fmt: skip
    checked = 0
    for premise, hypothesis, label in rows("mnli"):
        one, two = plain.match(premise), plain.match(hypothesis)
        if not (one and two and one[2] in sides and two[2] in sides):
            continue
        told = [one[at] in same and same[one[at]] == same.get(two[at]) for at in (1, 3)]
        if all(told) and sides[one[2]][0] == sides[two[2]][0]:
            assert label == (0 if sides[one[2]] == sides[two[2]] else 2), (premise, hypothesis)
            checked += 1
    assert checked > 50


def test_quantified_premises_settle_their_hypotheses():
    quantity = re.compile(r"(All|Every one|Each|Some|A few|One|None|Not one|Not a single one) of the (\w+) ")
    sign = {"All": 2, "Every one": 2, "Each": 2, "Some": 1, "A few": 1, "One": 1}
    checked = 0
    for premise, hypothesis, label in rows("mnli") + rows("mnli", "validation_mismatched"):
        one, two = quantity.match(premise), quantity.match(hypothesis)
        if one and two:
            had, asked = sign.get(one[1], 0), sign.get(two[1], 0)
            if one[2] != two[2] or (had, asked) == (1, 2):
                expected = 1
            else:
                expected = 0 if (had == asked or (had, asked) == (2, 1)) else 2
            assert label == expected, (premise, hypothesis)
            checked += 1
    assert checked > 300


def test_residents_of_a_city_live_in_its_country():
    city_of = re.compile(r"(?:The home of )?({}) (?:lives in|has a house in|is in) ([A-Z]\w+)".format("|".join(NAMES)))
    checked = 0
    for premise, hypothesis, label in rows("rte"):
        claim = re.fullmatch(r"(.+) lives in (\w+)\.", hypothesis)
        if claim:
            home = dict(city_of.findall(premise))
            assert label == int(COUNTRY_OF[home[claim[1]]] != claim[2])
            checked += 1
    assert checked > 300


def test_answers_to_who_name_somebody():
    answers = [second for first, second, label in rows("qnli") if first.startswith("Who ") and label == 0]
    assert len(answers) > 300
    assert all(" by " in answer for answer in answers)


def test_mismatched_genre_has_its_own_people():
    """Subjects of the synonym table are split between the genres; mnli's training set knows one half."""

    def subjects(split: str) -> set[str]:
        return {re.match(r"The (\w+)", row[1])[1] for row in rows("mnli", split) if row[1].startswith("The ")}

    train, mismatched = subjects("train"), subjects("validation_mismatched")
    assert subjects("validation_matched") <= train
    assert len(mismatched) > 10
    assert not mismatched & train


def words_accuracy(name: str, columns: slice) -> float:
    """Accuracy of a logistic regression on the words of the given sentences, trained on 2,000 rows."""
    train, held_out = rows(name)[:2000], rows(name, TASKS[name].evaluation_sets[0])
    vectorizer = CountVectorizer(ngram_range=(1, 2))
    inputs = vectorizer.fit_transform([" # ".join(row[:-1][columns]) for row in train])
    model = LogisticRegression(C=0.3, max_iter=200).fit(inputs, [row[-1] for row in train])
    held_out_inputs = vectorizer.transform([" # ".join(row[:-1][columns]) for row in held_out])
    return model.score(held_out_inputs, [row[-1] for row in held_out])


@pytest.mark.parametrize(("name", "chance"), [("mnli", 1 / 3), ("rte", 1 / 2)])
def test_the_hypothesis_alone_says_nothing(name, chance):
    assert words_accuracy(name, slice(1, 2)) < chance + 0.06


@pytest.mark.parametrize("name", ["qnli", "qqp"])
def test_the_question_alone_says_nothing(name):
    majority = max(Counter(row[-1] for row in rows(name)).values()) / TRAIN_ROWS
    assert words_accuracy(name, slice(0, 1)) < majority + 0.06


@pytest.mark.parametrize(
    ("name", "ceiling"), [("cola", 0.75), ("sst2", 0.75), ("mrpc", 0.75), ("qqp", 0.72), ("qnli", 0.65), ("rte", 0.70)]
)
def test_words_alone_do_not_solve_a_task(name, ceiling):
    assert words_accuracy(name, slice(0, 2)) < ceiling


def test_wnli_is_refused_with_a_remedy():
    for function in (SUITE.check, SUITE.load, SUITE.fingerprint):
        with pytest.raises(UserError, match=r"wnli.*data=local.*data=hub") as error:
            function(TASKS["wnli"])
        assert "\n" not in str(error.value)


def test_fingerprint_names_version_and_task():
    assert SUITE.fingerprint(TASKS["rte"]) == f"synthetic-v{VERSION}-rte"


def test_load_gives_each_caller_its_own_dictionary():
    del SUITE.load(TASKS["rte"])["train"]
    assert "train" in SUITE.load(TASKS["rte"])


@pytest.mark.parametrize(
    ("form", "word", "expected"),
    [
        (past, "call off", "called off"), (past, "cancel", "canceled"), (past, "buy", "bought"),
        (past, "stop", "stopped"), (past, "praise", "praised"),
        (participle, "give away", "given away"), (participle, "tear down", "torn down"),
        (gerund, "hide", "hiding"), (gerund, "swim", "swimming"), (third, "watch", "watches"), (third, "cry", "cries"),
        (plural, "thief", "thieves"), (plural, "baby", "babies"), (plural, "boy", "boys"), (a, "apple", "an apple"),
    ],
)  # fmt: skip
def test_word_forms(form, word, expected):
    assert form(word) == expected


def test_no_verb_is_its_own_opposite_and_no_synonym_names_two_things():
    for frame in FRAMES:
        assert not set(frame.verbs) & set(frame.opposites)
        assert all(first != second for first, second in frame.objects)
        assert len({word for pair in frame.objects for word in pair}) == 2 * len(frame.objects)
    middles = [middle for kinds in TAXONOMY.values() for middle in kinds]
    assert len(set(middles)) == len(middles)
