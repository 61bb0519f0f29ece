"""Configs to runs: every value checked, and everything that it names resolved, before any long work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from harness.config import AdapterConfig, RunConfig, check
from harness.data.sources import checked_fingerprint, find_source, test_sets
from harness.data.sources.source import Source
from harness.errors import UserError
from harness.model.checkpoint import (
    Checkpoint,
    encoder_of,
    find_checkpoint,
    longest_input,
    tokenizer_of,
)
from harness.model.parameters import count
from harness.records.schema import SCHEMA, Record
from harness.sweeps.run_id import identity, run_id
from harness.tasks.glue import find_task
from harness.tasks.protocols import selection_split
from harness.tasks.task import Task
from harness.training.device import pick_device, pick_precision


@dataclass(frozen=True)
class Run:
    """A checked config with everything that it names resolved; `id` is its run id."""

    id: str
    config: RunConfig
    task: Task
    data: Source
    fingerprint: str
    checkpoint: Checkpoint
    precision: str

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
            model=self.checkpoint.name,
            precision=self.precision,
        )

    @property
    def selection_split(self) -> str:
        return selection_split(self.config.protocol.name, self.task)

    @property
    def has_test_sets(self) -> bool:
        return bool(test_sets(self.data, self.task))


def resolve(configs: Iterable[RunConfig], *, here: bool = True) -> list[Run]:
    """Check every config and what it names, before any long work; one run a config, in their order.

    `here=False` leaves out device and precision: the runs are for another machine.

    Raises `UserError` for the first thing that is wrong: a value out of range, data or a checkpoint that is not
    there, a device or precision that this machine lacks.
    """
    runs = []
    for config in configs:
        check(config)
        if here:
            device = pick_device(config.device)
            if config.cuda_graphs and device.type != "cuda":
                raise UserError(f"cuda_graphs=true needs a GPU and the device is {device}; set cuda_graphs=false")
            precision = "bf16" if pick_precision(config.train.precision, device) else "fp32"
        else:
            precision = config.train.precision
        task = find_task(asdict(config.task))
        data = find_source(config.data.source, config.data.path, config.data.revision)
        fingerprint = checked_fingerprint(data, task)
        if config.protocol.predict_test:
            test_sets(data, task)
        checkpoint = _checkpoint(config.model.name, config.model.revision)
        _check_length(config, checkpoint)
        _check_method(config, checkpoint)
        run = Run("", config, task, data, fingerprint, checkpoint, precision)
        runs.append(replace(run, id=run_id(run.identity, data=fingerprint, encoder=checkpoint.fingerprint)))
    return runs


def _check_length(config: RunConfig, checkpoint: Checkpoint) -> None:
    limit = longest_input(encoder_of(checkpoint))
    if config.train.max_length > limit:
        raise UserError(
            f"train.max_length={config.train.max_length} is beyond the {limit} positions of {checkpoint.title}; "
            f"choose at most {limit}"
        )


def _check_method(config: RunConfig, checkpoint: Checkpoint) -> None:
    """What depends on the encoder: `UserError` for layers that it lacks and for options that peft refuses."""
    if config.train.evaluate_spans and not isinstance(config.method, AdapterConfig):
        raise UserError(
            f"train.evaluate_spans=true removes adapters and method={config.method.name} has none; set it to false"
        )
    encoder = encoder_of(checkpoint)
    count(encoder.config, config.method, 2, has_pooler=getattr(encoder, "pooler", None) is not None)


@cache
def _checkpoint(name: str, revision: str | None) -> Checkpoint:
    checkpoint = find_checkpoint(name, revision)
    tokenizer_of(checkpoint)
    encoder_of(checkpoint)
    return checkpoint
