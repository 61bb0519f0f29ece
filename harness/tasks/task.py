"""What a task is, and tasks that are described by their settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import UserError
from harness.tasks.kinds import Kind, make_kind
from harness.tasks.metrics import METRICS


@dataclass(frozen=True)
class Task:
    """One task. `text` are its one or two text columns as users name them; `kind` knows labels and answers.

    Runs are scored on `evaluation_sets`, the first of which is the selection split unless rows are held out;
    `test_sets` are only predicted. `headline` is the metric that ranks runs and that tables show.
    """

    name: str
    title: str
    kind: Kind
    text: tuple[str, ...]
    metrics: tuple[str, ...]
    headline: str
    evaluation_sets: tuple[str, ...] = ("validation",)
    test_sets: tuple[str, ...] = ("test",)
    in_mean: bool = True  # the paper excludes WNLI

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits; a diagnostic set has only a test set."""
        return ("train", *self.evaluation_sets, *self.test_sets) if self.evaluation_sets else self.test_sets

    @property
    def columns(self) -> tuple[str, ...]:
        """Text columns as every source delivers them."""
        return ("sentence1", "sentence2")[: len(self.text)]

    def column_title(self, evaluation_set: str) -> str:
        """`CoLA`, or `MNLI-m` and `MNLI-mm`, which the paper counts as two tasks."""
        suffix = {"validation_matched": "-m", "validation_mismatched": "-mm"}
        return self.title + suffix.get(evaluation_set, "")


def describe(task: Task) -> dict[str, Any]:
    """The settings from which `task_from` makes an equal task, as plain values; records carry them."""
    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind.name,
        "text": list(task.text),
        "labels": list(task.kind.labels),
        "metrics": list(task.metrics),
        "headline": task.headline,
        "evaluation_sets": list(task.evaluation_sets),
        "test_sets": list(task.test_sets),
    }


def task_from(settings: Mapping[str, Any]) -> Task:
    """The task that settings describe: `name`, `kind`, and whatever differs from the defaults.

    By default the title is the name, the text column `sentence`, the metrics are those of the kind with the first as
    headline, and the sets are validation and test. Raises `UserError` that names the wrong setting.
    """
    name = str(settings["name"])
    if not re.fullmatch("[a-z0-9][a-z0-9_]*", name):
        raise UserError(f"task.name={name}: use lower-case letters, digits and underscores")
    kind = make_kind(settings["kind"], settings)
    text = tuple(settings.get("text") or ("sentence",))
    if len(text) > 2:
        raise UserError(f"task.text={list(text)}: a task has one or two text columns")
    headline = settings.get("headline")
    metrics = tuple(settings.get("metrics") or ([headline] if headline else kind.default_metrics))
    for metric in metrics:
        if metric not in METRICS or METRICS[metric].kind != kind.name:
            known = ", ".join(other.name for other in METRICS.values() if other.kind == kind.name)
            raise UserError(f"task.metrics: {metric} is not a metric for {kind.name} tasks; choose from {known}")
        if METRICS[metric].labels not in (None, len(kind.labels)):
            raise UserError(f"task.metrics: {metric} needs a task with {METRICS[metric].labels} labels; use macro_f1")
    if headline is not None and headline not in metrics:
        raise UserError(f"task.headline={headline} is not one of task.metrics={list(metrics)}")
    sets = {
        part: tuple(settings.get(part) or (default,))
        for part, default in (("evaluation_sets", "validation"), ("test_sets", "test"))
    }
    return Task(name, settings.get("title") or name, kind, text, metrics, headline or metrics[0], **sets)
