"""Tokenising, the disk cache and the batch plan."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import normalizers

from harness.data import batches
from harness.data.batches import encode, evaluation_batches, padding_share, plan_epoch
from harness.data.splits import limit_rows
from harness.tasks.glue import get_task
from tests.fixtures.tiny import tiny_tokenizer

LENGTHS = np.random.default_rng(0).integers(5, 60, 1003)


@pytest.mark.parametrize("seed", [0, 5])
def test_an_epoch_visits_each_row_once(seed):
    plan = plan_epoch(LENGTHS, 32, seed=seed, epoch=1)
    assert sorted(np.concatenate(plan)) == list(range(1003))
    assert sorted(map(len, plan)) == [11] + [32] * 31


def test_padding_is_under_five_percent():
    def share(batches, step=1):
        return padding_share(LENGTHS, batches, [-(-int(LENGTHS[batch].max()) // step) * step for batch in batches])

    grouped = plan_epoch(LENGTHS, 32, seed=0, epoch=0)
    assert share(grouped) < 0.05
    assert share(np.array_split(np.random.default_rng(0).permutation(1003), 32)) > 0.3
    assert share(grouped, step=8) > share(grouped)  # wider batches, as CUDA graphs use them, have more padding


def test_batches_of_two_seeds_differ_in_rows_but_not_in_lengths():
    first, second = (plan_epoch(LENGTHS, 32, seed=seed, epoch=3) for seed in (0, 1))
    assert any(set(a) != set(b) for a, b in zip(first, second, strict=True))
    for a, b in zip(first, second, strict=True):
        assert sorted(LENGTHS[a]) == sorted(LENGTHS[b])


def test_epochs_differ_in_order_and_composition_and_a_plan_is_reproducible():
    first, second = (plan_epoch(LENGTHS, 32, seed=0, epoch=epoch) for epoch in (0, 1))
    assert {frozenset(batch) for batch in first}.isdisjoint({frozenset(batch) for batch in second})
    again = plan_epoch(LENGTHS, 32, seed=0, epoch=0)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    # Lengths do not come in order: the first batches are no easier than the last.
    means = [LENGTHS[batch].mean() for batch in first]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5


def test_evaluation_batches_cover_all_rows_within_the_token_limit():
    plan = list(evaluation_batches(LENGTHS, 300))
    assert sorted(np.concatenate(plan)) == list(range(1003))
    assert all(len(batch) * LENGTHS[batch].max() <= 300 for batch in plan)
    assert [len(batch) for batch in evaluation_batches(np.array([500]), 300)] == [1]


def pairs():
    data = {"sentence1": ["a1 a2", "b1", "c1 c2 c3"], "sentence2": ["d1", "e1 e2", "f1 f2"], "label": [0, 1, 1]}
    return Dataset.from_dict(data)


def encoded(tmp_path, split=None, **options):
    options = {"max_length": 128, "cache_dir": tmp_path, "device": "cpu"} | options
    return encode(split or pairs(), get_task("mrpc"), tiny_tokenizer(), **options)


def test_rows_are_encoded_as_the_tokenizer_does(tmp_path):
    split = encoded(tmp_path)
    expected = tiny_tokenizer()("c1 c2 c3", "f1 f2")
    ids, keep, types = split.gather(torch.tensor([2, 1]), int(split.lengths.max()))
    assert ids[0].tolist() == expected["input_ids"]
    assert types[0].tolist() == expected["token_type_ids"]
    assert keep.sum(1).tolist() == [8, 6]
    assert ids[1, 6:].tolist() == [0, 0]
    assert split.labels.tolist() == [0, 1, 1]


def test_long_rows_are_cut(tmp_path):
    assert encoded(tmp_path, max_length=8).lengths.max() == 8
    assert encoded(tmp_path, Dataset.from_dict({"sentence1": ["a1 " * 50], "sentence2": ["b1"], "label": [0]}),
                   max_length=16).lengths.tolist() == [16]  # fmt: skip


def test_the_cache_serves_equal_content_and_only_that(tmp_path, monkeypatch):
    calls = []
    tokenise = batches._tokenise
    monkeypatch.setattr(batches, "_tokenise", lambda *a: (calls.append(1), tokenise(*a))[1])
    first = encoded(tmp_path)
    second = encoded(tmp_path)
    assert len(calls) == 1
    assert torch.equal(first.ids, second.ids) and torch.equal(first.token_types, second.token_types)
    encoded(tmp_path, max_length=16)
    changed = pairs().to_dict()
    changed["sentence2"][0] = "d2"
    encoded(tmp_path, Dataset.from_dict(changed))
    # The same characters cut elsewhere are other rows.
    moved = pairs().to_dict() | {"sentence1": ["a1", "a2b1", "c1 c2 c3"]}
    encoded(tmp_path, Dataset.from_dict(moved))
    assert len(calls) == 4


def test_a_damaged_cache_is_made_anew(tmp_path):
    first = encoded(tmp_path)
    (file,) = (tmp_path / "tokens").iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert torch.equal(encoded(tmp_path).ids, first.ids)


def test_limited_rows_are_a_fixed_random_sample():
    split = Dataset.from_dict({"row": list(range(1000))})
    some = limit_rows(split, 100)["row"]
    assert len(some) == 100
    assert list(some) == sorted(some)
    assert 300 < np.mean(some) < 700  # not the first hundred
    assert list(limit_rows(split, 100)["row"]) == list(some)
    assert len(limit_rows(split, None)) == len(limit_rows(split, 5000)) == 1000


def test_another_tokenizer_is_not_served_from_the_cache(tmp_path):
    first = encoded(tmp_path)
    other = tiny_tokenizer()
    other.backend_tokenizer.normalizer = normalizers.Replace("a1", "b1")
    second = encode(pairs(), get_task("mrpc"), other, max_length=128, cache_dir=tmp_path, device="cpu")
    assert not torch.equal(first.ids, second.ids)
