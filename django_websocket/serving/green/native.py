"""A pool of native threads for calls that block.

It avoids three faults of eventlet's ``tpool``: a call that raises SystemExit or GreenletExit ends its thread and leaves
the caller waiting forever; a forked child waits for threads that it doesn't have; and the process can't exit until the
longest call has returned.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import greenlet

from . import eventlet, hub_thread
from .mailbox import Mailbox

if TYPE_CHECKING:
    import threading
    from queue import SimpleQueue
else:
    threading = eventlet.patcher.original("threading")
    SimpleQueue = eventlet.patcher.original("queue").SimpleQueue

__all__ = ["run"]

SIZE = int(os.environ.get("EVENTLET_THREADPOOL_SIZE", "20"))


class Call:
    """One call, and the greenlet that waits for it."""

    __slots__ = ("_args", "_context", "_function", "_kwargs", "_result", "_waiter", "error", "is_done")

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._function: Callable[..., Any] | None = function
        self._args, self._kwargs = args, kwargs
        self._context: Context = copy_context()
        self._waiter: greenlet.greenlet | None = None
        self._result: Any = None
        self.error: BaseException | None = None
        self.is_done = False

    def run(self) -> None:
        """Make the call, in the native thread."""
        function, self._function = self._function, None
        assert function is not None, "a call is made once"
        try:
            try:
                self._result = self._context.run(function, *self._args, **self._kwargs)
            finally:
                _close_connections()
        except BaseException as error:
            self.error = error
        del function

    def wait(self) -> Any:
        """Wait for the result, in the caller's greenlet; return it, or raise the call's exception."""
        self._waiter = greenlet.getcurrent()
        try:
            while not self.is_done:
                eventlet.hubs.get_hub().switch()
        finally:
            self._waiter = None
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # its traceback refers to this frame
        return self._result

    def wake(self) -> None:
        """Resume the caller, if it still waits; called on the hub."""
        if self._waiter is not None:
            self._waiter.switch()


class Pool:
    """At most ``size`` threads, started on demand, and the mailbox with which they wake the hub."""

    def __init__(self, size: int) -> None:
        self._free: Any = eventlet.Semaphore(size)
        self._idle = 0
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self.mailbox = Mailbox()

    def run(self, call: Call) -> Any:
        """Run ``call`` in a thread and return its result, in the caller's greenlet."""
        self._free.acquire()
        # Released when the thread is free again, which is after a killed caller has gone.
        try:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._work, name="django_websocket blocking calls", daemon=True).start()
        except BaseException:
            self._free.release()
            raise
        self._calls.put(call)
        return call.wait()

    def _work(self) -> None:
        # Only the main thread handles signals, and a signal delivered to this thread doesn't wake it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            call = self._calls.get()
            call.run()
            self.mailbox.post(self._finish, call)
            del call

    def _finish(self, call: Call) -> None:
        """On the hub."""
        call.is_done = True
        self._idle += 1
        self._free.release()
        eventlet.hubs.get_hub().schedule_call_global(0, call.wake)


_pool: Pool | None = None


def run(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call ``function`` in a native thread if the caller is a green thread, else directly."""
    global _pool
    if SIZE <= 0 or not hub_thread.can_switch():
        return copy_context().run(function, *args, **kwargs)
    if _pool is None:
        _pool = Pool(SIZE)
    return _pool.run(Call(function, args, kwargs))


def _forget_pool() -> None:
    """Discard the pool in a forked child, which has none of its threads."""
    global _pool
    pool, _pool = _pool, None
    if pool is not None:
        for fd in pool.mailbox.descriptors:
            os.close(fd)


os.register_at_fork(after_in_child=_forget_pool)


def _close_connections() -> None:
    """Close the database connections that this thread has opened."""
    database = sys.modules.get("django_websocket.database")
    if database is not None:
        database.close_opened()
