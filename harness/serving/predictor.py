"""Predictions of a bank's tasks over one encoder; tasks of compatible methods share batches as replicas of a stack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harness.data.batches import EVALUATION_TOKENS, Encoded, encode_texts, join
from harness.model.build import assemble
from harness.model.checkpoint import Checkpoint, load_encoder, tokenizer_of
from harness.model.classifier import Classifier
from harness.model.methods import METHODS, can_stack
from harness.model.replica_state import load_tensors
from harness.serving.bank_folder import Bank, Entry
from harness.training.device import autocast, pick_precision

Texts = tuple[str, ...]  # the sentences of one row


@dataclass(frozen=True)
class Prediction:
    """`value` is a label, or the score of a regression task; `probabilities` are by label, empty for regression."""

    task: str
    value: str | float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class _Stack:
    """Tasks that share a forward pass, one per replica."""

    entries: tuple[Entry, ...]
    classifier: Classifier
    bf16: bool


class Predictor:
    """The named tasks of a bank, loaded once; `predict` may then be called many times.

    `precision` is `bf16`, `fp32` or `auto`: the one that each task was trained in, if the hardware has it. Raises
    `UserError` for a task that the bank lacks and for whatever is wrong with its files or the encoder.
    """

    def __init__(
        self,
        bank: Bank,
        tasks: Sequence[str],
        *,
        checkpoint: Checkpoint,
        device: torch.device,
        precision: str = "auto",
    ) -> None:
        self.device = device
        self.tokenizer = tokenizer_of(checkpoint)
        self.entries = {name: bank.entry(name) for name in tasks}
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries.values():
            groups.setdefault(_stack_key(entry), []).append(entry)
        self.stacks = [_load(bank, group, checkpoint, device, precision) for group in groups.values()]

    def logits(self, rows: Sequence[tuple[str, Texts]]) -> list[np.ndarray]:
        """The logits `[outputs]` of each (task, sentences), in fp32 and in the order of the rows."""
        found: list[np.ndarray | None] = [None] * len(rows)
        for stack in self.stacks:
            places = [[i for i, (name, _) in enumerate(rows) if name == entry.task.name] for entry in stack.entries]
            if not any(places):
                continue
            parts = [
                self._encode(entry, [rows[i][1] for i in own]) for entry, own in zip(stack.entries, places, strict=True)
            ]
            for entry, own, values in zip(stack.entries, places, self._run(stack, parts), strict=True):
                for i, row in zip(own, values, strict=True):
                    found[i] = row[: entry.task.kind.outputs]
        return found

    def predict(self, rows: Sequence[tuple[str, Texts]]) -> list[Prediction]:
        """The prediction for each (task, sentences), in the order of the rows."""
        kinds = {name: entry.task.kind for name, entry in self.entries.items()}
        return [
            Prediction(name, kinds[name].shown(kinds[name].decide(logits[None])[0]), kinds[name].probabilities(logits))
            for (name, _), logits in zip(rows, self.logits(rows), strict=True)
        ]

    def _encode(self, entry: Entry, texts: Sequence[Texts]) -> Encoded | None:
        if not texts:
            return None
        columns = [list(column) for column in zip(*texts, strict=True)]
        return encode_texts(
            columns, self.tokenizer, max_length=entry.run["config"]["train"]["max_length"], device=str(self.device)
        )

    @torch.inference_mode()
    def _run(self, stack: _Stack, parts: Sequence[Encoded | None]) -> list[np.ndarray]:
        """The logits `[N, widest head]` of each task's rows, in their order.

        Every task's rows are sorted by decreasing length, and a batch takes equally many of each task. A task that has
        no rows left is filled up with an empty one, whose logits are dropped.
        """
        filler = encode_texts([[""]], self.tokenizer, max_length=8, device=str(self.device))
        rows = join([*(part for part in parts if part is not None), filler], pad=self.tokenizer.pad_token_id or 0)
        counts = [0 if part is None else len(part) for part in parts]
        table = np.full((len(parts), max(counts)), len(rows) - 1)
        for own, part, offset in zip(table, parts, np.cumsum([0, *counts]), strict=False):
            if part is not None:
                own[: len(part)] = offset + np.argsort(-part.lengths, kind="stable")
        logits = np.zeros((len(rows), max(stack.classifier.outputs)), np.float32)
        start = 0
        while start < table.shape[1]:
            width = int(rows.lengths[table[:, start]].max())
            size = max(1, EVALUATION_TOKENS[self.device.type] // len(parts) // width)
            batch = table[:, start : start + size]
            inputs = rows.gather(torch.from_numpy(batch.ravel()).to(self.device), width)
            with autocast(self.device, stack.bf16):
                logits[batch] = stack.classifier(*inputs).cpu().numpy()
            start += size
        return np.split(logits[:-1], np.cumsum(counts)[:-1])


def _stack_key(entry: Entry) -> str:
    """Equal for tasks that can be replicas of one stack."""
    method = dict(entry.run["config"]["method"])
    if not can_stack(entry.method):
        return entry.task.name
    for name in METHODS[entry.method.name].per_replica or ():
        method[name] = None
    return json.dumps([method, entry.run["provenance"]["precision"]], sort_keys=True)


def _load(bank: Bank, entries: Sequence[Entry], checkpoint: Checkpoint, device: torch.device, precision: str) -> _Stack:
    if precision == "auto":
        trained_in = entries[0].run["provenance"]["precision"]
        bf16 = trained_in == "bf16" and pick_precision("auto", device)
    else:
        bf16 = precision == "bf16"
    classifier = assemble(
        checkpoint,
        [entry.task.kind.outputs for entry in entries],
        [entry.method for entry in entries],
        seeds=[entry.run["config"]["train"]["seed"] for entry in entries],
        dropout=0.0,
        device=device,
        bf16=bf16,
        encoder=load_encoder(checkpoint),  # read again for each stack: faster than a copy in memory
    )
    for replica, entry in enumerate(entries):
        load_tensors(classifier, replica, bank.tensors(entry), where=str(bank.path(entry)))
    return _Stack(tuple(entries), classifier.eval(), bf16)
