"""Stored weights: the best of each cell, and what is wrong with a file."""

import json

import pytest
import torch

from harness.errors import UserError
from harness.records.weights import is_stored, read_stored, read_tensors, store, write_weights
from tests.fixtures.make_records import make_record


def run(run_id, score, **options):
    """A record as weights are stored with it."""
    return make_record("mrpc", score=score, **options) | {"run_id": run_id}


def test_the_best_of_a_cell_is_kept(tmp_path):
    tensors = {"head.bias": torch.ones(2)}
    for run_id, score, options in (
        ("a", 0.5, {}),
        ("c", 0.7, {"rate": 3e-4, "seed": 1}),
        ("b", 0.7, {"rate": 1e-5}),
        ("d", None, {}),
        ("e", 0.1, {"size": 8}),
        ("f", 0.1, {"sha256": "another"}),
        ("g", 0.1, {"fingerprint": "another"}),
        ("h", 0.1, {"max_eval_rows": 100}),
        ("i", 0.1, {"protocol": {"name": "submit"}}),
    ):
        store(tmp_path, tensors, run(run_id, score, **options), best_only=True)
    kept = ["b", "e", "f", "g", "h", "i"]
    assert sorted(path.stem for path in (tmp_path / "weights").glob("*.json")) == kept
    assert sorted(path.stem for path in (tmp_path / "weights").glob("*.safetensors")) == kept
    assert is_stored(tmp_path, "b") and not is_stored(tmp_path, "a")
    store(tmp_path, tensors, run("a", 0.5), best_only=False)
    assert is_stored(tmp_path, "a") and is_stored(tmp_path, "b")
    store(tmp_path, {"head.bias": torch.zeros(2)}, run("b", 0.7, rate=1e-5), best_only=True)  # trained again
    again = read_tensors(tmp_path / "weights", read_stored(tmp_path / "weights/b.json"))
    assert again["head.bias"].tolist() == [0, 0]
    assert not is_stored(tmp_path, "a")


def test_what_an_earlier_attempt_has_stored_counts_for_nothing(tmp_path):
    """Its process was killed before the record was written, and another stack may now compute another last digit."""
    store(tmp_path, {"head.bias": torch.ones(2)}, run("a", 0.9), best_only=True)
    store(tmp_path, {"head.bias": torch.zeros(2)}, run("a", 0.8), best_only=True)
    assert read_stored(tmp_path / "weights/a.json")["scores"]["validation"]["f1"] == 0.8
    store(tmp_path, {"head.bias": torch.ones(2)}, run("b", 0.85, rate=1e-5), best_only=True)
    (tmp_path / "weights/a.safetensors").write_text("all that the killed process had written")
    store(tmp_path, {"head.bias": torch.zeros(2)}, run("a", 0.8), best_only=True)
    assert sorted(path.name for path in (tmp_path / "weights").glob("*.*s*")) == ["b.json", "b.safetensors"]


def test_a_damaged_rival_is_no_reason_to_lose_what_was_trained(tmp_path):
    store(tmp_path, {"head.bias": torch.ones(2)}, run("a", 0.9), best_only=True)
    (tmp_path / "weights/a.json").write_text("")
    store(tmp_path, {"head.bias": torch.zeros(2)}, run("b", 0.8, rate=1e-5), best_only=True)
    assert is_stored(tmp_path, "b") and not is_stored(tmp_path, "a")


def test_weights_of_another_size_are_not_stored(tmp_path):
    store(tmp_path, {"head.bias": torch.ones(2)}, run("a", 0.9), best_only=False)
    file = tmp_path / "weights/a.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert not is_stored(tmp_path, "a")
    file.write_bytes(whole)
    assert is_stored(tmp_path, "a")
    file.unlink()
    assert not is_stored(tmp_path, "a")


def test_damaged_files_are_reported(tmp_path):
    written = write_weights(tmp_path, "mrpc", {"head.bias": torch.arange(3.0)}, run("a", 1.0))
    assert read_stored(tmp_path / "mrpc.json") == written
    assert read_tensors(tmp_path, written)["head.bias"].tolist() == [0, 1, 2]
    file = tmp_path / "mrpc.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4])
    with pytest.raises(UserError, match="truncated"):
        read_tensors(tmp_path, written)
    file.write_bytes(whole[:-1] + b"\0" if whole[-1] else whole[:-1] + b"\1")
    with pytest.raises(UserError, match="not the file that was stored"):
        read_tensors(tmp_path, written)
    file.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_tensors(tmp_path, written)
    (tmp_path / "mrpc.json").write_text(json.dumps({"task": "mrpc"}))
    with pytest.raises(UserError, match="does not describe trained weights"):
        read_stored(tmp_path / "mrpc.json")
