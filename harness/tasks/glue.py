"""The GLUE tasks, the layout of their official files, and how many rows those have (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UserError
from harness.tasks.kinds import Classification, Kind, Regression
from harness.tasks.reading import given
from harness.tasks.squad import NAME as SQUAD
from harness.tasks.squad import OFFICIAL_QUESTIONS
from harness.tasks.task import Task, describe, task_from

_SENTENCES = ("sentence1", "sentence2")
_QUESTIONS = ("question1", "question2")
_PREMISE = ("premise", "hypothesis")
_ENTAILMENT = Classification(("entailment", "not_entailment"))
_INFERENCE = Classification(("entailment", "neutral", "contradiction"))


def _glue(name: str, title: str, kind: Kind, text: tuple[str, ...], *metrics: str, **options: Any) -> Task:
    """The first metric is the headline."""
    return Task(name, title, kind, text, metrics, metrics[0], **options)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _glue("cola", "CoLA", Classification(("unacceptable", "acceptable")), ("sentence",),
              "matthews_correlation", "accuracy"),
        _glue("sst2", "SST-2", Classification(("negative", "positive")), ("sentence",), "accuracy"),
        _glue("mrpc", "MRPC", Classification(("not_equivalent", "equivalent")), _SENTENCES, "f1", "accuracy"),
        _glue("stsb", "STS-B", Regression(0, 5), _SENTENCES, "spearman", "pearson"),
        _glue("qqp", "QQP", Classification(("not_duplicate", "duplicate")), _QUESTIONS, "f1", "accuracy"),
        _glue("mnli", "MNLI", _INFERENCE, _PREMISE, "accuracy",
              evaluation_sets=("validation_matched", "validation_mismatched"),
              test_sets=("test_matched", "test_mismatched")),
        _glue("qnli", "QNLI", _ENTAILMENT, ("question", "sentence"), "accuracy"),
        _glue("rte", "RTE", _ENTAILMENT, _SENTENCES, "accuracy"),
        _glue("wnli", "WNLI", Classification(("not_entailment", "entailment")), _SENTENCES, "accuracy", in_mean=False),
    )
}  # fmt: skip

# GLUE's diagnostic set is not a task of its own: the MNLI model predicts it.
AX = _glue("ax", "AX", _INFERENCE, _PREMISE, "accuracy", evaluation_sets=(), in_mean=False)
DIAGNOSTICS: dict[str, Task] = {"mnli": AX}

# Rows of the official files, which the hub's copies have as well; torn lines of QQP are not counted.
OFFICIAL_ROWS: dict[str, dict[str, int]] = {
    "cola": {"train": 8551, "validation": 1043, "test": 1063},
    "sst2": {"train": 67_349, "validation": 872, "test": 1821},
    "mrpc": {"train": 3668, "validation": 408, "test": 1725},
    "stsb": {"train": 5749, "validation": 1500, "test": 1379},
    "qqp": {"train": 363_846, "validation": 40_430, "test": 390_965},
    "mnli": {
        "train": 392_702,
        "validation_matched": 9815,
        "validation_mismatched": 9832,
        "test_matched": 9796,
        "test_mismatched": 9847,
    },
    "qnli": {"train": 104_743, "validation": 5463, "test": 5463},
    "rte": {"train": 2490, "validation": 277, "test": 3000},
    "wnli": {"train": 635, "validation": 71, "test": 146},
    "ax": {"test": 1104},
}


def cut_splits(task_name: str, available: Mapping[str, int]) -> tuple[str, ...]:
    """The splits in `available` {split: rows} whose number of rows is not the official one.

    Empty for complete files. Splits that GLUE does not have, and tasks other than GLUE's and SQuAD are never cut.
    """
    official = OFFICIAL_QUESTIONS if task_name == SQUAD else OFFICIAL_ROWS.get(task_name, {})
    return tuple(split for split, rows in available.items() if split in official and rows != official[split])


@dataclass(frozen=True)
class GlueFiles:
    """The layout of one task in the official download (`<GLUE_DIR>/<folder>/<file>.tsv`).

    `text` and `label` are header names, or column numbers where the train and dev files have no header (CoLA).
    `test_text` are header names of the test file, which always has a header; `files` are file stems by split.
    """

    folder: str
    text: tuple[str | int, ...]
    label: str | int
    test_text: tuple[str, ...]
    files: dict[str, str] = field(default_factory=lambda: {"train": "train", "validation": "dev", "test": "test"})

    @property
    def has_header(self) -> bool:
        return isinstance(self.label, str)


_MNLI_FILES = {
    "train": "train",
    "validation_matched": "dev_matched",
    "validation_mismatched": "dev_mismatched",
    "test_matched": "test_matched",
    "test_mismatched": "test_mismatched",
}
_MRPC_COLUMNS = ("#1 String", "#2 String")

GLUE_FILES: dict[str, GlueFiles] = {
    "cola": GlueFiles("CoLA", (3,), 1, ("sentence",)),
    "sst2": GlueFiles("SST-2", ("sentence",), "label", ("sentence",)),
    "mrpc": GlueFiles("MRPC", _MRPC_COLUMNS, "Quality", _MRPC_COLUMNS),
    "stsb": GlueFiles("STS-B", _SENTENCES, "score", _SENTENCES),
    "qqp": GlueFiles("QQP", _QUESTIONS, "is_duplicate", _QUESTIONS),
    "mnli": GlueFiles("MNLI", _SENTENCES, "gold_label", _SENTENCES, _MNLI_FILES),
    "qnli": GlueFiles("QNLI", ("question", "sentence"), "label", ("question", "sentence")),
    "rte": GlueFiles("RTE", _SENTENCES, "label", _SENTENCES),
    "wnli": GlueFiles("WNLI", _SENTENCES, "label", _SENTENCES),
    "ax": GlueFiles("diagnostic", _SENTENCES, "gold_label", _SENTENCES, {"test": "diagnostic"}),
}


def get_task(name: str) -> Task:
    """The GLUE task of that name; `UserError` lists the known ones."""
    try:
        return TASKS[name]
    except KeyError:
        raise UserError(f"task={name!r} is not a GLUE task; choose one of {', '.join(TASKS)}") from None


def in_glue_order(names: Iterable[str]) -> list[str]:
    """Task names: GLUE's in GLUE's order, then the others sorted."""
    order = list(TASKS)
    return sorted(names, key=lambda name: (order.index(name) if name in TASKS else len(order), name))


def find_task(settings: Mapping[str, Any]) -> Task:
    """The task that settings name or describe: a GLUE task by its name alone, any other with its `kind` and so on.

    `UserError` for an unknown name, for settings that would change a GLUE task, and for bad settings.
    """
    name = settings["name"]
    if len(settings) == 1 and name in TASKS:
        return TASKS[name]
    changes = {key: value for key, value in given(settings).items() if key != "name"}
    if name not in TASKS:
        return task_from(settings) if changes.get("kind") else get_task(name)
    if changes and {"name": name} | changes != describe(TASKS[name]):
        raise UserError(f"task.{next(iter(changes))}: {name} is a GLUE task and cannot be changed; choose another name")
    return TASKS[name]


def task_settings(task: Task) -> dict[str, Any]:
    """What a record says about its task: GLUE tasks by name alone, others in full, so that no reader needs more."""
    return {"name": task.name} if TASKS.get(task.name) == task else describe(task)
