"""What a task is, and tasks that are described by their settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UserError
from harness.tasks.kinds import SPAN_OPTIONS, Kind, make_kind
from harness.tasks.metrics import METRICS
from harness.tasks.reading import Reading, describe_reading, label_names, reading_from


@dataclass(frozen=True)
class Task:
    """One task. `text` are its one or two text columns as users name them; `kind` knows labels and answers.

    Runs are scored on `evaluation_sets`, the first of which is the selection split unless rows are held out;
    `test_sets` are only predicted. `headline` is the metric that ranks runs and that tables show. `reading` says where
    the rows of a task lie that brings its own. `selection_set`: under the protocol `test`, the split that selects
    runs and is not reported.
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
    reading: Reading | None = None
    selection_set: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits; a diagnostic set has only a test set."""
        return (*self.labelled_splits, *self.test_sets) if self.evaluation_sets else self.test_sets

    @property
    def labelled_splits(self) -> tuple[str, ...]:
        """The splits whose gold labels are known: `train`, what selects and what is reported."""
        selecting = () if self.selection_set is None else (self.selection_set,)
        return ("train", *selecting, *self.evaluation_sets)

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
    settings = {
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
    settings |= task.kind.describe()
    if task.selection_set is not None:
        settings["selection_set"] = task.selection_set
    return settings if task.reading is None else settings | describe_reading(task.reading)


def task_from(settings: Mapping[str, Any]) -> Task:
    """The task that settings describe: `name`, `kind`, and whatever differs from the defaults.

    By default the title is the name, the text column `sentence`, the metrics are those of the kind with the first as
    headline, and the sets are validation and test. Labels may be left out where the task brings its own rows: they
    are found there (`with_labels`). Raises `UserError` that names the wrong setting.
    """
    name = str(settings["name"])
    if not re.fullmatch("[a-z0-9][a-z0-9_]*", name):
        raise UserError(f"task.name={name}: use lower-case letters, digits and underscores")
    reading = reading_from(settings)
    options = {key: settings[key] for key in SPAN_OPTIONS if settings.get(key) is not None}
    labels = label_names(settings.get("labels"))
    kind = make_kind(settings["kind"], labels, may_lack_labels=reading is not None, **options)
    text = tuple(str(column) for column in settings.get("text") or kind.default_text)
    if len(text) > 2:
        raise UserError(f"task.text={list(text)}: a task has one or two text columns")
    if kind.name == "span" and (reading is not None or len(text) != 2):
        raise UserError(
            f"task={name}: a span task has the texts question and context, from train-v1.1.json and dev-v1.1.json in "
            "data.path; leave out task.file, task.files and task.hub"
        )
    headline = settings.get("headline")
    metrics = tuple(settings.get("metrics") or ([headline] if headline else kind.default_metrics))
    for metric in metrics:
        if metric not in METRICS or METRICS[metric].kind != kind.name:
            known = ", ".join(other.name for other in METRICS.values() if other.kind == kind.name)
            raise UserError(f"task.metrics: {metric} is not a metric for {kind.name} tasks; choose from {known}")
    if headline is not None and headline not in metrics:
        raise UserError(f"task.headline={headline} is not one of task.metrics={list(metrics)}")
    has_test = kind.name != "span" and (reading is None or reading.has("test"))
    usual = {"evaluation_sets": ("validation",), "test_sets": ("test",) if has_test else ()}
    sets = {key: usual[key] if settings.get(key) is None else tuple(settings[key]) for key in usual}
    if not sets["evaluation_sets"]:
        raise UserError("task.evaluation_sets=[]: name at least one split on which runs are scored")
    title, selection_set = settings.get("title") or name, settings.get("selection_set")
    task = Task(name, title, kind, text, metrics, headline or metrics[0], **sets, reading=reading)
    return _checked(replace(task, selection_set=selection_set))


def with_labels(task: Task, labels: Iterable[str]) -> Task:
    """A classification task with the labels that its training rows have; `UserError` where they do not fit."""
    return _checked(replace(task, kind=make_kind(task.kind.name, tuple(labels))))


def _checked(task: Task) -> Task:
    """The task, whose metrics fit the number of its labels, if these are known."""
    for metric in task.metrics:
        if task.kind.labels and METRICS[metric].labels not in (None, len(task.kind.labels)):
            raise UserError(f"task.metrics: {metric} needs a task with {METRICS[metric].labels} labels; use macro_f1")
    return task
