"""Uses of private API of asgiref."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context
from typing import Any

from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import AsyncToSync, SyncToAsync

__all__ = [
    "cancel_async_calls_with_their_callers",
    "forget_callers_executor",
    "move_context",
    "release_shared_worker",
]

_restore_context: Callable[[Context], None] | None
try:
    from asgiref.sync import _restore_context as _restore_context
except ImportError:  # a version that renamed it
    _restore_context = None


def move_context(context: Context) -> None:
    """Copy the values of ``context`` into the caller's context.

    asgiref ties the data of its Locals (the active language, the time zone, the URLconf) to a thread, and a greenlet
    counts as one. Its private ``_restore_context`` moves it, as it does for its own threads; without it the data is
    lost.
    """
    if _restore_context is not None:
        _restore_context(context)
        return
    for variable in context:
        variable.set(context[variable])


def cancel_async_calls_with_their_callers() -> None:
    """When an exception is raised in a waiting caller of ``async_to_sync``, cancel the task it waits for.

    In a thread, only Ctrl-C can be raised there, but a green thread may be killed or time out. It then waits for the
    cancelled task to clean up, and meanwhile still runs its thread-sensitive calls, unless it is killed again.
    """
    run = CurrentThreadExecutor.run_until_future

    def cancel(executor: CurrentThreadExecutor, future: Future[Any]) -> None:
        while not future.done():
            for loop, of_loop in list(AsyncToSync.loop_thread_executors.items()):
                if of_loop is executor:
                    for task in asyncio.all_tasks(loop):
                        loop.call_soon_threadsafe(task.cancel)
                    return
            # The task runs in the loop of an outer caller.
            above: list[asyncio.Task[Any]] = getattr(SyncToAsync.threadlocal, "task_context", None) or []
            for task in above:
                task.get_loop().call_soon_threadsafe(task.cancel)
            if above:
                return
            time.sleep(0)  # the task is about to start

    def run_until_future(self: CurrentThreadExecutor, future: Future[Any]) -> None:
        try:
            run(self, future)
        except BaseException:
            if not future.done():
                cancel(self, future)
                run(self, future)
            raise

    CurrentThreadExecutor.run_until_future = run_until_future  # type: ignore[method-assign]


def forget_callers_executor() -> None:
    """In a greenlet with a copy of another's context: don't run thread-sensitive calls in the other greenlet.

    Its executor is inherited if an async middleware runs further out, which waits for the inheriting greenlet to end.
    """
    if getattr(AsyncToSync.executors, "current", None) is not None:
        AsyncToSync.executors.current = None


def release_shared_worker(callback: Callable[[], None]) -> None:
    """Call ``callback`` in the thread that runs thread-sensitive calls made outside any ``async_to_sync``.

    All loops of :func:`asyncio.run` share this thread, and it never ends. Does nothing if it has not been started.
    """
    executor = SyncToAsync.single_thread_executor
    if executor._threads:
        executor.submit(callback)
