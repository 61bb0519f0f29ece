"""The GLUE tasks as data: columns, labels, metrics, evaluation sets and file names (paper section 3.2; GLUE)."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.errors import UserError


@dataclass(frozen=True)
class LocalFiles:
    """How one task lies in the official download (`<GLUE_DIR>/<folder>/<file>.tsv`).

    `text` and `label` are header names; integers where the train and dev files have no header (CoLA).
    `test_text` are the header names of the test file, which always has a header.
    """

    folder: str
    text: tuple[str | int, ...]
    label: str | int
    test_text: tuple[str, ...]
    # Split name of this project -> file stem.
    files: dict[str, str] = field(default_factory=lambda: {"train": "train", "validation": "dev", "test": "test"})

    @property
    def has_header(self) -> bool:
        return isinstance(self.label, str)


@dataclass(frozen=True)
class Task:
    """One GLUE task. `labels` are the label words in the order of their ids; empty for a regression task."""

    name: str
    title: str
    hub_text: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    headline: str
    local: LocalFiles
    evaluation_sets: tuple[str, ...] = ("validation",)
    test_sets: tuple[str, ...] = ("test",)
    in_mean: bool = True  # the paper leaves WNLI out

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits; a diagnostic set has no other than its test set."""
        return ("train", *self.evaluation_sets, *self.test_sets) if self.evaluation_sets else self.test_sets

    @property
    def is_regression(self) -> bool:
        return not self.labels

    @property
    def outputs(self) -> int:
        """Width of the task head: the number of labels, or 1 for regression."""
        return len(self.labels) or 1

    @property
    def is_pair(self) -> bool:
        return len(self.hub_text) == 2

    @property
    def columns(self) -> tuple[str, ...]:
        """Text columns of this project's interface."""
        return ("sentence1", "sentence2") if self.is_pair else ("sentence1",)

    def column_title(self, evaluation_set: str) -> str:
        """`CoLA`, or `MNLI-m` / `MNLI-mm`: the paper counts these two as two tasks."""
        suffix = {"validation_matched": "-m", "validation_mismatched": "-mm"}
        return self.title + suffix.get(evaluation_set, "")


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


def get_task(name: str) -> Task:
    """The task of that id; `UserError` lists the known ones."""
    try:
        return TASKS[name]
    except KeyError:
        raise UserError(f"task={name!r} is not a GLUE task; choose one of {', '.join(TASKS)}") from None
