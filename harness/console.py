"""Standard error as a terminal: bars that go on at once share one console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


@cache
def stderr_console() -> Console:
    """The console of standard error."""
    return Console(stderr=True)


def shown(items: Sequence[T], title: str) -> Iterable[T]:
    """The items, with a bar while they are gone through, if standard error is a terminal."""
    console = stderr_console()
    return track(items, title, console=console, transient=True) if console.is_terminal else items
