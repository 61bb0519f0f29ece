"""The time and memory to expect of stacks: from records of the same kind, else from a few measured batches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset

from harness.data.batches import Encoded
from harness.data.encode import encode
from harness.data.sources import rows_of, test_sets
from harness.data.splits import split_rows
from harness.model.checkpoint import encoder_of, tokenizer_of
from harness.model.classifier import Classifier
from harness.model.heads import HEADS
from harness.model.methods import METHODS
from harness.records.record import Record, canonical
from harness.sweeps.resolve import Run
from harness.sweeps.stack import build_classifier
from harness.sweeps.stacks import PADDED, shared_settings
from harness.tasks.protocols import scored_sets
from harness.training.device import PeakMemory, device_title
from harness.training.estimate import StackMemory, StackPace, memory_bound, stack_memory, stack_pace
from harness.training.frozen_states import state_bytes, stored_bytes
from harness.training.loop import evaluation_tokens

_MEASURING_SECONDS = 20.0  # after these, a stack takes the pace of one that is like it but for task or size
_PADDING = 0.04  # share of padding in the batches of a split, at most 5 %
_TOKEN_BYTES = 8  # of a row's padded ids and token types
_SAMPLE, _LONGEST = 256, 32  # training rows that are tokenised: at random, and those of the most characters


@dataclass(frozen=True)
class Expected:
    """`seconds` of training and evaluation, None where not known; `basis` says from what: `recorded`, `measured`,
    `scaled`, `unknown`, or `baseline` for a run without an encoder. `peak_bytes` are the process's on a CPU, of the
    device's memory on a GPU; None for a baseline.
    """

    seconds: float | None
    basis: str
    peak_bytes: int | None


@dataclass(frozen=True)
class _Work:
    """The rows of a stack: how many train in an epoch and how many each run is scored on (or predicts) at the end.

    They are what batches are made of: for spans windows, of which each question is taken to have as many as those of
    the sample. `sample` are training rows at random; `longest` is the number of tokens of the longest row.
    """

    train_rows: int
    scored_rows: int
    sample: Encoded
    longest: int


class StackNeeds:
    """The memory that stacks need on a device, or on devices of the type `target`, from their shapes and their rows."""

    def __init__(self, device: torch.device, target: str | None = None) -> None:
        self.device, self.target = device, target or device.type
        self._works: dict[str, _Work] = {}
        self._memory: dict[_Shape, tuple[StackMemory, tuple[int, int]]] = {}

    def growth(self, stack: Sequence[Run]) -> int:
        """The bytes by which what the process holds grows while these runs train at once."""
        work, (rows, tokens) = self.work(stack[0]), self._batch(stack)
        memory, (per_row, per_token) = self._memory_of_few(stack)
        states = per_row * work.train_rows + per_token * work.train_rows * work.sample.lengths.mean()
        peak = memory.of(len(stack)).peak(rows, work.longest, tokens)
        return int(peak + self._held(work) + stored_bytes(states, self.target))

    def bound(self, stack: Sequence[Run]) -> int:
        """More than `growth`, in a hundredth of its time: no classifier is built and tried."""
        first, work, (rows, tokens) = stack[0], self.work(stack[0]), self._batch(stack)
        encoder = encoder_of(first.checkpoint)
        peak = memory_bound(
            encoder,
            replicas=len(stack),
            size=max(largest_number(vars(run.config.method)) for run in stack),
            rows=rows,
            width=work.longest,
            evaluated=tokens,
            device=self.target,
        )
        states = 4 * encoder.config.hidden_size * work.train_rows * work.longest
        return peak + self._held(work) + states

    def tokens(self, stack: Sequence[Run]) -> float:
        """The tokens that these runs, of one stack, train on in all their epochs; 0 for runs without an encoder."""
        first = stack[0]
        if first.checkpoint is None:
            return 0.0
        work = self.work(first)
        return len(stack) * first.config.train.epochs * work.train_rows * float(work.sample.lengths.mean())

    def _batch(self, stack: Sequence[Run]) -> tuple[int, int]:
        """The rows of a step, of all replicas together, and the tokens of a batch without gradients."""
        settings = stack[0].config.train
        rows = min(settings.micro_batch_size or settings.batch_size, self.work(stack[0]).train_rows)
        return len(stack) * rows, evaluation_tokens(settings, torch.device(self.target))

    def _held(self, work: _Work) -> int:
        """The bytes of the rows of a stack as tokens."""
        return _TOKEN_BYTES * work.longest * (work.train_rows + work.scored_rows)

    def _memory_of_few(self, stack: Sequence[Run]) -> tuple[StackMemory, tuple[int, int]]:
        """The memory of one run, or of two of the largest, which is that of all; and what frozen states take per row
        and per token. In a stack a run keeps more than alone, where fewer products are batched.
        """
        names = METHODS[stack[0].config.method.name].per_replica or ()
        largest = max(stack, key=lambda run: [v for v in map(vars(run.config.method).get, names) if isinstance(v, int)])
        few = [largest] * min(2, len(stack))
        shape = _shape(few)
        if shape not in self._memory:
            bf16 = largest.precision == "bf16"
            with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
                classifier = build_classifier(few, self.device, bf16=bf16)
                counted = stack_memory(classifier, bf16=bf16)
            self._memory[shape] = replace(counted, device=self.target), state_bytes(classifier)
        return self._memory[shape]

    def work(self, run: Run) -> _Work:
        data, protocol = run.config.data, asdict(run.config.protocol)
        limits = {"max_train_rows": data.max_train_rows, "max_eval_rows": data.max_eval_rows}
        key = canonical([run.identity["task"], run.fingerprint, protocol, limits, run.config.train.max_length])
        if key not in self._works:
            rows = split_rows(rows_of(run.data, run.task), run.task, protocol, **limits)
            tests = test_sets(run.data, run.task).values() if run.config.protocol.predict_test else ()
            sample, longest = self._sample(rows["train"], run)
            per_row = len(sample) / sample.rows
            scored = [len(rows[name]) for name in scored_sets(protocol["name"], run.task)] + list(map(len, tests))
            self._works[key] = _Work(
                train_rows=round(len(rows["train"]) * per_row),
                scored_rows=round(sum(scored) * per_row),
                sample=sample,
                longest=longest,
            )
        return self._works[key]

    def _sample(self, rows: Dataset, run: Run) -> tuple[Encoded, int]:
        """Some training rows as tokens, and the number of tokens of the longest row."""
        columns = [list(rows[column]) for column in run.task.columns]
        characters = np.array([sum(map(len, texts)) for texts in zip(*columns, strict=True)])
        chosen = np.random.default_rng(0).permutation(len(rows))[:_SAMPLE]
        sample, longest = (
            encode(
                rows.select(numbers),
                run.task,
                tokenizer_of(run.checkpoint),
                max_length=run.config.train.max_length,
                cache_dir=None,  # a dry run writes nothing
                device=str(self.device),
            )
            for numbers in (chosen, np.argsort(-characters)[:_LONGEST])
        )
        return sample, int(longest.lengths.max())


class Expectations:
    """What stacks are going to need on a device.

    `records` are those of the results folder. With `measure=False`, for jobs on other machines, times come from
    records only. The process must have resolved the runs: what it holds then is part of the peak on a CPU.
    """

    def __init__(self, records: Iterable[Record], needs: StackNeeds, *, measure: bool = True) -> None:
        self.needs, self.device, self.measure = needs, needs.device, measure
        self._records = _kinds(records)
        self._paces: dict[tuple[_Shape, str], tuple[StackPace, int]] = {}  # by shape and task: pace, replicas
        self._measured_seconds = 0.0

    def of(self, stacks: Sequence[Sequence[Run]]) -> list[Expected]:
        """One for each stack; those with the most tokens are measured first."""
        works = {
            index: self.needs.work(stack[0]) for index, stack in enumerate(stacks) if stack[0].checkpoint is not None
        }
        order = sorted(works, key=lambda index: -self.needs.tokens(stacks[index]))
        growths = {index: self.needs.growth(stacks[index]) for index in order}
        held = PeakMemory(self.device).read()["peak_bytes"] if self.needs.target == "cpu" else 0
        found = {index: self._expected(stacks[index], works[index], held + growths[index]) for index in order}
        return [found.get(index, Expected(None, "baseline", None)) for index in range(len(stacks))]

    def _expected(self, stack: Sequence[Run], work: _Work, peak: int) -> Expected:
        settings, shape = stack[0].config.train, _shape(stack)
        record = self._records.get(_kind(stack))
        if record is not None and (not self.measure or record["provenance"]["device"] == device_title(self.device)):
            return Expected(_seconds_like(record, settings.epochs, work), "recorded", peak)
        found = self._pace(stack, shape, work)
        if found is None:
            return Expected(None, "unknown", peak)
        pace, basis = found
        return Expected(_seconds(stack, work, pace), basis, peak)

    def _pace(self, stack: Sequence[Run], shape: _Shape, work: _Work) -> tuple[StackPace, str] | None:
        """The pace of a stack, and whether it was `measured` or `scaled` from one that is like it."""
        task = stack[0].task.name
        if (shape, task) in self._paces:
            return self._paces[shape, task][0], "measured"
        if not self.measure:
            return None
        alike = [key for key in self._paces if key[0] == shape]
        alike = alike or [key for key in self._paces if key[0].method == shape.method]
        if alike and self._measured_seconds > _MEASURING_SECONDS:
            pace, replicas = self._paces[alike[0]]
            return replace(pace, train=pace.train * len(stack) / replicas), "scaled"
        started = time.perf_counter()
        first = stack[0]
        head = HEADS[first.task.kind.name]
        pace = stack_pace(
            self._built(stack), work.sample, first.config.train, head=head, bf16=first.precision == "bf16"
        )
        self._measured_seconds += time.perf_counter() - started
        self._paces[shape, task] = pace, len(stack)
        return pace, "measured"

    def _built(self, stack: Sequence[Run]) -> Classifier:
        return build_classifier(stack, self.device, bf16=stack[0].precision == "bf16")


def largest_number(options: Any) -> int:
    """The largest whole number among nested options: no size of a method is larger."""
    if isinstance(options, Mapping):
        options = list(options.values())
    if isinstance(options, list | tuple):
        return max(map(largest_number, options), default=0)
    return options if isinstance(options, int) else 0


class _Shape(NamedTuple):
    """What a stack's products depend on, whatever its task, rows and rates; `method` is the part that a pace may be
    scaled within.
    """

    method: str
    rest: str


def _shape(stack: Sequence[Run]) -> _Shape:
    first = stack[0]
    settings = shared_settings(first.identity)
    train = [settings["train"][name] for name in ("batch_size", "dropout", "optimizer")]
    size = max(getattr(run.config.method, name, 0) for run in stack for name in PADDED)
    method = [first.config.method.name, first.checkpoint.fingerprint, first.precision]
    outputs = first.task.kind.outputs
    return _Shape(canonical(method), canonical([settings["method"], train, size, len(stack), outputs]))


def _kind(stack: Sequence[Run]) -> str:
    """Equal for stacks that take equally long per row."""
    first = stack[0]
    return _kind_of(first.identity, first.checkpoint.fingerprint, first.fingerprint, len(stack))


def _kinds(records: Iterable[Record]) -> dict[str, Record]:
    """The records that say how long a stack took, by its kind."""
    return {
        _kind_of(
            record["config"],
            record["encoder"]["fingerprint"],
            record["data"]["fingerprint"],
            len(record["training"]["stack"]),
        ): record
        for record in records
        if record["status"] == "completed" and "encoder" in record and record["config"]["method"]["name"] in METHODS
    }


def _kind_of(config: Mapping[str, Any], encoder: str, data: str, replicas: int) -> str:
    settings = shared_settings(config)
    train = settings["train"] | {"epochs": None}
    return canonical([settings["task"], settings["method"], train, encoder, data, replicas])


def _seconds_like(record: Record, epochs: int, work: _Work) -> float:
    """The seconds of a stack of the record's kind, with other numbers of epochs and rows."""
    spent, rows = record["time"], record["data"]["rows"]
    per_row = len(work.sample) / work.sample.rows  # a record counts questions, but windows among `examples`
    scored = per_row * sum(count for name, count in rows.items() if name != "train")
    train = spent["train_seconds"] * epochs * work.train_rows / record["training"]["examples"]
    return train + spent["evaluate_seconds"] * work.scored_rows / scored


def _seconds(stack: Sequence[Run], work: _Work, pace: StackPace) -> float:
    first, settings = stack[0], stack[0].config.train
    passes = settings.epochs if settings.evaluate_every_epoch else 1
    if settings.evaluate_spans:
        layers = encoder_of(first.checkpoint).config.num_hidden_layers
        passes += layers * (layers + 1) // 2
    per_row = (
        work.train_rows * (settings.epochs * pace.train + pace.once)
        + len(stack) * passes * work.scored_rows * pace.evaluate
    )
    return per_row * float(work.sample.lengths.mean()) / (1 - _PADDING)
