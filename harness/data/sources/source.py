"""The interface of data sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from datasets import DatasetDict

from harness.tasks.task import Task


@dataclass(frozen=True)
class Settings:
    """What the config (`data`) and the environment say about the source."""

    path: str | None
    revision: str | None
    environ: Mapping[str, str]


class Source(Protocol):
    """Where the rows of tasks come from. Sources are hashable, and equal if their fields are.

    `name` is the value of `data.source`, `why` tells the user in one line how the source was chosen. `is_glue` is
    false for rows that are not GLUE's, whatever their task is called: scores on them say nothing about GLUE.
    """

    name: ClassVar[str]
    is_glue: ClassVar[bool]
    why: str

    @classmethod
    def make(cls, settings: Settings) -> Source:
        """The source that the settings describe; `UserError` where they are incomplete."""

    def check(self, task: Task) -> None:
        """Raise `UserError` if `load` would fail; called before any training."""

    def fingerprint(self, task: Task) -> str:
        """Identifies the task's rows in run ids: equal fingerprints mean equal rows. Does not load them."""

    def load(self, task: Task) -> DatasetDict:
        """The task's rows, with the columns of `harness.data.columns`. Raises `UserError`.

        Splits are "train", each of `task.evaluation_sets`, and those of `task.test_sets` that exist. In test sets, the
        gold labels are `task.kind.unlabelled`, and `idx` is the row's number in a submission to the benchmark.
        """
