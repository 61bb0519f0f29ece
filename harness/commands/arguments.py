"""Command lines: argparse, with errors of one line like all others."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that says what is wrong in one line and exits with status 2, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {' '.join(message.split())}; {self.prog} --help shows what is allowed\n")
