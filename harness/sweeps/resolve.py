"""Configs to runs: every value is checked, and everything that it names resolved, before any long work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from transformers import PretrainedConfig

from harness.config import RunConfig, check, check_sweep
from harness.data.sources import checked_fingerprint, find_rows, rows_of, test_sets
from harness.data.sources.source import Source
from harness.data.windows import check_questions
from harness.errors import UserError
from harness.method_config import AdapterConfig, MethodConfig
from harness.model.budget import budget_line, chosen_size, with_size, within_budget
from harness.model.checkpoint import (
    Checkpoint,
    encoder_of,
    find_checkpoint,
    longest_input,
    tokenizer_of,
)
from harness.model.heads import HEADS
from harness.model.parameters import count
from harness.model.pooling import resolve_pooling
from harness.records.method_title import size_key
from harness.records.schema import SCHEMA, Record
from harness.sweeps.run_id import identity, run_id
from harness.tasks.glue import find_task
from harness.tasks.protocols import selection_split, task_under
from harness.tasks.task import Task
from harness.tracking.stack_tracking import check_trackers
from harness.training.device import pick_device, pick_precision


@dataclass(frozen=True)
class Run:
    """A checked config with everything that it names resolved; `id` is its run id.

    `checkpoint` is None for a method without an encoder, `pooling` where it is what `model.pooling=auto` gives.
    """

    id: str
    config: RunConfig
    task: Task
    data: Source
    fingerprint: str
    checkpoint: Checkpoint | None
    precision: str
    pooling: str | None = None

    def record(self, status: str, **entries: Any) -> Record:
        """A record of this run with that status."""
        head = {"schema": SCHEMA, "run_id": self.id, "status": status, "error": None, "degenerate": False}
        return head | {"config": self.identity} | entries

    @property
    def identity(self) -> dict[str, Any]:
        """The record's `config`."""
        return identity(
            self.config,
            task=self.task,
            source=self.data.name,
            model=None if self.checkpoint is None else self.checkpoint.name,
            precision=self.precision,
            pooling=self.pooling,
        )

    @property
    def data_title(self) -> str:
        """Where the rows come from and why, and that they are not GLUE's where that is not plain from the task."""
        is_named = self.data.is_glue or self.task.kind.name == "span"  # which says itself what it is not
        return f"{self.data.name} ({self.data.why}){'' if is_named else ' - NOT GLUE'}"

    @property
    def selection_split(self) -> str:
        return selection_split(self.config.protocol.name, self.task)

    @property
    def has_test_sets(self) -> bool:
        return bool(test_sets(self.data, self.task))


def resolve(configs: Iterable[RunConfig], *, here: bool = True) -> list[Run]:
    """Check the configs of one sweep and what they name, before any long work; one run per config, in their order.

    `here=False` leaves the device alone: the runs are for another machine, and name their precision.

    Raises `UserError` for the first mistake: a value out of range, an option in which runs of a sweep cannot differ,
    data or a checkpoint that do not exist, a device or precision that this machine lacks.
    """
    configs = list(configs)
    for config in configs:
        check(config)
    check_sweep(configs)
    for config in configs:
        check_trackers(config.tracker)
    runs = []
    for config in configs:
        if here:
            device = pick_device(config.device)
            if config.cuda_graphs and device.type != "cuda":
                raise UserError(f"cuda_graphs=true needs a GPU and the device is {device}; set cuda_graphs=false")
        if not config.method.has_encoder:
            precision = "fp32"
        elif here:
            precision = "bf16" if pick_precision(config.train.precision, device) else "fp32"
        else:
            precision = config.train.precision
        task = task_under(config.protocol.name, find_task(asdict(config.task)))
        data, task = find_rows(config.data.source, config.data.path, config.data.revision, task)
        fingerprint = checked_fingerprint(data, task)
        if config.protocol.predict_test:
            test_sets(data, task)
        checkpoint = _checkpoint_for(config, task)
        pooling = None
        if checkpoint is not None:
            pooling = _own_pooling(config, task, checkpoint)
            config = replace(config, method=_fitting_method(config, task, checkpoint))
        if task.kind.name == "span":
            _check_questions(data, task, checkpoint, config.train.max_length)
        run = Run("", config, task, data, fingerprint, checkpoint, precision, pooling)
        encoder = checkpoint and checkpoint.fingerprint
        runs.append(replace(run, id=run_id(run.identity, data=fingerprint, encoder=encoder)))
    return runs


def _checkpoint_for(config: RunConfig, task: Task) -> Checkpoint | None:
    """The checkpoint of a run, None for a method without an encoder; `UserError` where config or task do not fit it."""
    train, method = config.train, config.method.name
    if train.evaluate_spans and not isinstance(config.method, AdapterConfig):
        raise UserError(f"train.evaluate_spans=true removes adapters and method={method} has none; set it to false")
    if not config.method.has_encoder:
        if config.method.budget is not None:
            raise UserError(
                f"method.budget={config.method.budget} is about an encoder and method={method} has none; "
                "leave method.budget out for it"
            )
        if task.kind.name == "span":
            raise UserError(f"method={method} cannot find spans in a text, as {task.title} asks; choose another method")
        if train.save != "none":
            raise UserError(
                f"train.save={train.save} keeps what was trained in an encoder and method={method} has none; set it to "
                "none, or leave this method to a command of its own"
            )
        return None
    checkpoint = _checkpoint(config.model.name, config.model.revision)
    _check_length(config, checkpoint)
    return checkpoint


def _fitting_method(config: RunConfig, task: Task, checkpoint: Checkpoint) -> MethodConfig:
    """The method with the size that its budget allows; `UserError` where it or its budget does not fit the encoder."""
    shape, outputs, has_pooler = _counted_shape(config, task, checkpoint)
    method = within_budget(shape, config.method, outputs, has_pooler=has_pooler)
    # Counting its parameters applies the method to an encoder without weights, which raises what training would raise:
    # more layers than it has, options that peft refuses.
    count(shape, method, 2, has_pooler=has_pooler)
    return method


def budget_lines(runs: Iterable[Run]) -> list[str]:
    """What the budgets of some runs came to, a line for each size and count that were chosen, and where the heads of
    tasks made the sizes of one method differ, which budget would not.
    """
    lines, chosen = [], {}
    for run in runs:
        method = run.config.method
        if method.budget is not None:
            shape, outputs, has_pooler = _counted_shape(run.config, run.task, run.checkpoint)
            lines.append(budget_line(shape, method, outputs, has_pooler=has_pooler))
            trained = count(shape, method, outputs, has_pooler=has_pooler)["trained"]
            rest = repr(with_size(method, size_key(asdict(method)), 1))
            chosen.setdefault(rest, []).append((chosen_size(method), trained, method.budget))
    for found in chosen.values():
        smallest = min(size for size, _, _ in found)
        if any(size > smallest for size, _, _ in found):
            same = max(trained for size, trained, _ in found if size == smallest)
            lines.append(
                f"method.budget={found[0][2]}: the heads of the tasks lead to sizes that differ, each a row of its own "
                f"in tables; method.budget={same} leads to {smallest} for all"
            )
    return list(dict.fromkeys(lines))


def _counted_shape(config: RunConfig, task: Task, checkpoint: Checkpoint) -> tuple[PretrainedConfig, int, bool]:
    """What parameters are counted of: the encoder's config, the numbers of its head, and whether it has a pooler."""
    encoder = encoder_of(checkpoint)
    reads_pooler = resolve_pooling(config.model.pooling, encoder) == "pooler"
    return encoder.config, task.kind.outputs, reads_pooler and not HEADS[task.kind.name].reads_all_tokens


def _own_pooling(config: RunConfig, task: Task, checkpoint: Checkpoint) -> str | None:
    """The pooling of a run, None where it is what `auto` gives: a run has one id whichever way it is asked for.

    `UserError` for one that the checkpoint or the task's head does not have.
    """
    encoder = encoder_of(checkpoint)
    pooling = resolve_pooling(config.model.pooling, encoder)
    if HEADS[task.kind.name].reads_all_tokens and config.model.pooling != "auto":
        raise UserError(
            f"model.pooling={pooling}: the head of {task.title} is applied to every token; leave it at auto"
        )
    return None if pooling == resolve_pooling("auto", encoder) else pooling


def _check_length(config: RunConfig, checkpoint: Checkpoint) -> None:
    limit = longest_input(encoder_of(checkpoint))
    if config.train.max_length > limit:
        raise UserError(
            f"train.max_length={config.train.max_length} is more than the {limit} positions of {checkpoint.title}; "
            f"choose at most {limit}"
        )


@cache
def _check_questions(data: Source, task: Task, checkpoint: Checkpoint, max_length: int) -> None:
    """`UserError` for a question of a labelled split that is too long for windows of `max_length` tokens."""
    for split in task.labelled_splits:
        rows = rows_of(data, task)[split]
        check_questions(
            rows["sentence1"],
            tokenizer_of(checkpoint),
            max_length=max_length,
            stride=task.kind.stride,
            where=f"{task.title} {split}",
            name=lambda row, rows=rows: rows["id"][row],
        )


@cache
def _checkpoint(name: str, revision: str | None) -> Checkpoint:
    checkpoint = find_checkpoint(name, revision)
    tokenizer_of(checkpoint)
    encoder_of(checkpoint)
    return checkpoint
