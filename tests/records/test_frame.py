"""The frame of a results folder: columns and types, whatever the runs came to."""

import pandas as pd
import pytest

from harness.records.frame import COLUMNS, runs_frame
from harness.records.record import load_records
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def minilm():
    return load_records(ROOT / "results/minilm")


def test_every_column_has_one_plain_type(minilm):
    frame = runs_frame(minilm)
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert frame.dtypes[list(COLUMNS)].astype(str).to_dict() == COLUMNS
    assert set(frame.dtypes.astype(str)) <= {"string", "Int64", "float64", "boolean", "datetime64[ns, UTC]"}
    assert len(frame) == len(minilm) and frame["run_id"].is_unique


def test_values_are_those_of_the_records(minilm):
    frame = runs_frame(minilm).set_index("run_id")
    for record in minilm[::40]:
        row = frame.loc[record["run_id"]]
        config = record["config"]
        assert row["task"] == config["task"]["name"]
        assert row["learning_rate"] == config["train"]["learning_rate"]
        assert row["size"] == config["method"].get("bottleneck_size") or pd.isna(row["size"])
        assert row["trained_parameters"] == record["parameters"]["trained"]
        assert row["train.dropout"] == config["train"]["dropout"]
        assert row["started"].isoformat() == record["time"]["started"]
        for split, scores in record["scores"].items():
            for metric, value in scores.items():
                found = row[f"scores.{split}.{metric}"]
                assert found == value or (value is None and pd.isna(found))


def test_a_failed_run_has_its_reason_and_misses_the_rest(minilm):
    failed = {key: minilm[0][key] for key in ("schema", "config", "degenerate")}
    failed |= {"run_id": "x", "status": "failed", "error": "no memory"}
    frame = runs_frame([failed, minilm[0]])
    assert frame.loc[0, "error"] == "no memory" and frame.loc[1, "error"] is pd.NA
    assert frame.loc[0, ["selection_score", "parameters", "started", "device"]].isna().all()
    alone = runs_frame([failed])
    assert alone.dtypes[list(COLUMNS)].astype(str).to_dict() == COLUMNS
