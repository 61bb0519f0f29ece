"""The runs of a results folder as a frame for analysis: one row per run, flat columns with a type each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from harness.records.choice import choice_score, chosen_on
from harness.records.method_title import ALWAYS_SHOWN
from harness.records.record import Record, canonical, flatten, task_of

if TYPE_CHECKING:
    import pandas as pd

# The columns that every frame has, in this order, with their types.
COLUMNS = {
    "run_id": "string",
    "status": "string",  # completed, diverged, failed or running
    "error": "string",  # why a run did not complete
    "degenerate": "boolean",  # constant predictions on a scored set
    "task": "string",
    "method": "string",
    "size": "Int64",  # bottleneck size of adapters, number of top layers
    "learning_rate": "float64",
    "epochs": "Int64",
    "seed": "Int64",
    "encoder": "string",  # title; missing for a method without one
    "source": "string",  # where the rows came from
    "is_glue": "boolean",
    "protocol": "string",
    "headline": "string",  # the metric of the next two scores, in its own range
    "selection_split": "string",
    "selection_score": "float64",
    "reported_split": "string",
    "reported_score": "float64",
    "train_rows": "Int64",
    "parameters": "Int64",  # encoder and head
    "trained_parameters": "Int64",
    "trained_fraction": "float64",  # of the encoder
    "stack": "Int64",  # runs that trained in the same pass; seconds, examples/s and memory are the whole stack's
    "seconds": "float64",  # training, evaluation and loading
    "train_seconds": "float64",
    "examples_per_second": "float64",
    "peak_bytes": "Int64",
    "started": "datetime64[ns, UTC]",
    "finished": "datetime64[ns, UTC]",
    "device": "string",
    "precision": "string",
    "commit": "string",
}
# Options that the columns above show.
_SHOWN = ("task.name", "method.name", "train.learning_rate", "train.epochs", "train.seed", "train.precision",
          "model.name", "data.source", "protocol.name")  # fmt: skip


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row per record: `COLUMNS`, then `scores.<split>.<metric>`, then every other option by its dotted name."""
    import pandas as pd

    rows = [_row(record) for record in records]
    found = list(dict.fromkeys(name for row in rows for name in row if name not in COLUMNS))
    found.sort(key=lambda name: not name.startswith("scores."))  # stable
    types = COLUMNS | {name: _type([row.get(name) for row in rows]) for name in found}
    return pd.DataFrame({
        name: pd.Series(pd.to_datetime(values, utc=True) if "UTC" in kind else values, dtype=kind)
        for name, kind in types.items()
        for values in [[row.get(name) for row in rows]]
    })  # fmt: skip


def _row(record: Record) -> dict[str, Any]:
    config, task = record["config"], task_of(record)
    method, train = config["method"], config["train"]
    data, parameters, time = (record.get(key, {}) for key in ("data", "parameters", "time"))
    origin, scores = record.get("provenance", {}), record.get("scores", {})
    reported = task.evaluation_sets[0]
    size = ALWAYS_SHOWN.get(method["name"])
    options = {
        name: canonical(value) if isinstance(value, list) else value
        for name, value in flatten(config).items()
        if name not in _SHOWN and name != f"method.{size}"
    }
    own = {
        "run_id": record["run_id"],
        "status": record["status"],
        "error": record["error"],
        "degenerate": record["degenerate"],
        "task": task.name,
        "method": method["name"],
        "size": method.get(size),
        "learning_rate": train.get("learning_rate"),
        "epochs": train.get("epochs"),
        "seed": train.get("seed"),
        "encoder": record.get("encoder", {}).get("title"),
        "source": config["data"]["source"],
        "is_glue": data.get("is_glue"),
        "protocol": config["protocol"]["name"],
        "headline": task.headline,
        "selection_split": chosen_on(record),
        "selection_score": choice_score(record),
        "reported_split": reported,
        "reported_score": scores.get(reported, {}).get(task.headline),
        "train_rows": data.get("rows", {}).get("train"),
        "parameters": parameters.get("total"),
        "trained_parameters": parameters.get("trained"),
        "trained_fraction": parameters.get("trained_fraction"),
        "stack": len(record["training"]["stack"]) if "training" in record else None,
        "seconds": time.get("total_seconds"),
        "train_seconds": time.get("train_seconds"),
        "examples_per_second": time.get("examples_per_second"),
        "peak_bytes": record.get("memory", {}).get("peak_bytes"),
        "started": time.get("started"),
        "finished": time.get("finished"),
        "device": origin.get("device"),
        "precision": origin.get("precision") or train.get("precision"),
        "commit": origin.get("commit"),
    }
    return own | flatten({"scores": scores}) | options


def _type(values: Sequence[Any]) -> str:
    """The type of a column with these values; None is a missing one."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds or kinds <= {int, float}:
        return "Int64" if kinds == {int} else "float64"
    return "boolean" if kinds == {bool} else "string"
