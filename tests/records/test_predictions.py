"""Predictions and gold labels on disk: small, shared by the runs that have them in common, and None if unreadable."""

import numpy as np
import pytest

from harness.records.predictions import (
    gold_key,
    gold_path,
    predictions_of,
    predictions_path,
    read_gold,
    read_predictions,
    store_predictions,
    write_gold,
)
from harness.tasks.glue import get_task
from harness.tasks.task import task_from

RTE, STSB = get_task("rte"), get_task("stsb")
GOLD = {"validation": np.array([0, 1, 1])}


def test_predictions_are_stored_compactly_and_test_numbers_as_they_are(tmp_path):
    predictions = {"validation": np.array([1, 1, 0]), "test": np.array([0, 1]), "test.idx": np.array([70_000, 3])}
    key = store_predictions(tmp_path, "run", RTE, predictions, GOLD)["gold"]
    found = read_predictions(tmp_path, "run")
    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in predictions.items()
    }
    assert (found["validation"].dtype, found["test"].dtype) == (np.int8, np.int8)
    assert read_gold(tmp_path, key)["validation"].tolist() == [0, 1, 1]


def test_scores_are_float32_and_many_classes_are_not_cut(tmp_path):
    store_predictions(
        tmp_path, "a", STSB, {"validation": np.array([1.25, 1 / 3])}, {"validation": np.array([1.0, 5.0])}
    )
    found = read_predictions(tmp_path, "a")["validation"]
    assert found.dtype == np.float32 and found == pytest.approx([1.25, 1 / 3])
    many = task_from({"name": "many", "kind": "classification", "labels": [f"l{n}" for n in range(300)]})
    key = store_predictions(tmp_path, "b", many, {"validation": np.array([299])}, {"validation": np.array([128])})[
        "gold"
    ]
    assert read_predictions(tmp_path, "b")["validation"].tolist() == [299]
    assert read_gold(tmp_path, key)["validation"].tolist() == [128]


def test_gold_labels_are_stored_once_for_all_runs_that_share_them(tmp_path):
    keys = {store_predictions(tmp_path, run, RTE, {"validation": np.zeros(3, int)}, GOLD)["gold"] for run in ("a", "b")}
    assert len(keys) == 1 and len(list((tmp_path / "gold").iterdir())) == 1
    path = tmp_path / "gold" / f"{keys.pop()}.npz"
    before = path.stat().st_mtime_ns
    store_predictions(tmp_path, "c", RTE, {"validation": np.ones(3, int)}, GOLD)
    assert path.stat().st_mtime_ns == before


def test_a_key_tells_tasks_sets_values_and_their_order_apart():
    def key(task, **arrays):
        return gold_key(task, {name: task.kind.compact(np.array(values)) for name, values in arrays.items()})

    keys = [
        key(RTE, validation=[0, 1, 1]), key(RTE, validation=[1, 0, 1]), key(RTE, validation=[0, 1]),
        key(RTE, holdout=[0, 1, 1]), key(RTE, validation=[0, 1], holdout=[1]),
        key(get_task("wnli"), validation=[0, 1, 1]),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key(RTE, validation=[0], holdout=[1]) == key(RTE, holdout=[1], validation=[0])
    assert keys[0].startswith("rte-")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 torn", b"not a zip"])
def test_unreadable_files_are_none(tmp_path, data):
    assert read_predictions(tmp_path, "none") is None and read_gold(tmp_path, "none") is None
    store_predictions(tmp_path, "run", RTE, {"validation": np.zeros(3, int)}, GOLD)
    predictions_path(tmp_path, "run").write_bytes(data)
    assert read_predictions(tmp_path, "run") is None
    key = write_gold(tmp_path, RTE, {"validation": np.zeros(1, np.int8)})
    (tmp_path / "gold" / f"{key}.npz").write_bytes(data)
    assert read_gold(tmp_path, key) is None


def test_a_file_with_any_byte_damaged_is_none_or_as_it_was(tmp_path):
    store_predictions(tmp_path, "run", RTE, {"validation": np.arange(500) % 2}, GOLD)
    path = predictions_path(tmp_path, "run")
    whole, before = path.read_bytes(), read_predictions(tmp_path, "run")["validation"]
    refused = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found = read_predictions(tmp_path, "run")
        refused += found is None
        assert found is None or "validation" not in found or np.array_equal(found["validation"], before)
    assert refused > 20


def test_predictions_of_another_run_and_other_gold_labels_are_none(tmp_path):
    def stored(run, values):
        arrays = {"validation": np.array(values)}
        return {"run_id": run, "predictions": store_predictions(tmp_path, run, RTE, arrays, GOLD)}

    first, second = stored("a", [0, 0, 1]), stored("b", [0, 1, 1])
    assert predictions_of(tmp_path, first)["validation"].tolist() == [0, 0, 1]
    predictions_path(tmp_path, "a").write_bytes(predictions_path(tmp_path, "b").read_bytes())
    assert predictions_of(tmp_path, first) is None
    old = {"run_id": "a", "predictions": {"gold": first["predictions"]["gold"]}}  # from before there was a hash
    assert predictions_of(tmp_path, old)["validation"].tolist() == [0, 1, 1]
    key = second["predictions"]["gold"]
    other = write_gold(tmp_path, RTE, {"validation": np.array([1, 1, 1], np.int8)})
    gold_path(tmp_path, key).write_bytes(gold_path(tmp_path, other).read_bytes())
    assert read_gold(tmp_path, key) is None
    stored("b", [0, 1, 1])
    assert read_gold(tmp_path, key)["validation"].tolist() == [0, 1, 1]
