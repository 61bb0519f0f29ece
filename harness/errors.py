"""The exception for mistakes that the user can fix, and names for errors of the file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Bad input. The message is one line that names the value, what is allowed and the remedy.

    Entry points print it without a traceback and exit with status 2.
    """


@contextmanager
def writing(option: str) -> Iterator[None]:
    """Turn an `OSError` into a `UserError` that names `option`, where the user chose the place."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{option} cannot be written ({error.strerror or error}); choose another place") from None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to an `OSError` without one: those of write and fsync, such as a full disk, name no file."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
