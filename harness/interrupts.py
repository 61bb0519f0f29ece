"""Signals that end a command, or warn of its end, and the moment at which they take effect.

SIGTERM ends a command like Ctrl-C. SIGUSR1, a scheduler's warning, ends nothing: it only asks for a checkpoint. Where
a handler was there before (submitit's, in a job of a cluster), it still has the last word.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interrupt like Ctrl-C, with another exit status."""


class Stopped(KeyboardInterrupt):
    """Somebody else's handler has ended the work with an error, which is the cause of this one."""


class Signals:
    """The signals of this process. Outside `held` they take effect at once, inside it when `release` is called."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self._handlers: dict[int, Any] = {}  # those that were there before
        self._depth = 0
        self._first: Callable[[], None] | None = None
        self._is_ending = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGUSR1, and SIGUSR2 if somebody has a handler for it; what is ignored stays so.

        Only the main thread can; elsewhere, and inside another `handled`, nothing changes.
        """
        if self._handlers or threading.current_thread() is not threading.main_thread():
            yield
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            before = signal.getsignal(number)
            ends_process = number == signal.SIGUSR2 and before == signal.SIG_DFL
            if before not in (None, signal.SIG_IGN) and not ends_process:
                self._handlers[number] = before
                signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, before in self._handlers.items():
                signal.signal(number, before)
            self._handlers, self._is_ending = {}, False
            self.waiting.clear()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let signals wait until `release`, or until the end of the body. A second Ctrl-C does not wait."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.release()

    @contextmanager
    def first(self, action: Callable[[], None]) -> Iterator[None]:
        """Call `action` before a signal takes effect in the body."""
        before, self._first = self._first, action
        try:
            yield
        finally:
            self._first = before

    def release(self) -> None:
        """Let the signals that wait take effect: raises KeyboardInterrupt, `Terminated`, `Stopped`, or SystemExit."""
        while self.waiting:
            self._act(self.waiting.pop(0))

    def pass_on(self, processes: Iterable[int]) -> None:
        """Send the signals that wait to these processes too, except for Ctrl-C, which a terminal sends to all."""
        for process in processes:
            for number in self.waiting:
                if number != signal.SIGINT:
                    os.kill(process, number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._depth and not (number == signal.SIGINT and number in self.waiting):
            if number not in self.waiting:
                self.waiting.append(number)
            return
        self._act(number)

    def _act(self, number: int) -> None:
        if number == signal.SIGTERM and self._is_ending:
            return  # `timeout` and schedulers send it to the process and again to its group
        before = self._handlers[number]
        is_own = before in (signal.SIG_DFL, signal.default_int_handler)
        self._is_ending |= is_own and number != signal.SIGUSR1
        try:
            if self._first is not None:
                with self.held():
                    self._first()
        finally:  # whatever went wrong there, a signal is not lost
            if not is_own:
                _call(before, number)
            elif number == signal.SIGTERM:
                raise Terminated
            elif number == signal.SIGINT:
                raise KeyboardInterrupt


def _call(handler: Callable[[int, FrameType | None], Any], number: int) -> None:
    try:
        handler(number, None)
    except Exception as error:  # as it stands, it would count as a failure of what is in training
        raise Stopped from error


SIGNALS = Signals()
