"""The command line of a run: as the user typed it, and as its record shows it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

COMMAND = ("python", "-m", "harness.run")


@contextmanager
def as_typed(arguments: Sequence[str]) -> Iterator[None]:
    """Give this process the arguments of a command for a while: Hydra and `provenance` read them from `sys.argv`."""
    before = sys.argv
    sys.argv = [shlex.join(COMMAND), *arguments]
    try:
        yield
    finally:
        sys.argv = before


def command_line(arguments: Sequence[str]) -> str:
    """The command with folders outside the working directory cut to their last part, so that a record holds no paths
    of one machine.
    """
    parts = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        parts.append(f"{key}={Path(value).name}" if equals and value.startswith(("/", "~", "..")) else argument)
    return shlex.join([*COMMAND, *parts])
