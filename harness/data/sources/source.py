"""What a data source is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from datasets import DatasetDict

from harness.tasks.task import Task


@dataclass(frozen=True)
class Settings:
    """What the config (`data`) and the environment say about a source."""

    path: str | None
    revision: str | None
    environ: Mapping[str, str]


class Source(Protocol):
    """Where the rows of tasks come from. Sources are hashable and compare by what they are made of.

    `name` is the value of `data.source`, `why` one line for the user. `is_glue` is false for rows that are not GLUE's,
    whatever their task is called: scores on them say nothing about GLUE.
    """

    name: ClassVar[str]
    is_glue: ClassVar[bool]
    why: str

    @classmethod
    def make(cls, settings: Settings) -> Source:
        """The source that the settings ask for; `UserError` where they do not suffice."""

    def check(self, task: Task) -> None:
        """Find out before any training that `load` would fail; raises `UserError`."""

    def fingerprint(self, task: Task) -> str:
        """What names the task's rows in a run id: equal fingerprints mean equal rows. Does not load them."""

    def load(self, task: Task) -> DatasetDict:
        """The task's rows, with the columns of `harness.data.columns`. Raises `UserError`.

        Splits are "train", each of `task.evaluation_sets`, and those of `task.test_sets` that exist; their gold labels
        are `task.kind.unlabelled`, and their idx is what a submission to the benchmark numbers rows with.
        """
