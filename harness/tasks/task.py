"""What a task is: its texts, its kind, its labels, how it is scored, and which splits it has."""

from __future__ import annotations

from dataclasses import dataclass, field


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
