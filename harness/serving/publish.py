"""Folders of trained adapters on the Hugging Face hub, one repository each."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from harness.data.sources.hub import reason_of
from harness.errors import UserError

_LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def check_repo(repo: str) -> None:
    """`UserError` unless `repo` is `owner/name` as the hub allows it."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"{repo!r} is no repository's name: {next(iter(str(error).splitlines()))}") from None
    if repo.count("/") != 1:
        raise UserError(f"{repo!r} has no owner; give owner/name")


def check_login() -> None:
    """`UserError` unless the hub may be asked and there is a token."""
    if constants.HF_HUB_OFFLINE:
        raise UserError("HF_HUB_OFFLINE is set; unset it to push, or see what would be pushed with --dry-run")
    if huggingface_hub.get_token() is None:
        raise UserError(f"the hub needs a token; {_LOGIN}")


def sizes(folder: Path) -> dict[str, int]:
    """The files of a folder that `push` uploads, with their bytes."""
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def push(folder: Path, repo: str, *, private: bool, message: str) -> str:
    """Upload the files of a folder in one commit to a repository, which is made if it is missing; returns its address.

    `UserError` for whatever goes wrong with the hub.
    """
    api = HfApi()
    try:
        url = api.create_repo(repo, private=private or None, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    except Exception as error:  # errors of several libraries share no base class
        status = error.response.status_code if isinstance(error, HfHubHTTPError) and error.response is not None else 0
        remedy = f"; {_LOGIN}" if status in (401, 403) else ""
        raise UserError(f"{repo} cannot be pushed: {reason_of(error)}{remedy}") from error
    return str(url)
