"""Blocking calls from native threads into the hub's thread.

Each call runs in a greenlet of its own, so it may block. Its caller waits on a native lock, but not for ever:

* When the server stops and closes this object, pending calls fail.
* While it waits, the caller checks that the hub is alive. A view that blocks the hub until the calling thread has
  finished (by joining it, say) would otherwise deadlock the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import greenlet

from . import eventlet, hub_thread
from .forks import give_up
from .mailbox import Mailbox

if TYPE_CHECKING:
    import threading
    from types import TracebackType
else:
    threading = eventlet.patcher.original("threading")

__all__ = ["ThreadCalls"]

LOOK_SECONDS = 5.0
"""Seconds between two heartbeats requested of the hub."""

MAX_SILENT_LOOKS = 6
"""Missed heartbeats after which a caller gives up. They are counted, rather than timed, so that no caller gives up
because the process was suspended."""


class ThreadCalls:
    """Accepts calls for the hub of the thread that creates it, until closed; a context manager that closes itself."""

    def __init__(self) -> None:
        self._mailbox = Mailbox()
        self._lock = threading.Lock()  # the mailbox's descriptors must not be closed while a thread writes to them
        self._pending: set[_Call] = set()
        self._is_open = True

    def __enter__(self) -> ThreadCalls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def in_own_thread(self) -> bool:
        """Whether the caller runs in the hub's thread."""
        return hub_thread.is_current()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Have the hub's thread call ``function(*args)``; return what it returns, raise what it raises.

        Only for other threads; blocks. Raises ConnectionAbortedError if this object is closed, or is closed before the
        function returns, and RuntimeError if the hub is blocked for half a minute. In both cases a function that has
        not started never does, and one that is waiting is killed.
        """
        assert not hub_thread.is_current(), "the hub can't wait for itself"
        call = _Call(function, args)
        self._pending.add(call)
        try:
            if not self._post(call.start):
                raise ConnectionAbortedError("the server has stopped")
            self._wait(call)
        finally:
            self._pending.discard(call)
        return call.outcome()

    def _post(self, function: Callable[[], None]) -> bool:
        with self._lock:
            if self._is_open:
                self._mailbox.post(function)
            return self._is_open

    def _wait(self, call: _Call) -> None:
        silent = 0
        try:
            while not call.done.acquire(timeout=LOOK_SECONDS):
                silent = 0 if call.take_sign() else silent + 1
                if silent >= MAX_SILENT_LOOKS:
                    raise RuntimeError(
                        "the hub is blocked and is not accepting calls from other threads: a view must not wait for a "
                        "native thread other than with django_websocket.blocking.to_thread"
                    )
                self._post(call.give_sign)
        except BaseException:
            call.cancel()
            self._post(call.kill)
            raise

    def close(self) -> None:
        """Accept no more calls and fail pending ones. Call it in the hub's thread."""
        with self._lock:
            self._is_open = False
            self._mailbox.close()
        for call in list(self._pending):
            call.cancel()
            call.finish(None, ConnectionAbortedError("the server has stopped"))

    def disown(self) -> None:
        """In a forked child: drop the calls, which belong to the parent's threads."""
        self._lock = threading.Lock()  # another thread may have held it
        self._is_open = False
        self._pending.clear()
        give_up(self._mailbox.descriptors)


class _Call:
    """One call; all methods but :meth:`cancel`, :meth:`take_sign` and :meth:`outcome` run in the hub's thread."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._function = function
        self._args = args
        self._greenlet: greenlet.greenlet | None = None
        self._start = threading.Lock()
        """Taken by the hub to start the call, or by the caller to prevent that."""
        self._has_sign = False
        self._is_finished = False
        self._result: Any = None
        self._error: BaseException | None = None
        self.done = threading.Lock()
        """Released once there is an outcome."""
        self.done.acquire()

    def start(self) -> None:
        if self._start.acquire(blocking=False):
            self._greenlet = greenlet.greenlet(self._run)
            self._greenlet.switch()

    def _run(self) -> None:
        try:
            result = self._function(*self._args)
        except greenlet.GreenletExit:
            self.finish(None, ConnectionAbortedError("the call was killed"))
        except BaseException as error:
            self.finish(None, error)
        else:
            self.finish(result, None)

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Pass the outcome to the caller, unless it has one already."""
        if not self._is_finished:
            self._is_finished = True
            self._result, self._error = result, error
            self.done.release()

    def kill(self) -> None:
        """Kill the call if it is waiting."""
        if self._greenlet is not None and not self._greenlet.dead:
            self._greenlet.throw()

    def give_sign(self) -> None:
        self._has_sign = True

    def take_sign(self) -> bool:
        has_sign, self._has_sign = self._has_sign, False
        return has_sign

    def cancel(self) -> None:
        """Keep the call from starting; no effect if it has started."""
        self._start.acquire(blocking=False)

    def outcome(self) -> Any:
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback refers to this object
        return self._result
