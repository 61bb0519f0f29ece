"""MLflow: an experiment per sweep, and in it a run per run, found again by its tag `harness.run_id`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from harness.records.schema import Record
from harness.tracker_config import MlflowConfig
from harness.tracking.tracker import Rows, TrackedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TAG = "harness.run_id"
_MOST_METRICS, _MOST_PARAMS = 1000, 100  # that a server takes at once
_STATUS = {"completed": "FINISHED", "interrupted": "KILLED"}  # otherwise FAILED


class RunTracker:
    """A run in the experiment of its sweep, at `settings.uri`."""

    def __init__(self, run: TrackedRun, settings: MlflowConfig) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        uri = settings.uri or os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder is all that one sweep needs
            uri = (run.results_dir.absolute() / "mlruns").as_uri()
        self._client = MlflowClient(tracking_uri=uri)
        experiment = _experiment(self._client, run.group)
        found = self._client.search_runs([experiment], f"tags.`{_TAG}` = '{run.id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        tags = {_TAG: run.id} | dict(zip(("task", "method"), run.tags, strict=True))
        self._id = self._client.create_run(experiment, run_name=run.id, tags=tags).info.run_id
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(self._id, params=params[start : start + _MOST_PARAMS])

    def log(self, rows: Rows) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, step) for step, values in rows for name, value in values.items()]
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self._id, metrics=metrics[start : start + _MOST_METRICS])

    def close(self, status: str, record: Record | None) -> None:
        self._client.set_tag(self._id, "status", status)
        if record is not None:
            self._client.log_dict(self._id, record, "record.json")
        self._client.set_terminated(self._id, _STATUS.get(status, "FAILED"))


def _experiment(client: MlflowClient, name: str) -> str:
    """The id of the experiment of that name, which another process may be making at the same time."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name)
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return found.experiment_id
