"""Runs to records: load, train, evaluate and write, one stack at a time."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from harness.data.batches import Encoded
from harness.data.encode import encode
from harness.interrupts import SIGNALS
from harness.model.build import assemble
from harness.model.checkpoint import tokenizer_of
from harness.model.classifier import Classifier
from harness.model.heads import HEADS
from harness.model.replica_state import alone, trained_tensors
from harness.records.predictions import Arrays, store_predictions
from harness.records.schema import Record, Scores
from harness.records.weights import store
from harness.sweeps.checkpoints import checkpoint_of
from harness.sweeps.progress import Display
from harness.sweeps.provenance import now, provenance
from harness.sweeps.resolve import Run
from harness.sweeps.run_record import encoder_entries, finished_record, shared_entries, training_entries
from harness.sweeps.run_rows import RunRows, rows_of_runs
from harness.sweeps.trackers import tracking_of
from harness.tracking.stack_tracking import Tracking
from harness.training.cuda_graphs import cuda_capture
from harness.training.device import PeakMemory
from harness.training.evaluation import evaluate, evaluate_spans, majority
from harness.training.loop import evaluation_tokens, predict, train
from harness.training.stack_checkpoint import StackCheckpoint


@dataclass(frozen=True)
class Splits:
    """What a stack trains on, is scored on and predicts, tokenised."""

    train: Encoded
    scored: dict[str, Encoded]
    tests: dict[str, Encoded]
    rows: RunRows


def run_stack(runs: Sequence[Run], device: torch.device, progress: Display) -> list[Record]:
    """Train and evaluate compatible runs in one pass on that device; their records, in the order given.

    Training goes on from the stack's checkpoint, if there is one; trackers get losses and scores meanwhile.
    Predictions, and weights where `train.save` asks for them, are written before any record is returned; then the
    checkpoint is of no more use. Out of memory and other errors are raised: the caller knows whether a smaller stack
    can be tried.
    """
    checkpoint = checkpoint_of(runs, device, progress)
    # Outside the steps a signal takes effect at once, but not before what was trained is safe.
    with tracking_of(runs) as tracking, SIGNALS.first(checkpoint.write) if checkpoint else nullcontext():
        records = _run_stack(runs, device, progress, checkpoint, tracking)
        tracking.finish(records)
    return records


def _run_stack(
    runs: Sequence[Run],
    device: torch.device,
    progress: Display,
    checkpoint: StackCheckpoint | None,
    tracking: Tracking,
) -> list[Record]:
    first = runs[0]
    if first.checkpoint is None:
        from harness.sweeps.baseline import run_baseline  # scikit-learn takes a second to import

        return [run_baseline(run, progress.step) for run in runs]
    settings = first.config.train
    started, clock = now(), time.perf_counter()
    bf16 = first.precision == "bf16"
    tokens = evaluation_tokens(settings, device)
    memory = PeakMemory(device)
    splits = encoded_splits(runs, device)
    classifier = build_classifier(runs, device, bf16=bf16)
    # A GPU draws dropout from one stream per stack, a CPU from one per replica (MaskStreams); records name the stack.
    torch.manual_seed(settings.seed)

    def evaluate_epoch(epoch: int) -> list[Scores] | None:
        if not settings.evaluate_every_epoch or epoch == settings.epochs:
            return None
        scored = evaluate(classifier, first.task, splits.scored, bf16=bf16, max_tokens=tokens)
        scores = [results["scores"] for results in scored]
        tracking.scores(-(-len(splits.train) // settings.batch_size) * epoch, scores)
        return scores

    with cuda_capture(first.config.cuda_graphs) as capture:
        training = train(
            classifier,
            splits.train,
            settings,
            head=HEADS[first.task.kind.name],
            learning_rates=[run.config.train.learning_rate for run in runs],
            seeds=[run.config.train.seed for run in runs],
            bf16=bf16,
            capture=capture,
            on_step=progress.step,
            on_losses=tracking.losses,
            on_epoch=evaluate_epoch,
            checkpoint=checkpoint,
        )
    evaluated = time.perf_counter()
    results = []
    for replica in range(len(runs)):
        with alone(classifier, replica):
            results.append(_evaluate_alone(classifier, first, splits, bf16=bf16, max_tokens=tokens))
    gold = {name: split.gold_labels for name, split in splits.scored.items()}
    shared = shared_entries(first, splits.rows.counts, splits.rows.available) | {
        "majority": majority(first.task, splits.train.gold_labels, gold),
        "time": {
            "started": started,
            "finished": now(),
            "train_seconds": round(training.seconds, 3),
            "evaluate_seconds": round(time.perf_counter() - evaluated, 3),
            "total_seconds": round(training.seconds_before + time.perf_counter() - clock, 3),
            # Of the whole stack: each of its replicas trains this share of them.
            "examples_per_second": round(training.examples * len(runs) / training.seconds, 1),
        },
        "memory": memory.read(),
        "provenance": provenance(device, bf16=bf16),
    }
    stack = [run.id for run in runs]
    records = []
    for replica, run in enumerate(runs):
        how = training_entries(training, replica, stack, settings.micro_batch_size)
        own = how | encoder_entries(run, classifier)
        record = finished_record(run, results[replica], training, replica, copy.deepcopy(shared) | own)
        records.append(_stored(run, record, results[replica], gold, classifier, replica))
    return records


def _evaluate_alone(classifier: Classifier, run: Run, splits: Splits, *, bf16: bool, max_tokens: int) -> dict[str, Any]:
    """What `evaluate` finds for a single replica, with predictions of the test sets and, where asked for, `spans`."""
    (result,) = evaluate(classifier, run.task, splits.scored, bf16=bf16, max_tokens=max_tokens)
    for name, split in splits.tests.items():
        (logits,) = predict(classifier, split, bf16=bf16, max_tokens=max_tokens)
        answers = split.answers(run.task.kind, logits)
        result["predictions"] |= {name: answers, f"{name}.idx": splits.rows.test_numbers[name]}
    if run.config.train.evaluate_spans:
        result["spans"] = evaluate_spans(classifier, run.task, splits.scored, bf16=bf16, max_tokens=max_tokens)
    return result


def _stored(
    run: Run, record: Record, result: dict[str, Any], gold: Arrays, classifier: Classifier, replica: int
) -> Record:
    """The record, after what a completed run leaves next to it has been written: predictions, gold labels, weights."""
    if record["status"] != "completed":
        return record
    results_dir = Path(run.config.results_dir)
    record["predictions"] = store_predictions(results_dir, run.id, run.task, result["predictions"], gold)
    if run.config.train.save != "none":
        store(results_dir, trained_tensors(classifier, replica), record, best_only=run.config.train.save == "best")
    return record


def build_classifier(runs: Sequence[Run], device: torch.device, *, bf16: bool) -> Classifier:
    """The encoder with the runs' heads and methods, one replica per run, on the device."""
    return assemble(
        runs[0].checkpoint,
        [run.task.kind.outputs for run in runs],
        [run.config.method for run in runs],
        seeds=[run.config.train.seed for run in runs],
        dropout=runs[0].config.train.dropout,
        device=device,
        bf16=bf16,
        reads_all_tokens=HEADS[runs[0].task.kind.name].reads_all_tokens,
        pooling=runs[0].config.model.pooling,
    )


def encoded_splits(runs: Sequence[Run], device: torch.device) -> Splits:
    """The rows of a stack, tokenised."""
    first, rows = runs[0], rows_of_runs(runs)

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
        train=encoded(rows.train),
        scored={name: encoded(split) for name, split in rows.scored.items()},
        tests={name: encoded(split) for name, split in rows.tests.items()},
        rows=rows,
    )
