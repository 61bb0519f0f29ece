"""Checks of a bank: its files, its encoder, and whether it predicts what the training runs predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.data.sources import of_task
from harness.data.sources.source import Source
from harness.data.splits import limit_rows
from harness.errors import UserError
from harness.model.checkpoint import Checkpoint
from harness.records.predictions import read_predictions
from harness.serving.bank_folder import Bank, Entry
from harness.serving.predictor import Predictor
from harness.tasks.span import Answer, objects
from harness.tasks.task import Task
from harness.training.device import pick_device

# Share of predictions that may differ. On the training run's kind of device none does; on another one, sums are taken
# in another order, which changes the last digits of bf16.
MOST_DIFFERENT = 0.01


def check(bank: Bank, *, model: str | None, data: Source | None, say: Callable[[str], None]) -> bool:
    """Check for every task of a bank that its files are whole, its encoder is right and its weights fit.

    With `data`, also that it predicts the evaluation rows as the training run did, up to rounding on another device.
    `say` gets one line per task. Returns whether all tasks passed.
    """
    checkpoint = bank.checkpoint(model)
    passed = True
    for name in bank.tasks:
        title = name
        try:
            title = bank.entry(name).task.title
            say(f"{title}: {_check(bank, name, checkpoint, data)}")
        except UserError as error:
            passed = False
            say(f"{title}: {error}")
    return passed


def _check(bank: Bank, name: str, checkpoint: Checkpoint, data: Source | None) -> str:
    predictor = Predictor(bank, [name], checkpoint=checkpoint, device=pick_device("cpu"))
    entry = predictor.entries[name]
    try:
        predictor.predict([(name, _example(entry.task))])
        return "ok" if data is None else _replay(entry, bank, predictor, data)
    except UserError:
        if bank.is_current(entry):
            raise
        return _check(bank, name, checkpoint, data)  # replaced meanwhile


def _replay(entry: Entry, bank: Bank, predictor: Predictor, data: Source) -> str:
    """Predict the evaluation rows of a task; `UserError` where the training run's predictions differ."""
    task = entry.task
    before = read_predictions(bank.folder, entry.run["run_id"])
    if before is None:
        raise UserError("the bank does not hold the predictions of its training run; it was added without them")
    splits = of_task(data, task).load(task)
    compared = different = 0
    for name in task.evaluation_sets:
        rows = limit_rows(splits[name], entry.run["config"]["data"]["max_eval_rows"])
        texts = zip(*(rows[column] for column in task.columns), strict=True)
        found = predictor.answers([(task.name, row) for row in texts])
        if len(found) != len(before[name]):
            raise UserError(f"{name} has {len(found):,} rows here, but its training run had {len(before[name]):,}")
        compared += len(found)
        different += task.kind.differing(
            objects(found) if isinstance(found[0], Answer) else np.stack(found), before[name]
        )
    summary = f"{different:,} of {compared:,} predictions differ from those of its training run"
    if different > MOST_DIFFERENT * compared:
        raise UserError(summary)
    trained_on = entry.run["provenance"]["device"]
    return f"ok, {summary}" + (f" on {trained_on} (rounding)" if different else "")


def _example(task: Task) -> tuple[str, ...]:
    return ("A sentence.", "Another sentence.")[: len(task.columns)]
