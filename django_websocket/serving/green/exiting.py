"""Makes a server process exit by its deadline, whatever its views have left running.

At exit, Python waits for each non-daemon child process, for the pending work of each executor and for each thread,
however long that takes. A server that is stopped must be gone by its deadline, or its port stays in use and its
supervisor kills it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...compat import processes
from . import eventlet
from .outputs import tell

if TYPE_CHECKING:
    import threading
    from multiprocessing.process import BaseProcess
else:
    threading = eventlet.patcher.original("threading")

__all__ = ["end_children", "guard_exit"]

logger = logging.getLogger("django_websocket.server")

LEAST_SECONDS = 0.5
"""Minimum time for pool workers to end by themselves, even past the deadline."""

KILLED_SECONDS = 1.0
"""Maximum time to wait for killed processes to end."""

EXIT_SECONDS = 2.0
"""Maximum time for Python's exit: finalizers, ``atexit``."""

LOOK_SECONDS = 0.02

GUARD_SECONDS = 0.1
"""Seconds between two looks of the guard. Looks are counted, so that time in which the process was suspended, and could
not exit, counts as little."""

native_sleep: Callable[[float], None] = eventlet.patcher.original("time").sleep


def end_children(deadline: Callable[[], float | None]) -> None:
    """End the processes of ``multiprocessing`` and ``concurrent.futures``, as Python does at exit.

    Pools and executors are shut down, daemons are terminated, other children are waited for. Once the monotonic clock
    has passed ``deadline()`` (called repeatedly; None: no deadline), workers and daemons are killed. Other children
    are logged and keep running, since only the application knows what they are for. Afterwards, Python's exit waits
    for none of them.
    """
    if not processes.has_children():
        return
    ending = eventlet.spawn(processes.end_children)
    least = time.monotonic() + LEAST_SECONDS

    def is_over() -> bool:
        end = deadline()
        return end is not None and time.monotonic() > max(end, least)

    while not ending.dead and not is_over():
        eventlet.sleep(LOOK_SECONDS)
    ending.kill()
    workers, others = processes.disown_children()
    for child in workers:
        child.kill()
    for child in others:
        logger.warning(
            "process %s (pid %s) is still running after the drain timeout; it is not a daemon, so it is left running",
            child.name,
            child.pid,
        )
    until = time.monotonic() + KILLED_SECONDS
    # A native sleep, so that no greenlet runs and starts new processes.
    while any(_is_alive(child) for child in workers) and time.monotonic() < until:
        native_sleep(LOOK_SECONDS)


def _is_alive(child: BaseProcess) -> bool:
    try:
        return child.is_alive()
    except ValueError:  # closed
        return False


def guard_exit(status: int = 0, seconds: float = EXIT_SECONDS) -> None:
    """Exit the process with ``status`` if it has not exited by itself within ``seconds``. Returns at once."""

    def end() -> None:
        for _ in range(round(seconds / GUARD_SECONDS)):
            native_sleep(GUARD_SECONDS)
        tell(f"django_websocket: the process did not exit within {seconds:g} s; forcing it to exit")
        os._exit(status)

    guard: Any = threading.Thread(target=end, daemon=True)
    guard.start()
