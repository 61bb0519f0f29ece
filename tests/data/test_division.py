"""One table divided into splits: shares, strata, equal texts, and what cannot be divided."""

import numpy as np
import pandas as pd
import pytest

from harness.data.division import divide
from harness.errors import UserError
from harness.tasks.reading import Division

TENTHS = Division(0.1, 0.1)


def table(labels, texts=None):
    texts = [f"text {row}" for row in range(len(labels))] if texts is None else texts
    return pd.DataFrame({"sentence1": texts, "label": pd.Series(labels)})


def parts(rows, division=TENTHS):
    return divide(rows, division, texts=["sentence1"])


def test_every_label_has_its_share_of_every_split():
    rows = table(["a"] * 600 + ["b"] * 305 + ["c"] * 95)
    found = parts(rows)
    assert {name: len(part) for name, part in found.items()} == {"train": 800, "validation": 100, "test": 100}
    for part in ("validation", "test"):
        counts = found[part]["label"].value_counts()
        assert all(abs(counts[label] - share) <= 1 for label, share in {"a": 60, "b": 30.5, "c": 9.5}.items())
    together = pd.concat(found.values()).sort_index()
    assert together.equals(rows)  # each row once
    assert all(part.index.is_monotonic_increasing for part in found.values())


def test_the_seed_and_nothing_else_draws_the_rows():
    rows = table(["a", "b"] * 50)
    same, other = parts(rows), parts(rows, Division(0.1, 0.1, seed=1))
    assert parts(rows)["test"].equals(same["test"])
    assert not other["test"].equals(same["test"])


def test_equal_texts_stay_on_one_side():
    texts = [f"text {row % 40}" for row in range(200)]
    rows = table(["a", "b"] * 100, texts)
    found = parts(rows)
    sides = [set(part["sentence1"]) for part in found.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 40
    assert {name: len(part) for name, part in found.items()} == {"train": 160, "validation": 20, "test": 20}
    apart = parts(rows, Division(0.1, 0.1, keep_duplicates_together=False))
    assert set(apart["test"]["sentence1"]) & set(apart["train"]["sentence1"])


def test_rare_labels_keep_a_training_row():
    rows = table(["a"] * 96 + ["b"] * 2 + ["c"] * 2)
    assert set(parts(rows, Division(0.4, 0.4))["train"]["label"]) == {"a", "b", "c"}


def test_too_few_texts_for_a_split():
    with pytest.raises(UserError, match=r"40 rows with 2 texts is an empty split.*keep_duplicates_together=false"):
        parts(table(["a", "b"] * 20, ["one", "two"] * 20))


def test_scores_are_spread_evenly():
    rows = table(np.linspace(0, 5, 500))
    for part in parts(rows).values():
        assert abs(part["label"].mean() - 2.5) < 0.15


def test_a_share_of_nothing_is_no_split():
    assert parts(table(["a", "b"] * 20), Division(0.25, 0)).keys() == {"train", "validation"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a"] * 20 + ["b"], ["label 'b' has one row only", "task.min_label_rows=2"]),
        (["a"] * 20 + ["b", "c"], ["label 'b' and 1 others has one row only"]),
        (["a", "a", "b", "b"], ["task.split.validation: 0.1 of 4 rows with 4 texts is an empty split"]),
    ],
)
def test_what_cannot_be_divided(labels, words):
    with pytest.raises(UserError) as caught:
        parts(table(labels))
    assert all(word in str(caught.value) for word in words)
