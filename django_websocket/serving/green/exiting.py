"""The end of a process that served: nothing that its views have left running makes it wait for ever.

At its exit Python waits for each child process that is not a daemon, for the work of each executor and for each thread,
however long that takes. A server that was told to stop has to be gone when its time is up, or its port stays taken and
whoever started it kills it.
"""

from __future__ import annotations

import logging
import os
import posix
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...compat import processes
from . import eventlet

if TYPE_CHECKING:
    import threading
    from multiprocessing.process import BaseProcess
else:
    threading = eventlet.patcher.original("threading")

__all__ = ["end_children", "guard_exit"]

logger = logging.getLogger("django_websocket.server")

LEAST_SECONDS = 0.5
"""Even in haste the workers of a pool get this long to end by themselves."""

KILLED_SECONDS = 1.0
"""How long it is waited for what was killed."""

EXIT_SECONDS = 2.0
"""Python's exit may take this long: finalizers, ``atexit``."""

LOOK_SECONDS = 0.02

native_sleep: Callable[[float], None] = eventlet.patcher.original("time").sleep


def end_children(deadline: Callable[[], float | None]) -> None:
    """End what ``multiprocessing`` and ``concurrent.futures`` run in other processes, as Python does at its exit.

    Pools and executors are shut down and daemons terminated; other children are waited for. When the monotonic clock
    has passed ``deadline()`` (asked again and again; None: never), workers and daemons are killed. Other children go on
    as processes of their own: nobody but who started them knows what they are for. Afterwards Python's exit waits for
    none of them.
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
            "the process %s (%s) goes on: the time to stop is over, and it is no daemon", child.name, child.pid
        )
    until = time.monotonic() + KILLED_SECONDS
    # No greenlet gets its turn meanwhile: nothing is to be started again.
    while any(_is_alive(child) for child in workers) and time.monotonic() < until:
        native_sleep(LOOK_SECONDS)


def _is_alive(child: BaseProcess) -> bool:
    try:
        return child.is_alive()
    except ValueError:  # closed
        return False


def guard_exit(status: int = 0, seconds: float = EXIT_SECONDS) -> None:
    """Have the process end with ``status`` if it has not ended by itself after ``seconds``. Returns at once."""

    def end() -> None:
        native_sleep(seconds)
        posix.write(2, b"django_websocket: something has kept the process from ending; it is ended now\n")
        os._exit(status)

    guard: Any = threading.Thread(target=end, daemon=True)
    guard.start()
