"""The one exception for what the user can fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Bad input. The message is one line that names the value, what is allowed and the remedy.

    Entry points print it without a traceback and exit with status 2.
    """


@contextmanager
def writing(option: str) -> Iterator[None]:
    """Turns the system's error for a file that cannot be written into a `UserError`; `option` names the place."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{option} cannot be written ({error.strerror or error}); choose another place") from None


def one_line(error: BaseException | None) -> str:
    """The type and message of any exception as one line of at most 400 characters."""
    return ": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())])])[:400]
