"""The selector of event loops in green threads: the system's own, but waiting on the hub.

An epoll descriptor can itself be polled, so each loop has its own and the hub polls that. The hub never sees a loop's
descriptors, so two loops, or a loop and a green thread, may wait for the same one.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import greenlet

from . import eventlet


def _original_selectors() -> Any:
    """The ``selectors`` module before eventlet removed all selectors except the one for ``select()``.

    :func:`eventlet.patcher.original` doesn't work here: its copy imports the patched ``select``.
    """
    spec = importlib.util.find_spec("selectors")
    assert spec is not None, "the standard library has it"
    assert spec.loader is not None, "and it is a file"
    module = importlib.util.module_from_spec(spec)
    patched = importlib.import_module("select")
    sys.modules["select"] = eventlet.patcher.original("select")
    try:
        spec.loader.exec_module(module)
    finally:
        sys.modules["select"] = patched
    return module


if TYPE_CHECKING:
    from selectors import EpollSelector as NativeSelector
else:
    NativeSelector = _original_selectors().DefaultSelector

__all__ = ["HubSelector", "has_native_selector"]

TURN = 0.002
"""Seconds that a constantly busy loop runs before it lets other green threads run."""


def has_native_selector() -> bool:
    """Whether the system has a selector with a descriptor that can itself be polled."""
    return hasattr(NativeSelector, "fileno")


class HubSelector(NativeSelector):
    """A selector that waits on the calling thread's hub. Closing the last open one calls its ``on_last_close``."""

    _open = 0

    def __init__(self, on_last_close: Callable[[], None]) -> None:
        super().__init__()
        HubSelector._open += 1
        self._on_last_close: Callable[[], None] | None = on_last_close
        self._waiter: greenlet.greenlet | None = None
        self._turn_ends = time.monotonic() + TURN

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            if time.monotonic() < self._turn_ends:
                return ready
            self._wait(0)
        else:
            self._wait(timeout, self.fileno())
        self._turn_ends = time.monotonic() + TURN
        return ready or super().select(0)

    def close(self) -> None:
        super().close()
        on_last_close, self._on_last_close = self._on_last_close, None
        if on_last_close is not None:
            HubSelector._open -= 1
            if not HubSelector._open:
                on_last_close()

    def _wait(self, timeout: float | None, fd: int | None = None) -> None:
        hub = eventlet.hubs.get_hub()
        if greenlet.getcurrent() is hub.greenlet:
            raise RuntimeError("an event loop can't run in the hub")
        self._waiter = greenlet.getcurrent()
        timer = None if timeout is None else hub.schedule_call_global(timeout, self._wake)
        try:
            if fd is None:
                hub.switch()
                return
            listener = hub.add(hub.READ, fd, self._wake, self._wake, lambda: None)
            try:
                hub.switch()
            finally:
                hub.remove(listener)
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self, *_: object) -> None:
        # The hub may call this more than once in the same iteration.
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch()
