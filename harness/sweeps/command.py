"""The command line of a run: as the user typed it, and as its record shows it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.config import conf_folder
from harness.errors import UserError
from harness.sweeps.help_page import groups_of

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


def check_arguments(arguments: Sequence[str]) -> None:
    """`UserError` for what Hydra would take silently or end in a traceback: two values of one key, of which it takes
    the last, and a config group without an option.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.lstrip("+")
        if not equals or key.startswith("-"):
            continue
        before = given.setdefault(key, value)
        if before != value:
            raise UserError(
                f"{key} is given twice, as {key}={before} and {key}={value}; leave one out, "
                f"or use --multirun {key}={before},{value} for both"
            )
        if {"null", ""} & set(value.lower().split(",")):
            _refuse_no_option(key, argument)


def _refuse_no_option(group: str, argument: str) -> None:
    options = [
        f"{name}/{option}".removeprefix(f"{group}/")
        for name, found in groups_of([conf_folder()]).items()
        for option in found
        if name == group or name.startswith(f"{group}/")
    ]
    if options:
        raise UserError(f"{argument}: null is no option; leave it out or choose one of {', '.join(options)}")


def with_override(arguments: Sequence[str], override: str) -> list[str]:
    """The arguments with one more override, after the others: argparse takes overrides in one row only."""
    after = max((i for i, item in enumerate(arguments, 1) if "=" in item and item[0] != "-"), default=len(arguments))
    return [*arguments[:after], override, *arguments[after:]]


def command_line(arguments: Sequence[str]) -> str:
    """The command with folders outside the working directory cut to their last part, so that a record holds no paths
    of one machine.
    """
    parts = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        path = value.strip("'\"")
        parts.append(f"{key}={Path(path).name}" if equals and path.startswith(("/", "~", "..")) else argument)
    return shlex.join([*COMMAND, *parts])
