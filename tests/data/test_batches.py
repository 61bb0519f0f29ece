"""Tokenising, the disk cache and the batch plan."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import normalizers

from harness.data import batches
from harness.data.batches import encode, evaluation_batches, padding_share, plan_epoch
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
    # Lengths are not sorted: the first batches are no easier than the last.
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
    tokenizer = options.pop("tokenizer", None) or tiny_tokenizer()
    return encode(split or pairs(), get_task("mrpc"), tokenizer, **options)


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "tokens").iterdir())


def test_rows_are_encoded_as_the_tokenizer_does(tmp_path):
    split = encoded(tmp_path)
    expected = tiny_tokenizer()("c1 c2 c3", "f1 f2")
    ids, keep, types = split.gather(torch.tensor([2, 1]), int(split.lengths.max()))
    assert ids[0].tolist() == expected["input_ids"]
    assert types[0].tolist() == expected["token_type_ids"]
    assert keep.sum(1).tolist() == [8, 6]
    assert ids[1, 6:].tolist() == [0, 0]
    assert split.gold.tolist() == [0, 1, 1]


def test_long_rows_are_cut(tmp_path):
    assert encoded(tmp_path, max_length=8).lengths.max() == 8
    assert encoded(tmp_path, Dataset.from_dict({"sentence1": ["a1 " * 50], "sentence2": ["b1"], "label": [0]}),
                   max_length=16).lengths.tolist() == [16]  # fmt: skip


def test_equal_content_is_read_from_the_cache(tmp_path):
    first = encoded(tmp_path)
    (file,) = (tmp_path / "tokens").iterdir()
    with np.load(file) as tokens:
        changed = dict(tokens)
    changed["ids"][1] = 42  # to see that this file is read, and the rows are not tokenised again
    np.savez(file, **changed)
    second = encoded(tmp_path)
    assert second.ids[0, 1] == 42 and first.ids[0, 1] != 42
    assert torch.equal(second.token_types, first.token_types)
    assert len(cached(tmp_path)) == 1


def test_other_content_is_another_file(tmp_path):
    changed = pairs().to_dict()
    changed["sentence2"][0] = "d2"
    # The same characters in another row.
    moved = pairs().to_dict() | {"sentence1": ["a1", "a2b1", "c1 c2 c3"]}
    for count, options in enumerate(
        ({}, {"max_length": 16}, {"split": Dataset.from_dict(changed)}, {"split": Dataset.from_dict(moved)}), start=1
    ):
        encoded(tmp_path, **options)
        assert len(cached(tmp_path)) == count


def test_the_key_does_not_depend_on_what_the_tokenizer_did_before(tmp_path):
    """A call sets truncation and padding for good, and checkpoints are saved with some set (MiniLM: padding to 128)."""
    encoded(tmp_path)
    used = tiny_tokenizer()
    used("a1 b1", padding="max_length", max_length=9, truncation=True)
    assert used.backend_tokenizer.padding and used.backend_tokenizer.truncation
    encoded(tmp_path, tokenizer=used)
    assert len(cached(tmp_path)) == 1
    # The first and the second split of a process.
    both = tiny_tokenizer()
    changed = Dataset.from_dict(pairs().to_dict() | {"sentence2": ["d1", "e1", "f1"]})
    encoded(tmp_path, changed, tokenizer=both)
    encoded(tmp_path, tokenizer=both)
    assert len(cached(tmp_path)) == 2


def test_a_tokenizer_without_token_types_has_files_of_its_own(tmp_path):
    """DistilBERT's tokenizer is BERT's without token types: neither may read what the other wrote."""
    bert, distilbert = tiny_tokenizer(), tiny_tokenizer()
    distilbert.model_input_names = ["input_ids", "attention_mask"]
    for _ in range(2):
        assert encoded(tmp_path, tokenizer=distilbert).token_types is None
        assert encoded(tmp_path, tokenizer=bert).token_types.any()


def test_a_damaged_cache_file_is_written_again(tmp_path):
    first = encoded(tmp_path)
    (file,) = (tmp_path / "tokens").iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert torch.equal(encoded(tmp_path).ids, first.ids)


def test_two_that_want_the_same_tokens_make_them_once(tmp_path):
    """Two processes of a sweep start together; a lock of the file holds between threads as well."""
    inside, second = threading.Event(), threading.Event()

    def make():
        if inside.is_set():
            second.set()
        inside.set()
        second.wait(0.5)
        return {"ids": np.arange(3)}

    with ThreadPoolExecutor(2) as pool:
        first, other = [pool.submit(batches.cached, tmp_path, "key", make) for _ in range(2)]
    assert not second.is_set()
    assert first.result()["ids"].tolist() == other.result()["ids"].tolist() == [0, 1, 2]
    assert cached(tmp_path) == ["key.npz"]


@pytest.mark.parametrize("error", [NotImplementedError, OSError(errno.ENOLCK, "no locks available")])
def test_a_file_system_without_locks_keeps_tokens_all_the_same(tmp_path, monkeypatch, error):
    monkeypatch.setattr(batches.FileLock, "acquire", Mock(side_effect=error))
    assert encoded(tmp_path).lengths.tolist() and len(cached(tmp_path)) == 1


def test_another_tokenizer_is_not_served_from_the_cache(tmp_path):
    first = encoded(tmp_path)
    other = tiny_tokenizer()
    other.backend_tokenizer.normalizer = normalizers.Replace("a1", "b1")
    second = encoded(tmp_path, tokenizer=other)
    assert not torch.equal(first.ids, second.ids)
