"""The one exception for what the user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Bad input. The message is one line that names the value, what is allowed and the remedy.

    Entry points print it without a traceback and exit with status 2.
    """


@contextmanager
def writing(option: str) -> Iterator[None]:
    """`UserError` in the place of what the system says where a file cannot be written; `option` names the place."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{option} cannot be written ({error.strerror or error}); choose another place") from None
