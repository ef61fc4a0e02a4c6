"""Identifies the native thread that runs the hub, and provides unpatched time functions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import greenlet

from . import eventlet

if TYPE_CHECKING:
    import threading
    import time
else:
    threading = eventlet.patcher.original("threading")
    time = eventlet.patcher.original("time")

__all__ = ["can_switch", "is_current", "monotonic", "sleep"]

monotonic = time.monotonic
sleep = time.sleep

_ident = 0


def _adopt() -> None:
    """Record the calling thread as the hub's."""
    global _ident
    _ident = threading.get_ident()


def is_current() -> bool:
    """Whether the caller runs in the thread of the hub, rather than in a native one."""
    return threading.get_ident() == _ident


def can_switch() -> bool:
    """Whether the caller may switch to other greenlets: not in a native thread, nor in the hub's own greenlet."""
    return is_current() and greenlet.getcurrent() is not eventlet.hubs.get_hub().greenlet


_adopt()
os.register_at_fork(after_in_child=_adopt)
