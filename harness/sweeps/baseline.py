"""A run without an encoder, from its rows to its record."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from harness.records.predictions import store_predictions
from harness.records.schema import Record
from harness.sweeps.provenance import now, provenance
from harness.sweeps.resolve import Run
from harness.sweeps.run_record import shared_entries
from harness.sweeps.run_rows import rows_of_runs
from harness.training.device import PeakMemory
from harness.training.evaluation import enter_scores, majority, no_results
from harness.training.tfidf import Texts, fit


def run_baseline(run: Run, on_step: Callable[[int, int, float | None], None]) -> Record:
    """Fit and evaluate the baseline on the CPU; its record, after its predictions have been written.

    `on_step` gets the number of points of the grid that are done, and their total.
    """
    started, clock, memory = now(), time.perf_counter(), PeakMemory(torch.device("cpu"))
    task, rows = run.task, rows_of_runs([run])
    train = _texts(run, rows.train)
    scored = {name: _texts(run, split) for name, split in rows.scored.items()}
    gold = {name: texts.gold for name, texts in scored.items()}
    loaded = time.perf_counter()
    fitted = fit(task, run.config.method, train, scored[run.selection_split], on_step)
    trained = time.perf_counter()
    result = no_results()
    for name, texts in scored.items():
        enter_scores(result, task, name, fitted.predict(texts.columns), texts.gold)
    for name, split in rows.tests.items():
        answers = fitted.predict(_texts(run, split).columns)
        result["predictions"] |= {name: answers, f"{name}.idx": rows.test_numbers[name]}
    examples = len(train.gold) * len(fitted.tried)
    stored = store_predictions(Path(run.config.results_dir), run.id, task, result["predictions"], gold)
    return run.record(
        "completed",
        degenerate=any(result["constant"].values()),
        scores=result["scores"],
        undefined=result["undefined"],
        **shared_entries(run, rows.counts, rows.available),
        majority=majority(task, train.gold, gold),
        # There is no encoder that they could be a share of.
        parameters={
            "groups": {"head": {"total": fitted.coefficients, "trained": fitted.coefficients}},
            "total": fitted.coefficients,
            "trained": fitted.coefficients,
            **dict.fromkeys(("encoder", "encoder_layers", "trained_fraction", "trained_fraction_layers")),
            "total_multiple": None,
        },
        training={
            "steps": len(fitted.tried),
            "examples": examples,
            "padding_share": 0.0,
            "stack": [run.id],
            "history": [],
        },
        grid={"chosen": fitted.chosen, "tried": fitted.tried},
        time={
            "started": started,
            "finished": now(),
            "train_seconds": round(trained - loaded, 3),
            "evaluate_seconds": round(time.perf_counter() - trained, 3),
            "total_seconds": round(time.perf_counter() - clock, 3),
            "examples_per_second": round(examples / (trained - loaded), 1),
        },
        memory=memory.read(),
        provenance=provenance(torch.device("cpu"), bf16=False),
        predictions=stored,
    )


def _texts(run: Run, split: Dataset) -> Texts:
    return Texts([list(split[column]) for column in run.task.columns], np.asarray(split["label"]))
