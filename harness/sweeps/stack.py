"""Runs to records: load, train, evaluate and write, one stack at a time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from harness.data.batches import Encoded, encode
from harness.data.splits import split_rows
from harness.model.build import assemble
from harness.model.checkpoint import tokenizer_of
from harness.model.classifier import Classifier
from harness.model.heads import HEADS
from harness.model.parameters import count
from harness.model.replica_state import alone, trained_tensors
from harness.records.predictions import store_predictions
from harness.records.record import Record
from harness.records.weights import store
from harness.sweeps.provenance import now, provenance
from harness.sweeps.resolve import Run, rows_of, test_sets
from harness.tasks.protocols import scored_sets
from harness.tasks.task import Task
from harness.training.cuda_graphs import cuda_capture
from harness.training.device import PeakMemory, pick_precision
from harness.training.evaluation import decide, evaluate, evaluate_spans, majority
from harness.training.loop import Training, predict, train


@dataclass(frozen=True)
class Splits:
    """What a stack trains on, is scored on and predicts, tokenised; `available` are the rows before any limit.

    `test_numbers` are the benchmark's own numbers of the test rows.
    """

    train: Encoded
    scored: dict[str, Encoded]
    tests: dict[str, Encoded]
    test_numbers: dict[str, np.ndarray]
    available: dict[str, int]

    @property
    def rows(self) -> dict[str, int]:
        return {"train": len(self.train)} | {name: len(split) for name, split in self.scored.items()}


def run_stack(runs: Sequence[Run], device: torch.device, on_step: Callable[[int, int, float], None]) -> list[Record]:
    """Train and evaluate compatible runs in one pass on that device; their records, in the order given.

    Predictions, and weights where `train.save` asks for them, are written before any record is returned.
    `on_step` is told step, steps and mean loss every few steps. Out of memory and other errors are raised:
    the caller knows whether a smaller stack can be tried.
    """
    first = runs[0]
    started, clock = now(), time.perf_counter()
    bf16 = pick_precision(first.config.train.precision, device)
    memory = PeakMemory(device)
    splits = encoded_splits(runs, device)
    classifier = build_classifier(runs, device, bf16=bf16)
    # A GPU draws dropout from one stream a stack, a CPU from one a replica (MaskStreams); records name the stack.
    torch.manual_seed(first.config.train.seed)
    histories: list[dict[int, Any]] = [{} for _ in runs]

    def evaluate_epoch(epoch: int) -> None:
        if first.config.train.evaluate_every_epoch and epoch < first.config.train.epochs:
            scored = evaluate(classifier, first.task, splits.scored, bf16=bf16)
            for history, results in zip(histories, scored, strict=True):
                history[epoch] = results["scores"]

    with cuda_capture(first.config.cuda_graphs) as capture:
        training = train(
            classifier,
            splits.train,
            first.config.train,
            head=HEADS["regression" if first.task.is_regression else "classification"],
            learning_rates=[run.config.train.learning_rate for run in runs],
            seeds=[run.config.train.seed for run in runs],
            bf16=bf16,
            capture=capture,
            on_step=on_step,
            on_epoch=evaluate_epoch,
        )
    evaluated = time.perf_counter()
    results = []
    for replica in range(len(runs)):
        with alone(classifier, replica):
            results.append(_evaluate_alone(classifier, first.task, splits, bf16=bf16))
    spans = None
    if first.config.train.evaluate_spans:
        spans = evaluate_spans(classifier, first.task, splits.scored, bf16=bf16)
    shared = {
        "protocol": {"chooses_on": first.choosing_set, "reports_on": list(first.task.evaluation_sets)},
        "majority": majority(first.task, splits.train, splits.scored),
        "data": {
            "source": first.data.source,
            "is_glue": first.data.is_glue,
            "fingerprint": first.fingerprint,
            "rows": splits.rows,
            "available": splits.available,
        },
        "time": {
            "started": started,
            "finished": now(),
            "train_seconds": round(training.seconds, 3),
            "evaluate_seconds": round(time.perf_counter() - evaluated, 3),
            "total_seconds": round(time.perf_counter() - clock, 3),
            # Of the whole stack: each of its replicas trains this share of them.
            "examples_per_second": round(training.examples * len(runs) / training.seconds, 1),
        },
        "memory": memory.read(),
        "provenance": provenance(device, bf16=bf16),
    }
    records = [
        _finished_record(run, index, training, results[index], histories[index], classifier)
        | copy.deepcopy(shared)
        | {"training": _training_entry(runs, index, training, histories[index])}
        | ({} if spans is None else {"spans": spans[index]})
        for index, run in enumerate(runs)
    ]
    labels = {name: split.labels.cpu().numpy() for name, split in splits.scored.items()}
    for index, (run, record) in enumerate(zip(runs, records, strict=True)):
        if record["status"] == "completed":
            predictions = results[index]["predictions"]
            key = store_predictions(run.config.results_dir, run.id, run.task, predictions, labels)
            record["predictions"] = {"references": key}
            if run.config.train.save != "none":
                tensors = trained_tensors(classifier, index)
                store(Path(run.config.results_dir), tensors, record, best_only=run.config.train.save == "best")
    return records


def _evaluate_alone(classifier: Classifier, task: Task, splits: Splits, *, bf16: bool) -> dict[str, Any]:
    """What `evaluate` finds for a single replica, with predictions of the test sets."""
    (result,) = evaluate(classifier, task, splits.scored, bf16=bf16)
    for name, split in splits.tests.items():
        (logits,) = predict(classifier, split, bf16=bf16)
        result["predictions"] |= {name: decide(task, logits), f"{name}.idx": splits.test_numbers[name]}
    return result


def build_classifier(runs: Sequence[Run], device: torch.device, *, bf16: bool) -> Classifier:
    """The encoder with the runs' heads and methods, one replica a run, on the device."""
    return assemble(
        runs[0].checkpoint,
        [run.task.outputs for run in runs],
        [run.config.method for run in runs],
        seeds=[run.config.train.seed for run in runs],
        dropout=runs[0].config.train.dropout,
        device=device,
        bf16=bf16,
    )


def encoded_splits(runs: Sequence[Run], device: torch.device) -> Splits:
    """The splits of a stack, cut to the row limits and tokenised; test sets where one of its runs predicts them."""
    first = runs[0]
    loaded = rows_of(first.data, first.task.name)
    limits, protocol = first.config.data, asdict(first.config.protocol)
    rows = split_rows(
        loaded, first.task, protocol, max_train_rows=limits.max_train_rows, max_eval_rows=limits.max_eval_rows
    )
    predict_test = any(run.config.protocol.predict_test for run in runs)
    tests = test_sets(first.data, first.task) if predict_test else {}

    def encoded(split: Dataset) -> Encoded:
        return encode(
            split,
            first.task,
            tokenizer_of(first.checkpoint),
            max_length=first.config.train.max_length,
            cache_dir=Path(first.config.cache_dir),
            device=str(device),
        )

    return Splits(
        train=encoded(rows["train"]),
        scored={name: encoded(rows[name]) for name in scored_sets(protocol["name"], first.task)},
        tests={name: encoded(split) for name, split in tests.items()},
        test_numbers={name: np.asarray(split["idx"], np.int32) for name, split in tests.items()},
        available={name: len(loaded[name]) for name in ("train", *first.task.evaluation_sets)},
    )


def _finished_record(
    run: Run, index: int, training: Training, result: dict[str, Any], history: dict, classifier: Classifier
) -> Record:
    step = training.diverged_at[index]
    finite = all("the outputs are not finite" not in reasons.values() for reasons in result["undefined"].values())
    diverged = step is not None or not finite
    error = None
    if diverged:
        where = f"at step {step} of {training.losses.shape[1]}" if step else "in the last steps"
        error = f"the loss was no longer finite {where}; lower train.learning_rate={run.config.train.learning_rate:g}"
    config = classifier.encoder.config
    return run.record(
        "diverged" if diverged else "completed",
        error=error,
        degenerate=not diverged and any(result["constant"].values()),
        scores={} if diverged else result["scores"],
        undefined={} if diverged else result["undefined"],
        parameters=_parameters(run, classifier),
        encoder={
            "title": run.checkpoint.title,
            "name": run.checkpoint.name,
            "family": run.checkpoint.family,
            "sha256": run.checkpoint.sha256,
            "revision": run.checkpoint.revision,
            "layers": config.num_hidden_layers,
            "width": config.hidden_size,
            "pooling": "pooler" if classifier.has_pooler else "first token",
        },
    )


def _parameters(run: Run, classifier: Classifier) -> dict[str, Any]:
    return count(classifier.encoder.config, run.config.method, run.task.outputs, has_pooler=classifier.has_pooler)


def _training_entry(runs: Sequence[Run], index: int, training: Training, history: dict[int, Any]) -> dict[str, Any]:
    epochs = training.epoch_losses(index)
    for entry in epochs:
        if entry["epoch"] in history:
            entry["scores"] = history[entry["epoch"]]
    return {
        "steps": training.losses.shape[1],
        "examples": training.examples,
        "padding_share": round(training.padding_share, 5),
        "stack": [run.id for run in runs],
        "history": epochs,
    }
