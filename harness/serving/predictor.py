"""Predictions of a bank's tasks over one encoder; tasks of compatible methods share batches as replicas of a stack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from harness.data.batches import EVALUATION_TOKENS, Encoded, join
from harness.data.encode import encode_texts
from harness.errors import UserError
from harness.model.build import assemble
from harness.model.checkpoint import Checkpoint, load_encoder, tokenizer_of
from harness.model.classifier import Classifier
from harness.model.heads import HEADS
from harness.model.methods import METHODS, can_stack
from harness.model.replica_state import load_tensors
from harness.serving.bank_folder import Bank, Entry
from harness.tasks.span import Answer
from harness.training.device import autocast, pick_precision

Texts = tuple[str, ...]  # the sentences of one row


@dataclass(frozen=True)
class Prediction:
    """`value` is a label, the score of a regression task, or a span's text; `probabilities` are by label, else empty.

    `span` says where a span lies, and the sum of its start and end logit.
    """

    task: str
    value: str | float
    probabilities: dict[str, float]
    span: Answer | None = None


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
        self.entries, self.stacks = _loaded(bank, tasks, checkpoint, device, precision)

    def logits(self, rows: Sequence[tuple[str, Texts]]) -> list[np.ndarray]:
        """The logits `[outputs]` of each (task, sentences), in fp32 and in the order of the rows; not for spans."""
        found: list[np.ndarray | None] = [None] * len(rows)
        for places, _, _, outputs in self._outputs(rows):
            for i, row in zip(places, outputs, strict=True):
                found[i] = row
        return found

    def answers(self, rows: Sequence[tuple[str, Texts]]) -> list[Any]:
        """The answer to each (task, sentences) as the task's kind has it, in the order of the rows."""
        found: list[Any] = [None] * len(rows)
        for places, entry, part, outputs in self._outputs(rows):
            for i, answer in zip(places, part.answers(entry.task.kind, outputs), strict=True):
                found[i] = answer
        return found

    def predict(self, rows: Sequence[tuple[str, Texts]]) -> list[Prediction]:
        """The prediction for each (task, sentences), in the order of the rows."""
        found: list[Prediction | None] = [None] * len(rows)
        for places, entry, part, outputs in self._outputs(rows):
            kind, name = entry.task.kind, entry.task.name
            for row, (i, answer) in enumerate(zip(places, part.answers(kind, outputs), strict=True)):
                if isinstance(answer, Answer):
                    found[i] = Prediction(name, answer.text, {}, answer)
                else:
                    found[i] = Prediction(name, kind.shown(answer), kind.probabilities(outputs[row]))
        return found

    def _outputs(self, rows: Sequence[tuple[str, Texts]]) -> Iterator[tuple[list[int], Entry, Encoded, np.ndarray]]:
        """For each task of the rows: their numbers, the task, its rows or windows, and what they keep of logits."""
        for stack in self.stacks:
            places = [[i for i, (name, _) in enumerate(rows) if name == entry.task.name] for entry in stack.entries]
            if not any(places):
                continue
            parts = [
                self._encode(entry, [rows[i][1] for i in own]) for entry, own in zip(stack.entries, places, strict=True)
            ]
            for entry, own, part, values in zip(stack.entries, places, parts, self._run(stack, parts), strict=True):
                if part is not None:
                    yield own, entry, part, values

    def _encode(self, entry: Entry, texts: Sequence[Texts]) -> Encoded | None:
        if not texts:
            return None
        columns = [list(column) for column in zip(*texts, strict=True)]
        length = entry.run["config"]["train"]["max_length"]
        return encode_texts(columns, entry.task, self.tokenizer, max_length=length, device=str(self.device))

    @torch.inference_mode()
    def _run(self, stack: _Stack, parts: Sequence[Encoded | None]) -> list[np.ndarray]:
        """What each task keeps of the logits of its rows, `[N, n]` in their order.

        Every task's rows are sorted by decreasing length, and a batch takes equally many of each task. A task that has
        no rows left is filled up with a copy of the shortest row, whose logits are dropped.
        """
        present = [part for part in parts if part is not None]
        rows = join(present, pad=self.tokenizer.pad_token_id or 0)
        counts = [0 if part is None else len(part) for part in parts]
        starts = np.cumsum([0, *counts])
        table = np.full((len(parts), max(counts)), int(np.argmin(rows.lengths)))
        orders = [np.empty(0, int) if part is None else np.argsort(-part.lengths, kind="stable") for part in parts]
        for own, order, offset in zip(table, orders, starts, strict=False):
            own[: len(order)] = offset + order
        kept: list[list[np.ndarray]] = [[] for _ in parts]
        start = 0
        while start < table.shape[1]:
            width = int(rows.lengths[table[:, start]].max())
            size = max(1, EVALUATION_TOKENS[self.device.type] // len(parts) // width)
            inputs = rows.gather(torch.from_numpy(table[:, start : start + size].ravel()).to(self.device), width)
            with autocast(self.device, stack.bf16):
                logits = stack.classifier(*inputs)
            for replica, (part, order) in enumerate(zip(parts, orders, strict=True)):
                own = torch.from_numpy(order[start : start + size]).to(self.device)
                if len(own):
                    outputs = logits[replica, : len(own), ..., : stack.classifier.outputs[replica]]
                    kept[replica].append(part.condense(outputs[None], own)[0].cpu().numpy())
            start += size
        return [_in_order(found, order) for found, order in zip(kept, orders, strict=True)]


def predict_rows(
    bank: Bank, rows: Sequence[tuple[str, Texts]], *, model: str | None, device: torch.device, precision: str
) -> list[Prediction]:
    """The predictions of (task, texts), in their order, after loading what their tasks need and nothing else."""
    tasks = list(dict.fromkeys(name for name, _ in rows))
    checkpoint = bank.checkpoint(model)
    return Predictor(bank, tasks, checkpoint=checkpoint, device=device, precision=precision).predict(rows)


def _in_order(parts: Sequence[np.ndarray], order: np.ndarray) -> np.ndarray:
    """Rows that were computed in some order, by their numbers."""
    if not parts:
        return np.empty((0, 0), np.float32)
    rows = np.concatenate(parts)
    found = np.empty_like(rows)
    found[order] = rows
    return found


def _loaded(
    bank: Bank, tasks: Sequence[str], checkpoint: Checkpoint, device: torch.device, precision: str
) -> tuple[dict[str, Entry], list[_Stack]]:
    """The entries of the tasks, by name, and their stacks; read again where `bank add` replaces one meanwhile."""
    entries = {name: bank.entry(name) for name in tasks}
    groups: dict[str, list[Entry]] = {}
    for entry in entries.values():
        groups.setdefault(_stack_key(entry), []).append(entry)
    try:
        return entries, [_load(bank, group, checkpoint, device, precision) for group in groups.values()]
    except UserError:
        if all(map(bank.is_current, entries.values())):
            raise
        return _loaded(bank, tasks, checkpoint, device, precision)


def _stack_key(entry: Entry) -> str:
    """Equal for tasks that can be replicas of one stack."""
    method = dict(entry.run["config"]["method"])
    if not can_stack(entry.method):
        return entry.task.name
    for name in METHODS[entry.method.name].per_replica or ():
        method[name] = None
    reads_all = HEADS[entry.task.kind.name].reads_all_tokens
    precision = entry.run["provenance"]["precision"]
    return json.dumps([method, precision, reads_all, _pooling(entry)], sort_keys=True)


def _pooling(entry: Entry) -> str:
    return entry.run["config"]["model"].get("pooling", "auto")


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
        reads_all_tokens=HEADS[entries[0].task.kind.name].reads_all_tokens,
        pooling=_pooling(entries[0]),
        encoder=load_encoder(checkpoint),  # read again for each stack: faster than a copy in memory
    )
    for replica, entry in enumerate(entries):
        load_tensors(classifier, replica, bank.tensors(entry), where=str(bank.path(entry)))
    return _Stack(tuple(entries), classifier.eval(), bf16)
