"""Event loops in green threads.

asyncio stores the running loop, its current task and the hooks of asynchronous generators per operating system thread,
but green threads share one. So a loop's state is saved and cleared whenever its green thread lets others run, be it in
the loop's own wait or because a coroutine makes a blocking call, and restored when it resumes. Every such wait goes
through the hub's ``switch()``.

All loops run in this one thread. In a native thread they would use the locks of the patched standard library (those of
:mod:`logging`, for example), which are not safe across operating system threads.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from asyncio import _get_running_loop
from collections.abc import Callable
from typing import Any

import greenlet

from ...compat import asgiref, event_loops, python
from . import eventlet
from .selector import HubSelector, has_native_selector

__all__ = ["install"]

logger = logging.getLogger("django_websocket")

_installed = False


def install() -> None:
    """Allow many event loops to run at once, each in a green thread. Call it in a patched process; calling it again
    does nothing.

    ``uvloop`` waits in C, where no green thread can run; its loops block the process.
    """
    global _installed
    if _installed:
        return
    _installed = True
    base_hub = eventlet.hubs.hub.BaseHub
    base_hub.switch = _outside_loop(base_hub.switch)
    # It switches directly to the green thread that it kills, not through the hub.
    greenthread = eventlet.greenthread
    kill = _outside_loop(greenthread.kill)
    greenthread.kill = eventlet.kill = kill
    if has_native_selector():
        event_loops.use_selector(functools.partial(HubSelector, _last_loop_closed))
    event_loops.localize_current_loop(threading.local)
    event_loops.refuse_signal_handlers(_is_main)
    asgiref.cancel_async_calls_with_their_callers()
    python.when_threads_end(_close_connections)


def _outside_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def outside_loop(*args: Any) -> Any:
        # event_loops.outside_loop(), inlined because it runs on each wait of each green thread.
        loop = _get_running_loop()
        if loop is None:
            return function(*args)
        running = event_loops.leave_running_loop(loop)
        try:
            return function(*args)
        finally:
            event_loops.enter_running_loop(running)

    return outside_loop


def _is_main() -> bool:
    return greenlet.getcurrent().parent is None


def _close_connections() -> None:
    """Close the database connections that the thread has opened.

    When a native thread ends, they are released with its thread-local data.
    """
    database: Any = sys.modules.get("django_websocket.database")
    if database is not None:
        try:
            database.close_opened()
        except Exception:
            logger.exception("Failed to close the database connections of a thread")


def _last_loop_closed() -> None:
    asgiref.release_shared_worker(_close_connections)
