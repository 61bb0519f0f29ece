"""Runs in real trackers, read back with their own readers; each test is skipped where the library is absent."""

import json
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest

import harness
from harness.tracking.stack_tracking import TRACKERS

HERE = [name for name, package in TRACKERS.items() if find_spec(package)]
STEPS = list(range(1, 13))  # 48 rows, batches of 8, 2 epochs
RATES = (1e-3, 1e-2)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, tiny_model, glue):
    """Results folder and records of one stack of two runs, interrupted after an epoch and resumed, in all trackers."""
    if not HERE:
        pytest.skip("no tracker is installed")
    folder = tmp_path_factory.mktemp("tracked")
    options = {
        "task": "rte", "train__learning_rate": RATES, "train__evaluate_every_epoch": True, "device": "cpu",
        "model": "local", "model__name": tiny_model, "data": "local", "data__path": glue, "train__epochs": 2,
        "train__batch_size": 8, "train__max_length": 32, "train__precision": "fp32", "train__dropout": 0,
        "results_dir": folder / "results", "cache_dir": folder / "cache", "tracker": [HERE],
        "tracker__group": "rates", **({"tracker__wandb__mode": "offline"} if "wandb" in HERE else {}),
    }  # fmt: skip

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(folder / "trackio"))
        with pytest.MonkeyPatch.context() as at_epoch:
            at_epoch.setattr("harness.sweeps.stack.evaluate", interrupt)
            with pytest.raises(KeyboardInterrupt):
                harness.sweep(**options)
        records = harness.sweep(**options)
        assert {len(record["training"]["stack"]) for record in records} == {2}
        yield folder, records


def expected_rates(record):
    """Linear warm-up over a tenth of 12 steps, then linear decay."""
    peak = record["config"]["train"]["learning_rate"]
    return pytest.approx([0.0, *(peak * (12 - step) / 11 for step in range(1, 12))], rel=1e-5)


def assert_series(series, record):
    """Losses, rates and scores of a run as a reader found them: steps and values by name."""
    assert [step for step, _ in series["train/loss"]] == STEPS
    epochs = [sum(value for _, value in series["train/loss"][start : start + 6]) / 6 for start in (0, 6)]
    assert epochs == pytest.approx([epoch["loss"] for epoch in record["training"]["history"]], rel=1e-5)
    assert [value for _, value in series["train/learning_rate"]] == expected_rates(record)
    assert all(value > 0 for _, value in series["train/examples_per_second"])
    scores = record["training"]["history"][0]["scores"]["validation"]["accuracy"]
    final = record["scores"]["validation"]["accuracy"]
    assert [step for step, _ in series["validation/accuracy"]] == [6, 12]
    assert [value for _, value in series["validation/accuracy"]] == pytest.approx([scores, final])
    ((_, speed),) = series["examples_per_second"]
    assert speed == pytest.approx(record["time"]["examples_per_second"])


def test_tensorboard_has_one_folder_per_run_with_every_step_once(sweep):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, records = sweep
    top = folder / "results/tensorboard"
    assert {path.name for path in top.iterdir()} == {record["run_id"] for record in records}
    for record in records:
        events = EventAccumulator(str(top / record["run_id"])).Reload()
        series = {
            name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]
        }
        assert_series(series, record)
        (text,) = [event.tensor_proto.string_val[0] for event in events.Tensors("record/text_summary")]
        assert json.loads(text.decode().strip("`").removeprefix("json")) == record
        status = [event.tensor_proto.string_val[0] for event in events.Tensors("status/text_summary")]
        assert status[-1] == b"completed"
        assert "_hparams_/session_start_info" in events.summary_metadata
    assert "hparams" in events.Tags()["tensors"] or events.PluginTagToContent("hparams")


def test_mlflow_has_an_experiment_per_sweep_and_each_run_once(sweep):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    folder, records = sweep
    client = MlflowClient(tracking_uri=(folder / "results/mlruns").as_uri())
    experiment = client.get_experiment_by_name("rates")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {record["run_id"] for record in records}
    for record in records:
        run = runs[record["run_id"]]
        assert run.info.status == "FINISHED" and run.data.tags["status"] == "completed"
        assert run.data.params["train.learning_rate"] == str(record["config"]["train"]["learning_rate"])
        series = {}
        for name in run.data.metrics:
            history = sorted(
                client.get_metric_history(run.info.run_id, name), key=lambda one: (one.step, one.timestamp)
            )
            series[name] = list({one.step: one.value for one in history}.items())  # the second attempt's
        assert_series(series, record)
        path = client.download_artifacts(run.info.run_id, "record.json", str(folder))
        assert json.loads(Path(path).read_text()) == record


def stored_entries(path):
    """The entries of a W&B file: after 7 bytes of header, LevelDB's log format in blocks of 32 KiB."""
    data, at, entry = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        entry += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield entry
            entry = b""


def test_wandb_offline_has_the_same_run_before_and_after_the_interruption(sweep):
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    folder, records = sweep
    for record in records:
        attempts = sorted((folder / "results/wandb").glob(f"offline-run-*/run-{record['run_id']}.wandb"))
        assert len(attempts) == 2  # which `wandb sync` uploads as one run: they have one id
        series, codes = {}, []
        for path in attempts:
            for data in stored_entries(path):
                entry = wandb_internal_pb2.Record()
                entry.ParseFromString(data)
                if entry.HasField("run"):
                    run = entry.run
                    assert (run.run_id, run.run_group, list(run.tags)) == (
                        record["run_id"],
                        "rates",
                        ["rte", "adapter"],
                    )
                    config = {item.key: json.loads(item.value_json) for item in run.config.update}
                    assert config["train.learning_rate"] == record["config"]["train"]["learning_rate"]
                if entry.HasField("history"):
                    row = {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in entry.history.item}
                    for name, value in row.items():
                        series.setdefault(name, {})[row["step"]] = value
                if entry.HasField("exit"):
                    codes.append(entry.exit.exit_code)
                for item in entry.summary.update:
                    if (item.key or item.nested_key[0]) == "record/run_id":
                        assert json.loads(item.value_json) == record["run_id"]
        assert codes == [1, 0]
        assert_series({name: sorted(values.items()) for name, values in series.items()}, record)


def test_trackio_has_the_runs_of_a_sweep_as_a_group(sweep):
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    _, records = sweep
    for record in records:
        entries = SQLiteStorage.get_logs("glue-adapter-harness", record["run_id"])
        series = {}
        for entry in entries:
            for name, value in entry.items():
                series.setdefault(name, {})[entry["step"]] = value
        assert_series({name: sorted(values.items()) for name, values in series.items()}, record)
        assert list(series["status"].values())[-1] == "completed"
        assert record["run_id"] in series["record/run_id"].values()
        config = SQLiteStorage.get_run_config("glue-adapter-harness", record["run_id"])
        assert config["train.learning_rate"] == record["config"]["train"]["learning_rate"]
        assert config["_Group"] == "rates"
