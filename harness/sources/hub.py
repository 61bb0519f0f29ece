"""GLUE from the Hugging Face hub: the data set `nyu-mll/glue` at one pinned commit."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import datasets
from datasets import ClassLabel, Dataset, DatasetDict
from datasets.packaged_modules.cache.cache import Cache
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from harness.errors import UserError
from harness.sources.local import features
from harness.tasks import Task

log = logging.getLogger(__name__)

REPO = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"

_REMEDIES = (
    "try again, or use data=local data.path=/folder/of/GLUE or data=synthetic, "
    "or set HF_ENDPOINT (a mirror) or HF_TOKEN (if it asks who you are)"
)


def answers(timeout: float = 3.0) -> bool:
    """Whether the hub (`HF_ENDPOINT`, if set) hands out the data set: one request, done within `timeout` seconds."""
    error = _ask(REVISION, timeout)
    if error is not None:
        log.info("%s cannot be used: %s", constants.ENDPOINT, _reason(error))
    return error is None


def check(revision: str) -> None:
    """`UserError` unless `revision` is a full commit hash: a branch moves, and then equal run ids hide unequal data."""
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise UserError(
            f"data.revision={revision!r} is no commit of {REPO}; give all 40 hexadecimal digits of one, or leave it out"
        )


def fingerprint(task: Task, revision: str) -> str:
    """`nyu-mll/glue@<commit>/<task>`: a commit on the hub never changes."""
    return f"{REPO}@{revision}/{task.name}"


def load(task: Task, revision: str) -> DatasetDict:
    """All splits of a task with this project's columns; without any request where this commit was loaded before.

    Raises `UserError` for whatever goes wrong between here and the hub.
    """
    check(revision)
    loaded = _from_cache(task, revision) or _from_hub(task, revision)
    return DatasetDict(
        {
            split: _with_our_columns(task, split, loaded, revision)
            for split in ("train", *task.evaluation_sets, *task.test_sets)
        }
    )


def _ask(revision: str, timeout: float) -> BaseException | None:
    """What a request for the data set's description ends with; None is success."""
    outcome: list[BaseException | None] = []

    def ask() -> None:
        try:
            HfApi().dataset_info(REPO, revision=revision, timeout=timeout)
            outcome.append(None)
        except Exception as error:  # from several libraries, without a common base class
            outcome.append(error)

    # A thread, since the time limits of an HTTP client cover neither a slow name look-up nor a byte every second.
    thread = threading.Thread(target=ask, name="ask the hub", daemon=True)
    thread.start()
    thread.join(timeout)
    return outcome[0] if outcome else TimeoutError(f"{constants.ENDPOINT} did not answer in {timeout:g} s")


def _from_cache(task: Task, revision: str) -> DatasetDict | None:
    # `load_dataset` asks the hub even for what it has; and if the hub fails, it takes the newest commit in its cache
    # instead of the wanted one. This builder reads one commit and makes no request.
    try:
        return Cache(repo_id=REPO, dataset_name="glue", config_name=task.name, hash=revision).as_dataset()
    except (OSError, ValueError):
        return None


def _from_hub(task: Task, revision: str) -> DatasetDict:
    if datasets.config.HF_HUB_OFFLINE:
        raise UserError(
            f"{REPO}@{revision} ({task.name}) is not in the cache and HF_HUB_OFFLINE (or HF_DATASETS_OFFLINE) is set; "
            "unset it, or use data=local data.path=/folder/of/GLUE or data=synthetic"
        )
    # `load_dataset` sits for minutes before a server that hangs; this gives up after HF_HUB_ETAG_TIMEOUT (10 s).
    error = _ask(revision, constants.HF_HUB_ETAG_TIMEOUT)
    if error is not None:
        raise _cannot_load(task, revision, error) from error
    try:
        loaded = datasets.load_dataset(REPO, task.name, revision=revision)
    except Exception as error:  # from half a dozen libraries, without a common base class
        raise _cannot_load(task, revision, error) from error
    commit = Path(loaded["train"].cache_files[0]["filename"]).parent.name
    if commit != revision:
        raise UserError(f"{REPO}@{revision} ({task.name}) did not arrive, only @{commit} is here; {_REMEDIES}")
    return loaded


def _with_our_columns(task: Task, split: str, loaded: DatasetDict, revision: str) -> Dataset:
    where, remedy = f"{REPO}@{revision} ({task.name})", "use the default data.revision"
    if split not in loaded:
        raise UserError(f"{where} has no split {split!r}, only {', '.join(loaded)}; {remedy}")
    rows = loaded[split]
    columns = [*task.hub_text, "label", "idx"]
    missing = [column for column in columns if column not in rows.column_names]
    if missing:
        raise UserError(f"{where} has no column {missing[0]!r}, only {', '.join(rows.column_names)}; {remedy}")
    label = rows.features["label"]
    names = tuple(label.names) if isinstance(label, ClassLabel) else ()
    if names != task.labels:
        raise UserError(f"{where} has the labels {names}, expected {task.labels} in that order; {remedy}")
    rows = rows.select_columns(columns).rename_columns(dict(zip(task.hub_text, task.columns, strict=True)))
    return rows if rows.features == features(task) else rows.cast(features(task))


def _cannot_load(task: Task, revision: str, error: BaseException) -> UserError:
    return UserError(f"{REPO}@{revision} ({task.name}) cannot be loaded: {_reason(error)}; {_REMEDIES}")


def _reason(error: BaseException) -> str:
    """One line. The libraries wrap what happened in up to four exceptions, and add advice of many lines."""
    if isinstance(error, RevisionNotFoundError):
        return "there is no such revision"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"{constants.ENDPOINT} answered {error.response.status_code} {error.response.reason_phrase}"
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    first_line = next(iter(str(root).splitlines()), "no message")
    return f"{type(error).__name__}: {first_line}"
