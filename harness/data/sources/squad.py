"""Where span tasks have their rows: SQuAD v1.1 on the hub, official JSON files in a folder, or synthetic paragraphs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import datasets
from datasets import DatasetDict
from huggingface_hub import HfApi, constants

from harness.data.content import hash_file
from harness.data.sources.hub import DOWNLOAD_SECONDS, from_cache, reason_of, within
from harness.data.sources.source import Settings
from harness.data.sources.synthetic.paragraphs import VERSION, generate
from harness.data.squad_rows import Question, checked, read_json, to_dataset
from harness.errors import UserError
from harness.tasks.squad import FILES
from harness.tasks.task import Task

REPO = "rajpurkar/squad"
CONFIG = "plain_text"
REVISION = "7b6d24c440a36b6815f21b70d25016731768db1f"
_REMEDY = "try again, or use data=local data.path=/folder with train-v1.1.json and dev-v1.1.json, or data=synthetic"


@dataclass(frozen=True)
class SquadFolder:
    """train-v1.1.json and dev-v1.1.json in a folder (`data.path`)."""

    path: str
    why: str
    name: ClassVar[str] = "local"
    is_glue: ClassVar[bool] = False

    @classmethod
    def make(cls, settings: Settings) -> SquadFolder:
        if not settings.path:
            raise UserError("data=local needs data.path=/folder, the one that holds train-v1.1.json and dev-v1.1.json")
        folder = Path(settings.path).expanduser()
        if not folder.is_dir():
            raise UserError(f"data.path={settings.path} is not a folder; give the one that holds train-v1.1.json")
        return cls(str(folder.absolute()), f"data=local data.path={settings.path}")

    def check(self, task: Task) -> None:
        """Raise `UserError` for a file that is missing."""
        for path in self._files():
            if not path.is_file():
                raise UserError(f"{path} is missing; data.path must be the folder that holds it (unpacked)")

    def fingerprint(self, task: Task) -> str:
        """`sha256:<hash of the bytes of both files>`."""
        return f"sha256:{hashlib.sha256(''.join(map(hash_file, self._files())).encode()).hexdigest()}"

    def load(self, task: Task) -> DatasetDict:
        self.check(task)
        paths = zip(FILES, self._files(), strict=True)
        return DatasetDict({split: to_dataset(checked(read_json(path), str(path)), task) for split, path in paths})

    def _files(self) -> list[Path]:
        return [Path(self.path) / name for name in FILES.values()]


@dataclass(frozen=True)
class SquadHub:
    """`rajpurkar/squad` on the hub at one commit (`data.revision`)."""

    revision: str
    why: str
    name: ClassVar[str] = "hub"
    is_glue: ClassVar[bool] = False

    @classmethod
    def make(cls, settings: Settings) -> SquadHub:
        revision = settings.revision or REVISION
        if not re.fullmatch("[0-9a-f]{40}", revision):
            raise UserError(
                f"data.revision={revision} is not a full commit hash of {REPO}; leave it out, or give 40 digits"
            )
        return cls(revision, "data=hub")

    def check(self, task: Task) -> None:
        """Raise `UserError` where this commit is neither in the cache nor on the hub (one request)."""
        if from_cache(REPO, CONFIG, self.revision) is not None:
            return
        if datasets.config.HF_HUB_OFFLINE:
            raise UserError(
                f"{REPO}@{self.revision} is not in the cache and HF_HUB_OFFLINE is set; unset it, or {_REMEDY}"
            )
        seconds = constants.HF_HUB_ETAG_TIMEOUT
        try:
            within(seconds, lambda: HfApi().dataset_info(REPO, revision=self.revision, timeout=seconds))
        except Exception as error:  # errors of several libraries share no base class
            raise self._cannot_load(error) from error

    def fingerprint(self, task: Task) -> str:
        """`rajpurkar/squad@<commit>`: a commit on the hub never changes."""
        return f"{REPO}@{self.revision}"

    def load(self, task: Task) -> DatasetDict:
        self.check(task)
        loaded = from_cache(REPO, CONFIG, self.revision) or self._download()
        found = {}
        for split in FILES:
            where = f"{REPO}@{self.revision} ({split})"
            try:
                rows = loaded[split].select_columns(["id", "title", "context", "question", "answers"])
            except (KeyError, ValueError) as error:
                raise UserError(
                    f"{where} has not the columns of SQuAD ({error}); use the default data.revision"
                ) from None
            questions = [
                Question(
                    row["id"], row["title"], row["question"], row["context"],
                    tuple(row["answers"]["text"]), tuple(row["answers"]["answer_start"]),
                )
                for row in rows
            ]  # fmt: skip
            found[split] = to_dataset(checked(questions, where), task)
        return DatasetDict(found)

    def _download(self) -> DatasetDict:
        try:
            return within(DOWNLOAD_SECONDS, lambda: datasets.load_dataset(REPO, CONFIG, revision=self.revision))
        except Exception as error:  # errors of half a dozen libraries share no base class
            raise self._cannot_load(error) from error

    def _cannot_load(self, error: BaseException) -> UserError:
        return UserError(f"{REPO}@{self.revision} cannot be loaded: {reason_of(error)}; {_REMEDY}")


@dataclass(frozen=True)
class SquadSynthetic:
    """Paragraphs and questions made by rules: they show that a pipeline works, and say nothing about SQuAD."""

    why: str = "data=synthetic: not SQuAD"
    name: ClassVar[str] = "synthetic"
    is_glue: ClassVar[bool] = False

    @classmethod
    def make(cls, _settings: Settings) -> SquadSynthetic:
        return cls()

    def check(self, task: Task) -> None:
        pass

    def fingerprint(self, task: Task) -> str:
        """Changes if and only if the generator's `VERSION` does."""
        return f"synthetic-spans-v{VERSION}"

    def load(self, task: Task) -> DatasetDict:
        return DatasetDict({split: to_dataset(_synthetic(split), task) for split in FILES})


@cache
def _synthetic(split: str) -> list[Question]:
    return checked([Question(*row) for row in generate(split)], f"data=synthetic ({split})")


SPAN_SOURCES = {source.name: source for source in (SquadHub, SquadFolder, SquadSynthetic)}
