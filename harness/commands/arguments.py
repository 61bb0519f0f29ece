"""Command lines: argparse, with errors of one line like all others, and an end where nobody reads on."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec

PIPE_CLOSED = 141  # the exit status that shells give to a command ended by SIGPIPE
P = ParamSpec("P")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that says what is wrong in one line and exits with status 2, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {' '.join(message.split())}; {self.prog} --help shows what is allowed\n")


def ends_with_its_reader(main: Callable[P, int]) -> Callable[P, int]:
    """Let a command's `main` end quietly, with `PIPE_CLOSED`, where nobody reads on: `harness report DIR | head`."""

    @wraps(main)
    def ended(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            status = main(*args, **kwargs)
            sys.stdout.flush()  # what is still in the buffer fails here, not when Python exits
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return PIPE_CLOSED
        return status

    return ended
