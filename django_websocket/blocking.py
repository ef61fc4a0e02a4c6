"""Runs calls that would block the whole process in native threads.

On a green-thread server all views share one operating system thread. Waiting in the standard library lets other views
run. Waiting in a C extension (mysqlclient, Oracle's thick mode, a long SQLite query) or a long computation does not:
run such a call in a native thread::

    from django_websocket.blocking import in_thread, to_thread

    rows = to_thread(read_report, year=2025)

    @in_thread
    def read_report(year):
        return list(Report.objects.using("mysql").filter(year=year).values())

The calling view waits, as for any function; other views keep running.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import copy_context
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

__all__ = ["in_thread", "to_thread"]

P = ParamSpec("P")
T = TypeVar("T")


def to_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` in a native thread; return what it returns, raise what it raises.

    Like :func:`asyncio.to_thread`, it uses a copy of the caller's context variables: the function sees the active
    language and the like; what it sets is not visible outside.

    Database connections belong to the native thread: the function's queries are not part of the caller's transaction
    and don't see its uncommitted rows, and the connections it opens are closed when it returns. So fetch rows inside it
    (``list(queryset)``), and don't pass connections, cursors or lazy querysets in or out. Nor may it use objects of the
    green threads: the calling thread's locks, queues and sockets. It may use the request's websocket, once accepted.

    At most 20 such calls run at a time; further ones wait. Eventlet's environment variable EVENTLET_THREADPOOL_SIZE
    changes the limit; with 0, functions are called directly. A caller that is killed or times out stops waiting at
    once, but the function can't be interrupted and runs to completion.

    Without green threads (``runserver``, tests, management commands), and inside another such call, the function is
    called directly, in the calling thread and with its database connections.
    """
    native = _native()
    if native is None:
        return copy_context().run(function, *args, **kwargs)
    result: T = native.run(function, args, kwargs)
    return result


def in_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator that runs each call of ``function`` with :func:`to_thread`."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return to_thread(function, *args, **kwargs)

    return call


def _native() -> Any:
    """The module that runs native threads; None if this process has no green threads."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None or not patcher.is_monkey_patched("thread"):
        return None
    return import_module("django_websocket.serving.green.native")
