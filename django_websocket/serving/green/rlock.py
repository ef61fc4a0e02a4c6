"""A reentrant lock for green and native threads alike.

Eventlet's locks are for the greenlets of one thread. If two threads contend for one, the waiting thread sleeps forever,
since the owner can't switch to a greenlet of another thread. Every log handler has such a lock, and so has every
``asgiref.local.Local``, in which Django keeps the active language, so code in native threads needs them sooner or
later.
"""

from __future__ import annotations

import logging
import threading as patched
from types import TracebackType
from typing import TYPE_CHECKING

from greenlet import getcurrent

from . import eventlet
from .hub_thread import can_switch, monotonic

if TYPE_CHECKING:
    import threading
else:
    threading = eventlet.patcher.original("threading")

__all__ = ["RLock", "install"]

LONGEST_PAUSE = 0.01
"""Maximum seconds between two attempts of a greenlet to take a lock that is held."""


class RLock:
    """A lock that is owned by a greenlet, which may acquire it repeatedly. A native thread counts as one greenlet.

    A waiting greenlet lets others run and tries again; a native thread blocks.
    """

    __slots__ = ("__weakref__", "_count", "_lock", "_owner")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: object = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        try:
            me = getcurrent()
        except RuntimeError:
            return True  # the interpreter is being finalized: nobody else runs any more
        if self._owner is me:
            self._count += 1
            return True
        if not self._lock.acquire(False) and not (blocking and self._wait(timeout)):
            return False
        self._owner = me
        self._count = 1
        return True

    def __enter__(self) -> bool:
        return self.acquire()

    def _wait(self, timeout: float) -> bool:
        if not can_switch():
            return self._lock.acquire(True, timeout)
        end = monotonic() + timeout if timeout >= 0 else float("inf")
        pause = 0.0
        while not self._lock.acquire(False):
            left = end - monotonic()
            if left <= 0:
                return False
            eventlet.sleep(min(pause, left))
            pause = min(2 * pause + 0.0005, LONGEST_PAUSE)
        return True

    def release(self) -> None:
        try:
            me = getcurrent()
        except RuntimeError:
            return  # as in acquire()
        if self._owner is not me:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._lock.release()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def locked(self) -> bool:
        """Whether the lock is held by any greenlet (Python 3.14)."""
        return self._lock.locked()

    # Private methods used by threading.Condition, multiprocessing's resource tracker and os.register_at_fork.

    def _recursion_count(self) -> int:
        return self._count if self._owner is getcurrent() else 0

    def _is_owned(self) -> bool:
        return self._owner is getcurrent()

    def _release_save(self) -> int:
        count, self._count = self._count, 1
        self.release()
        return count

    def _acquire_restore(self, count: int) -> None:
        self.acquire()
        self._count = count

    def _at_fork_reinit(self) -> None:
        self._lock = threading.Lock()
        self._owner = None
        self._count = 0


def install() -> None:
    """Replace ``threading.RLock``, and the locks that :mod:`logging` has already created."""
    patched.RLock = RLock  # type: ignore[assignment]  # a function or a class, depending on the version
    logging._lock = RLock()  # type: ignore[attr-defined]  # guards the logger hierarchy
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if handler is not None:
            handler.createLock()
