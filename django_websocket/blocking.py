"""Calls that block outside of Python, run where they hold nobody up.

On a server of green threads all views share one thread of the operating system. What waits by the standard library lets
the others run; a C extension that waits by itself (mysqlclient, Oracle's thick mode, a long query to SQLite) and what
computes for long do not. Such a call belongs in a native thread::

    from django_websocket.blocking import in_thread, to_thread

    rows = to_thread(read_report, year=2025)

    @in_thread
    def read_report(year):
        return list(Report.objects.using("mysql").filter(year=year).values())

The calling view waits, as for any function, and the others go on.
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

    Like :func:`asyncio.to_thread` it runs it in a copy of the caller's context variables: the active language and the
    like are seen in it, what it sets is not seen outside.

    Database connections are those of the thread: what the function asks of the ORM is not part of the caller's
    transaction and does not see its uncommitted rows, and the connections that it opens are closed when it returns.
    So fetch rows inside (``list(queryset)``), and hand no connection, cursor or lazy queryset over. Nor may it use what
    belongs to green threads: the request's websocket, locks, queues and sockets of the calling thread.

    At most 20 such calls run at a time (eventlet's environment variable EVENTLET_THREADPOOL_SIZE says how many; 0 calls
    in place), the next ones wait for their turn. A caller that is ended or times out while it waits leaves at once; the
    function itself can't be interrupted, and goes on to its end.

    Where there are no green threads (``runserver``, tests, management commands), and inside of another such call, the
    function is simply called.
    """
    native = _native()
    if native is None:
        return copy_context().run(function, *args, **kwargs)
    result: T = native.run(function, args, kwargs)
    return result


def in_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate ``function`` so that each call of it is one by :func:`to_thread`."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return to_thread(function, *args, **kwargs)

    return call


def _native() -> Any:
    """What runs native threads, if this process is one of green threads."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None or not patcher.is_monkey_patched("thread"):
        return None
    return import_module("django_websocket.serving.green.native")
