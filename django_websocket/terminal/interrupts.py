"""Ctrl-C, and the other signals that would end a command before it has closed what it opened."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While the context is open, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, unless they are ignored.

    Once :attr:`deferred` is True, the next of them only makes :meth:`fileno` readable; those after it raise again.
    """

    def __init__(self) -> None:
        self.deferred = False
        self._before: dict[int, Any] = {}
        self._reader, self._writer = os.pipe()

    def __enter__(self) -> Interrupts:
        for signum in SIGNALS:
            handler = signal.getsignal(signum)
            if handler is not signal.SIG_IGN:  # as by nohup
                self._before[signum] = handler
                signal.signal(signum, self._handle)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        return self._reader

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if not self.deferred:
            raise KeyboardInterrupt
        self.deferred = False
        os.write(self._writer, b"\0")
