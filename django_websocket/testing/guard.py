"""Ends a call into a view that blocks in real time or loops, so that no test hangs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import greenlet

__all__ = ["Guard"]

_DEBUGGERS = (f"{os.sep}bdb.py", "pydevd", "debugpy")


class _GaveUp(BaseException):
    """Unwinds the greenlet of the test."""


class Guard:
    """Raises ``describe(frame)`` if its body takes too long, whatever greenlet is running then.

    A context manager for ``greenlet``; nested uses count as one. It uses the alarm signal, so it does nothing outside
    the main thread, or when an alarm set by somebody else is due first. While a debugger is on the stack nothing is too
    long.
    """

    def __init__(self, greenlet: greenlet.greenlet, describe: Callable[[FrameType | None], Exception]) -> None:
        self.seconds: float | None = None
        """How long the body may take; None for ever."""
        self.error: Exception | None = None
        """What is about to be raised."""
        self._greenlet = greenlet
        self._describe = describe
        self._depth = 0
        self._armed = 0.0
        self._fired = 0
        self._replaced: Any = None
        self._replaced_timer = (0.0, 0.0)

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1 and self.seconds:
            self._arm(self.seconds)

    def __exit__(self, *exc_info: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        if self._armed:
            self._disarm()
        error, self.error = self.error, None
        if error is not None:
            raise error from None

    def _arm(self, seconds: float) -> None:
        replaced = signal.getsignal(signal.SIGALRM)
        if replaced is None:
            return  # set by C code, and could not be restored
        try:
            signal.signal(signal.SIGALRM, replaced)  # only to see whether it may be set
        except ValueError:
            return  # not the main thread
        # No alarm is due while its handler changes, so each finds its own.
        timer = signal.setitimer(signal.ITIMER_REAL, 0)
        if 0 < timer[0] <= seconds:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            return
        self._replaced, self._replaced_timer = replaced, timer
        self._armed, self._fired = seconds, 0
        signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def _disarm(self) -> None:
        armed, self._armed = self._armed, 0.0
        if signal.getsignal(signal.SIGALRM) != self._handle:
            return  # replaced by the view
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._replaced)
        self._replaced = None
        due, interval = self._replaced_timer
        if due:
            passed = armed * (self._fired + 1) - left
            signal.setitimer(signal.ITIMER_REAL, max(due - passed, 0.001), interval)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._fired += 1
        if not (_is_debugged(frame) or _is_outside(frame)):
            self.error = self._describe(frame)
            self._greenlet.throw(_GaveUp)


_ENDS = {Guard.__enter__.__code__, Guard.__exit__.__code__}


def _is_outside(frame: FrameType | None) -> bool:
    """Whether it is the guard itself that is interrupted, before its body or behind it."""
    return any(code in _ENDS for code in _codes(frame))


def _is_debugged(frame: FrameType | None) -> bool:
    return any(part in code.co_filename for code in _codes(frame) for part in _DEBUGGERS)


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    """Of ``frame`` and its callers."""
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back
