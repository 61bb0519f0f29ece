"""GLUE from the Hugging Face hub: the data set `nyu-mll/glue` at one pinned commit."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import datasets
from datasets import ClassLabel, Dataset, DatasetDict
from datasets.packaged_modules.cache.cache import Cache
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from harness.data.columns import features
from harness.data.sources.source import Settings
from harness.errors import UserError
from harness.tasks.glue import GLUE_FILES
from harness.tasks.task import Task

log = logging.getLogger(__name__)

REPO = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"

# QQP, the largest task, is about 70 MB. Without a limit, a server that falls silent half-way would block for ever.
DOWNLOAD_SECONDS = 900

T = TypeVar("T")

_REMEDIES = (
    "try again, or use data=local data.path=/folder/of/GLUE or data=synthetic, "
    "or set HF_ENDPOINT (a mirror) or HF_TOKEN (if it requires a login)"
)


def answers(timeout: float = 3.0) -> bool:
    """Whether the hub (`HF_ENDPOINT`, if set) offers the data set: one request of at most `timeout` seconds."""
    try:
        _ask(REVISION, timeout)
    except Exception as error:  # errors of several libraries share no base class
        log.info("%s cannot be used: %s", constants.ENDPOINT, reason_of(error))
        return False
    return True


@dataclass(frozen=True)
class Hub:
    """GLUE on the Hugging Face hub at one commit (`data.revision`)."""

    revision: str
    why: str
    name: ClassVar[str] = "hub"
    is_glue: ClassVar[bool] = True

    @classmethod
    def make(cls, settings: Settings) -> Hub:
        return cls(settings.revision or REVISION, "data=hub")

    def check(self, task: Task) -> None:
        """Check that `load` can work: this commit was loaded before, or the hub knows it (one request).

        Raises `UserError` otherwise, and where the revision is not a full commit hash: a branch moves, so that runs
        of one id could be made from different rows.
        """
        if task.name not in GLUE_FILES:
            raise UserError(f"task={task.name} is not a GLUE task, and data=hub reads GLUE only ({REPO})")
        if not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise UserError(
                f"data.revision={self.revision!r} is not a full commit hash of {REPO}; give all 40 hexadecimal digits, "
                "or leave it out"
            )
        if _from_cache(task, self.revision) is not None:
            return
        if datasets.config.HF_HUB_OFFLINE:
            raise UserError(
                f"{REPO}@{self.revision} ({task.name}) is not in the cache and HF_HUB_OFFLINE (or HF_DATASETS_OFFLINE) "
                "is set; unset it, or use data=local data.path=/folder/of/GLUE or data=synthetic"
            )
        try:
            _ask(self.revision, constants.HF_HUB_ETAG_TIMEOUT)
        except Exception as error:
            raise _cannot_load(task, self.revision, error) from error

    def fingerprint(self, task: Task) -> str:
        """`nyu-mll/glue@<commit>/<task>`: a commit on the hub never changes."""
        return f"{REPO}@{self.revision}/{task.name}"

    def load(self, task: Task) -> DatasetDict:
        """All splits; no request is made if this commit was loaded before.

        Raises `UserError` for whatever goes wrong with the hub.
        """
        self.check(task)
        loaded = _from_cache(task, self.revision) or _from_hub(task, self.revision)
        return DatasetDict({split: _with_our_columns(task, split, loaded, self.revision) for split in task.splits})


def _ask(revision: str, timeout: float) -> None:
    """One request for the data set's description; errors of the libraries are raised as they are."""
    within(timeout, lambda: HfApi().dataset_info(REPO, revision=revision, timeout=timeout))


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or `TimeoutError`.

    It runs in a thread, because the libraries' own limits cover neither a slow name lookup nor a server that sends one
    byte per second, and some of their requests have no limit at all.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="ask the hub", daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError:
        if outcome.done():
            raise
        raise TimeoutError(f"{constants.ENDPOINT} did not answer in time ({seconds:g} s)") from None


def _from_cache(task: Task, revision: str) -> DatasetDict | None:
    return from_cache(REPO, task.name, revision)


def from_cache(repo: str, config: str, revision: str) -> DatasetDict | None:
    """What an earlier `load_dataset` of this commit left in the cache, without a request; None where there is none."""
    # `load_dataset` asks the hub even for what is in its cache, and if the hub fails it takes the newest commit there
    # instead of the one asked for. This builder, which is internal to `datasets`, reads one commit without a request.
    try:
        name = repo.rpartition("/")[2]
        return Cache(repo_id=repo, dataset_name=name, config_name=config, hash=revision).as_dataset()
    except (OSError, ValueError):
        return None


def _from_hub(task: Task, revision: str) -> DatasetDict:
    try:
        loaded = within(DOWNLOAD_SECONDS, lambda: datasets.load_dataset(REPO, task.name, revision=revision))
    except Exception as error:  # errors of half a dozen libraries share no base class
        raise _cannot_load(task, revision, error) from error
    commit = Path(loaded[task.splits[0]].cache_files[0]["filename"]).parent.name
    if commit != revision:
        raise UserError(f"{REPO}@{revision} ({task.name}) did not arrive, only @{commit} is in the cache; {_REMEDIES}")
    return loaded


def _with_our_columns(task: Task, split: str, loaded: DatasetDict, revision: str) -> Dataset:
    where, remedy = f"{REPO}@{revision} ({task.name})", "use the default data.revision"
    if split not in loaded:
        raise UserError(f"{where} has no split {split!r}, only {', '.join(loaded)}; {remedy}")
    rows = loaded[split]
    columns = [*task.text, "label", "idx"]
    missing = [column for column in columns if column not in rows.column_names]
    if missing:
        raise UserError(f"{where} has no column {missing[0]!r}, only {', '.join(rows.column_names)}; {remedy}")
    label = rows.features["label"]
    names = tuple(label.names) if isinstance(label, ClassLabel) else ()
    if names != task.kind.labels:
        raise UserError(f"{where} has the labels {names}, expected {task.kind.labels} in that order; {remedy}")
    rows = rows.select_columns(columns).rename_columns(dict(zip(task.text, task.columns, strict=True)))
    return rows if rows.features == features(task) else rows.cast(features(task))


def _cannot_load(task: Task, revision: str, error: BaseException) -> UserError:
    return UserError(f"{REPO}@{revision} ({task.name}) cannot be loaded: {reason_of(error)}; {_REMEDIES}")


def reason_of(error: BaseException) -> str:
    """The cause in one line. The libraries wrap it in up to four exceptions and add many lines of advice."""
    if isinstance(error, RevisionNotFoundError):
        return "there is no such revision"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"{constants.ENDPOINT} answered {error.response.status_code} {error.response.reason_phrase}"
    if type(error).__name__ in ("ConnectTimeout", "ReadTimeout"):  # of httpx or httpx2, whichever the client uses
        return f"{constants.ENDPOINT} did not answer in time"
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    first_line = next(iter(str(root).splitlines()), "no message")
    return f"{type(error).__name__}: {first_line}"
