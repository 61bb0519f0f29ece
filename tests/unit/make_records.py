"""A factory of valid run records (schema of harness/records.py) for the tests of the reporting side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.predictions import compact, write_predictions, write_references
from harness.records import PAPER_PROTOCOL, SCHEMA, Record, write_record
from harness.tasks import metrics
from harness.tasks.glue import get_task

ENCODER = 22_713_216  # MiniLM-L6 with its pooler, without a head
LAYERS, WIDTH = 6, 384
TRAIN_ROWS = {"mrpc": 3668, "cola": 8551, "rte": 2490, "stsb": 5749, "mnli": 392_702}


def adapter_parameters(size: int, outputs: int) -> int:
    """Adapters, all LayerNorms and the head (paper, section 2.1)."""
    adapters = 2 * LAYERS * (2 * WIDTH * size + WIDTH + size)
    return adapters + (2 * LAYERS + 1) * 2 * WIDTH + outputs * WIDTH + outputs


def make_record(
    task: str = "mrpc",
    method: str | dict[str, Any] = "adapter",
    score: float | dict[str, float | None] | None = 0.86,
    *,
    size: int = 64,
    rate: float = 1e-3,
    epochs: int = 5,
    seed: int = 0,
    status: str = "completed",
    error: str | None = None,
    degenerate: bool = False,
    trained: int | None = None,
    fingerprint: str = "d0",
    sha256: str = "53aa51172d142c89",
    source: str = "local",
    max_train_rows: int | None = None,
    max_eval_rows: int | None = None,
    majority: float | None = 0.812,
    protocol: Any = None,
    **extra: Any,
) -> Record:
    """One record. `score` is the headline score on every evaluation set, or one score an evaluation set."""
    known = get_task(task)
    if isinstance(method, str):
        adapter = {"bottleneck_size": size, "activation": "gelu", "init_std": 0.01}
        method = {"name": method} | (adapter if method == "adapter" else {})
    config = {
        "task": {"name": task},
        "method": method,
        "model": {"name": "minilm"},
        "data": {"source": source, "max_train_rows": max_train_rows, "max_eval_rows": max_eval_rows},
        "train": {"learning_rate": rate, "epochs": epochs, "batch_size": 32, "seed": seed},
        "protocol": protocol or PAPER_PROTOCOL,
    }
    fields = "-".join(f"{value}" for name, value in sorted(method.items()) if name != "name")
    limits = "".join(f"-{limit}" for limit in (max_train_rows, max_eval_rows) if limit is not None)
    run_id = f"{task}-{method['name']}{fields and '-'}{fields}-{rate:g}-e{epochs}-s{seed}-{fingerprint}{sha256[:4]}"
    record = {
        "schema": SCHEMA,
        "run_id": run_id + limits + extra.pop("suffix", ""),
        "status": status,
        "error": error,
        "degenerate": degenerate,
        "config": config,
    }
    if status in ("failed", "running"):
        return record | extra
    record |= _reached(task, method, trained, sha256, source, fingerprint, (max_train_rows, max_eval_rows))
    record["training"]["stack"] = [record["run_id"]]
    record["majority"] = {name: {known.headline: majority} for name in known.evaluation_sets}
    if status == "completed":
        by_set = score if isinstance(score, dict) else dict.fromkeys(known.evaluation_sets, score)
        record["scores"] = {name: dict.fromkeys(known.metrics, value) for name, value in by_set.items()}
    return record | extra


def _reached(
    task: str,
    method: dict[str, Any],
    trained: int | None,
    sha256: str,
    source: str,
    fingerprint: str,
    limits: tuple[int | None, int | None],
) -> Record:
    """The keys that a run has once it has loaded its model and data."""
    known = get_task(task)
    head = known.outputs * WIDTH + known.outputs
    if trained is None:
        size = method.get("bottleneck_size")
        trained = adapter_parameters(size, known.outputs) if size else ENCODER + head
    available = {"train": TRAIN_ROWS.get(task, 10_000)} | dict.fromkeys(known.evaluation_sets, 1000)
    caps = {name: limits[0] if name == "train" else limits[1] for name in available}
    return {
        "parameters": {
            "groups": {"head": {"total": head, "trained": head}},
            "total": ENCODER + trained,
            "trained": trained,
            "encoder": ENCODER,
            "encoder_layers": 10_646_784,
            "trained_fraction": trained / ENCODER,
            "trained_fraction_layers": trained / 10_646_784,
            "total_multiple": 1 + 9 * trained / ENCODER,
        },
        "encoder": {
            "title": "all-MiniLM-L6-v2",
            "name": "minilm",
            "family": "bert",
            "sha256": sha256,
            "revision": None,
            "layers": LAYERS,
            "width": WIDTH,
            "pooling": "cls",
            "checkpoint": "sentence-transformers/all-MiniLM-L6-v2",
        },
        "data": {
            "source": source,
            "is_glue": source != "synthetic",
            "fingerprint": f"{task}-{fingerprint}",
            "rows": {name: min(rows, caps[name] or rows) for name, rows in available.items()},
            "available": available,
        },
        "training": {"steps": 575, "examples": 18_340, "stack": [], "history": [{"epoch": 1, "loss": 0.5}]},
        "time": {"started": "2025-01-01T00:00:00Z", "finished": "2025-01-01T00:01:00Z", "train_seconds": 60.0},
        "memory": {"peak_bytes": 2**30, "of": "process"},
        "provenance": {
            "commit": "0123456789abcdef",
            "dirty": False,
            "versions": {"torch": "2.9.0", "transformers": "5.0.0"},
            "device": "cpu",
            "precision": "fp32",
            "command": "python -m harness.run",
        },
    }


def write_all(results_dir: str | Path, records: list[Record]) -> None:
    for record in records:
        write_record(results_dir, record)


def write_predictions_of(results_dir: str | Path, records: list[Record], *, labels: Any, accuracy: float = 0.8) -> None:
    """Predictions for finished classification runs: each row right with that probability, drawn by the run's seed."""
    for record in records:
        task = get_task(record["config"]["task"]["name"])
        draws = np.random.default_rng(record["config"]["train"]["seed"]).random(len(labels))
        values = np.where(draws < accuracy, labels, 1 - labels)
        references = write_references(results_dir, task, dict.fromkeys(task.evaluation_sets, compact(task, labels)))
        write_predictions(results_dir, record["run_id"], dict.fromkeys(task.evaluation_sets, compact(task, values)))
        scores, _ = metrics.score(task, values, labels)
        record["scores"] = dict.fromkeys(task.evaluation_sets, scores)
        record["predictions"] = {"references": references}
        write_record(results_dir, record)
