"""Event loops in green threads.

To asyncio the running loop, its current task and the hooks of asynchronous generators belong to the thread of the
operating system. Green threads share one. So what belongs to a loop is put away whenever its green thread lets others
run, in the loop's own wait or because a coroutine calls something that blocks, and is put back when it goes on. Every
such wait goes through the hub's ``switch()``.

The loops stay in this one thread. In a real thread they would meet the locks of the patched standard library (those of
:mod:`logging`, for a start), which are not safe across threads of the operating system.
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
    """Let event loops run in green threads, many at once; to be called in a patched process. A second call does
    nothing.

    ``uvloop`` waits in C, where no green thread can run; its loops block the process.
    """
    global _installed
    if _installed:
        return
    _installed = True
    base_hub = eventlet.hubs.hub.BaseHub
    base_hub.switch = _outside_loop(base_hub.switch)
    # It switches to the green thread that it kills without a detour.
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
        # event_loops.outside_loop() for each wait of each green thread, so without another call.
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

    With a real thread, the last reference to them would go.
    """
    database: Any = sys.modules.get("django_websocket.database")
    if database is not None:
        try:
            database.close_opened()
        except Exception:
            logger.exception("Closing the database connections of a thread failed")


def _last_loop_closed() -> None:
    asgiref.release_shared_worker(_close_connections)
