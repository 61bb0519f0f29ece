"""The exception for mistakes that the user can fix, and names for errors of the file system."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


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
        raise UserError(f"{option} cannot be written ({reason_of(error)}); choose another place") from None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an `OSError`: those of write and fsync, such as a full disk, name none, and those of a temporary
    file one that nobody knows.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def reason_of(error: OSError, place: str | Path | None = None) -> str:
    """What the system says, and where a disk is full its free space; `place` is on it if the error names no file."""
    reason, place = error.strerror or str(error), error.filename or place
    return f"{reason}; {free_space(place)}" if error.errno in FULL_DISK and place else reason


def free_space(place: str | Path) -> str:
    """The free space of the file system that holds a path, which need not exist."""
    path = Path(place)
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return f"{shutil.disk_usage(existing).free / 1e6:,.1f} MB free there"


def one_line(error: BaseException | None) -> str:
    """The type and message of any exception as one line of at most 400 characters."""
    return ": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())])])[:400]
