"""Something to wait for until another thread or greenlet sets it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

__all__ = ["Event", "event_makers", "new_event"]


class Event(Protocol):
    """For one waiter, once."""

    def wait(self, timeout: float | None = None) -> object:
        """Block until it is set, or for ``timeout`` seconds."""

    def set(self) -> None:
        """Wake the waiter; may be called from anywhere, must not block."""


event_makers: list[Callable[[], Event | None]] = []
"""Asked first; each returns None where it doesn't know how to wait. The tests' clock is such a place."""


def new_event() -> Event:
    """An event to wait for in the calling greenlet or thread."""
    for maker in event_makers:
        if (event := maker()) is not None:
            return event
    return threading.Event()
