"""Checks a bank: its files, its encoder, and whether it predicts what its training runs predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.data import sources
from harness.data.sources import DataChoice
from harness.data.splits import limit_rows
from harness.errors import UserError
from harness.records.predictions import compact, read_predictions
from harness.serving.bank_folder import Bank, Entry
from harness.serving.predictor import Predictor
from harness.tasks.glue import get_task
from harness.training.device import pick_device
from harness.training.evaluation import decide

# On the device of the training run nothing differs; elsewhere sums in another order move the last digits of bf16.
SCORE_TOLERANCE = 0.05  # of a score from 0 to 5


MOST_DIFFERENT = 0.01


def check(bank: Bank, *, model: str | None, data: DataChoice | None, say: Callable[[str], None]) -> bool:
    """Try every task of a bank: its files, its encoder, whether its weights fit; whether all is well.

    With `data`, also whether it predicts the evaluation rows as its training run did, up to rounding on another device.
    """
    checkpoint = bank.checkpoint(model)
    all_well = True
    for name in bank.tasks:
        try:
            predictor = Predictor(bank, [name], checkpoint=checkpoint, device=pick_device("cpu"))
            predictor.predict([(name, _example(name))])
            found = "well" if data is None else _replay(bank.entry(name), bank, predictor, data)
            say(f"{get_task(name).title}: {found}")
        except UserError as error:
            all_well = False
            say(f"{get_task(name).title}: {error}")
    return all_well


def _replay(entry: Entry, bank: Bank, predictor: Predictor, data: DataChoice) -> str:
    """Predict the evaluation rows of a task; `UserError` where that differs from what the training run predicted."""
    task = entry.task
    before = read_predictions(bank.folder, entry.run["run_id"])
    if before is None:
        raise UserError("the predictions of its training run are not in the bank; it was added without them")
    splits = sources.load(data, task)
    compared = different = 0
    for name in task.evaluation_sets:
        rows = limit_rows(splits[name], entry.run["config"]["data"]["max_eval_rows"])
        texts = zip(*(rows[column] for column in task.columns), strict=True)
        found = compact(task, decide(task, np.stack(predictor.logits([(task.name, row) for row in texts]))))
        if len(found) != len(before[name]):
            raise UserError(f"{name} has {len(found):,} rows here, its training run had {len(before[name]):,}")
        compared += len(found)
        different += int((np.abs(found - before[name]) > (SCORE_TOLERANCE if task.is_regression else 0)).sum())
    told = f"{different:,} of {compared:,} predictions differ from those of its training run"
    if different > MOST_DIFFERENT * compared:
        raise UserError(told)
    trained_on = entry.run["provenance"]["device"]
    return f"well, {told}" + (f", which was on {trained_on}: rounding" if different else "")


def _example(task: str) -> tuple[str, ...]:
    return ("A sentence.", "Another sentence.")[: len(get_task(task).columns)]
