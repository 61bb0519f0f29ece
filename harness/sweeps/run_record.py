"""The parts of a finished run's record, from what its stack did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.data.sources.own import reading_summary
from harness.model.classifier import Classifier
from harness.model.parameters import count
from harness.records.schema import Record
from harness.sweeps.resolve import Run
from harness.training.loop import Training


def finished_record(
    run: Run, result: Mapping[str, Any], training: Training, replica: int, entries: Mapping[str, Any]
) -> Record:
    """The record of a run that has trained: completed with its scores, or diverged with the step.

    `result` is its entry of `harness.training.evaluation.evaluate`, `entries` the other keys of the record.
    """
    if run.config.method.budget is not None:
        entries = {**entries, "provenance": entries["provenance"] | {"budget": str(run.config.method.budget)}}
    step = training.diverged_at[replica]
    if step is not None or not all(result["finite"].values()):
        where = f"at step {step} of {training.losses.shape[1]}" if step else "in the last steps"
        rate = run.config.train.learning_rate
        error = f"the loss was no longer finite {where}; lower train.learning_rate={rate:g}"
        return run.record("diverged", error=error, scores={}, undefined={}, **entries)
    spans = {"spans": result["spans"]} if "spans" in result else {}
    return run.record(
        "completed",
        degenerate=any(result["constant"].values()),
        scores=result["scores"],
        undefined=result["undefined"],
        **entries,
        **spans,
    )


def shared_entries(run: Run, rows: Mapping[str, int], available: Mapping[str, int]) -> dict[str, Any]:
    """What every run of a stack shares: the protocol's splits, and the data."""
    return {
        "protocol": {"chooses_on": run.selection_split, "reports_on": list(run.task.evaluation_sets)},
        "data": {
            "source": run.data.name,
            "is_glue": run.data.is_glue,
            "fingerprint": run.fingerprint,
            "rows": dict(rows),
            "available": dict(available),
            **({"reading": reading} if (reading := reading_summary(run.data, run.task)) else {}),
        },
    }


def encoder_entries(run: Run, classifier: Classifier) -> dict[str, Any]:
    """The encoder, and the parameters counted with the run's own method."""
    config, checkpoint = classifier.encoder.config, run.checkpoint
    outputs, has_pooler = run.task.kind.outputs, classifier.has_pooler
    return {
        "parameters": count(config, run.config.method, outputs, has_pooler=has_pooler),
        "encoder": {
            "title": checkpoint.title,
            "name": checkpoint.name,
            "family": checkpoint.family,
            "sha256": checkpoint.sha256,
            "fingerprint": checkpoint.fingerprint,
            "revision": checkpoint.revision,
            "layers": config.num_hidden_layers,
            "width": config.hidden_size,
            "pooling": classifier.pooling,
        },
    }


def training_entries(
    training: Training, replica: int, stack: Sequence[str], micro_batch_size: int | None
) -> dict[str, Any]:
    """How the run trained; the scores after an epoch are there if its `evaluations` hold them, one per replica."""
    history = training.epoch_losses(replica)
    for entry, scores in zip(history, training.evaluations, strict=False):  # a run that diverged finished fewer
        if scores is not None:
            entry["scores"] = scores[replica]
    entry = {
        "steps": training.losses.shape[1],
        "examples": training.examples,
        "padding_share": round(training.padding_share, 5),
        "stack": list(stack),
        "history": history,
        "losses": training.block_losses(replica),
    }
    if micro_batch_size is not None:
        entry["micro_batch_size"] = micro_batch_size
    return {"training": entry}
