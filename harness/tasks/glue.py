"""The GLUE tasks as data: columns, labels, metrics, evaluation sets and file names (paper section 3.2; GLUE)."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import UserError
from harness.tasks.task import LocalFiles, Task

_SENTENCES = ("sentence1", "sentence2")
_TWO_WAY = ("entailment", "not_entailment")
_THREE_WAY = ("entailment", "neutral", "contradiction")

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "cola", "CoLA", ("sentence",), ("unacceptable", "acceptable"), ("matthews_correlation", "accuracy"),
            "matthews_correlation", LocalFiles("CoLA", (3,), 1, ("sentence",)),
        ),
        Task(
            "sst2", "SST-2", ("sentence",), ("negative", "positive"), ("accuracy",),
            "accuracy", LocalFiles("SST-2", ("sentence",), "label", ("sentence",)),
        ),
        Task(
            "mrpc", "MRPC", _SENTENCES, ("not_equivalent", "equivalent"), ("f1", "accuracy"),
            "f1", LocalFiles("MRPC", ("#1 String", "#2 String"), "Quality", ("#1 String", "#2 String")),
        ),
        Task(
            "stsb", "STS-B", _SENTENCES, (), ("spearman", "pearson"),
            "spearman", LocalFiles("STS-B", _SENTENCES, "score", _SENTENCES),
        ),
        Task(
            "qqp", "QQP", ("question1", "question2"), ("not_duplicate", "duplicate"), ("f1", "accuracy"),
            "f1", LocalFiles("QQP", ("question1", "question2"), "is_duplicate", ("question1", "question2")),
        ),
        Task(
            "mnli", "MNLI", ("premise", "hypothesis"), _THREE_WAY, ("accuracy",), "accuracy",
            LocalFiles(
                "MNLI", _SENTENCES, "gold_label", _SENTENCES,
                {
                    "train": "train",
                    "validation_matched": "dev_matched",
                    "validation_mismatched": "dev_mismatched",
                    "test_matched": "test_matched",
                    "test_mismatched": "test_mismatched",
                },
            ),
            ("validation_matched", "validation_mismatched"), ("test_matched", "test_mismatched"),
        ),
        Task(
            "qnli", "QNLI", ("question", "sentence"), _TWO_WAY, ("accuracy",),
            "accuracy", LocalFiles("QNLI", ("question", "sentence"), "label", ("question", "sentence")),
        ),
        Task(
            "rte", "RTE", _SENTENCES, _TWO_WAY, ("accuracy",),
            "accuracy", LocalFiles("RTE", _SENTENCES, "label", _SENTENCES),
        ),
        Task(
            "wnli", "WNLI", _SENTENCES, ("not_entailment", "entailment"), ("accuracy",),
            "accuracy", LocalFiles("WNLI", _SENTENCES, "label", _SENTENCES), in_mean=False,
        ),
    )
}  # fmt: skip

# GLUE's diagnostic set: no task of its own, the MNLI model predicts it.
AX = Task(
    "ax", "AX", ("premise", "hypothesis"), _THREE_WAY, ("accuracy",), "accuracy",
    LocalFiles("diagnostic", _SENTENCES, "gold_label", _SENTENCES, {"test": "diagnostic"}),
    evaluation_sets=(), in_mean=False,
)  # fmt: skip
DIAGNOSTICS: dict[str, Task] = {"mnli": AX}

# Rows of each split of the official release, as on the hub (nyu-mll/glue): files that have others were cut.
OFFICIAL_ROWS: dict[str, dict[str, int]] = {
    "cola": {"train": 8_551, "validation": 1_043, "test": 1_063},
    "sst2": {"train": 67_349, "validation": 872, "test": 1_821},
    "mrpc": {"train": 3_668, "validation": 408, "test": 1_725},
    "stsb": {"train": 5_749, "validation": 1_500, "test": 1_379},
    "qqp": {"train": 363_846, "validation": 40_430, "test": 390_965},
    "mnli": {
        "train": 392_702,
        "validation_matched": 9_815,
        "validation_mismatched": 9_832,
        "test_matched": 9_796,
        "test_mismatched": 9_847,
    },
    "qnli": {"train": 104_743, "validation": 5_463, "test": 5_463},
    "rte": {"train": 2_490, "validation": 277, "test": 3_000},
    "wnli": {"train": 635, "validation": 71, "test": 146},
    "ax": {"test": 1_104},
}


def cut_splits(task_name: str, available: Mapping[str, int]) -> tuple[str, ...]:
    """The splits in `available` (rows per split) that do not have the official number of rows: none for complete files.

    A task that is not of GLUE has no official splits, so that none of its splits is cut.
    """
    official = OFFICIAL_ROWS.get(task_name, {})
    return tuple(name for name, rows in available.items() if name in official and rows != official[name])


def get_task(name: str) -> Task:
    """The task of that id; `UserError` lists the known ones."""
    try:
        return TASKS[name]
    except KeyError:
        raise UserError(f"task={name!r} is not a GLUE task; choose one of {', '.join(TASKS)}") from None
