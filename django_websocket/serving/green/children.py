"""Waits for child processes without blocking the hub.

Of these functions, eventlet patches only ``os.wait`` and ``os.waitpid``, which then poll every 10 ms; ``os.system`` and
the rest of the family block the whole process until the child has ended.
"""

from __future__ import annotations

import os
import posix
import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

from . import eventlet
from .descriptors import can_wait, wait_ready

__all__ = ["system", "wait", "wait3", "wait4", "waitid", "waitpid"]

T = TypeVar("T")

INTERVAL = 0.01
"""Polling interval in seconds, for use without a process descriptor."""


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    """``os.waitpid``, waiting in the hub."""
    if options & os.WNOHANG or not can_wait():
        return posix.waitpid(pid, options)
    ended = posix.waitpid(pid, options | os.WNOHANG)
    if not ended[0] and not options and pid > 0:
        _await_end(pid)
    while not ended[0]:
        ended = posix.waitpid(pid, options | os.WNOHANG)
        if not ended[0]:
            eventlet.sleep(INTERVAL)
    return ended


def _await_end(pid: int) -> None:
    """Wait until ``pid`` has ended. Returns at once if the system has no process descriptors (Linux 5.3)."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return
    try:
        wait_ready([fd])
    finally:
        posix.close(fd)


def wait() -> tuple[int, int]:
    """``os.wait``, waiting in the hub."""
    return waitpid(-1, 0)


def wait3(options: int) -> tuple[int, int, Any]:
    """``os.wait3``, waiting in the hub."""
    return _look(lambda more: posix.wait3(options | more), options, lambda ended: bool(ended[0]))


def wait4(pid: int, options: int) -> tuple[int, int, Any]:
    """``os.wait4``, waiting in the hub."""
    return _look(lambda more: posix.wait4(pid, options | more), options, lambda ended: bool(ended[0]))


def waitid(idtype: int, id: int, options: int, /) -> Any:
    """``os.waitid``, waiting in the hub."""
    return _look(lambda more: posix.waitid(idtype, id, options | more), options, lambda ended: ended is not None)


def _look(look: Callable[[int], T], options: int, is_over: Callable[[T], bool]) -> T:
    if options & os.WNOHANG or not can_wait():
        return look(0)
    while not is_over(ended := look(os.WNOHANG)):
        eventlet.sleep(INTERVAL)
    return ended


def system(command: str | bytes) -> int:
    """``os.system``, waiting in the hub."""
    if not can_wait():
        return posix.system(command)
    status = subprocess.call(command, shell=True, close_fds=False)
    return status << 8 if status >= 0 else -status
