"""Detaches forked children from the server.

``fork(2)`` copies everything: listeners, the clients' sockets, the epoll descriptor, which both processes then share,
the pipe that signals are written to, and the hub with all its timers and greenlets. Without further measures, the child
would serve, too. So before anything else runs in the child, it

* closes what belongs to the server (:func:`at_fork`);
* gets an empty hub. It is the same object, because there are many references to it. Whatever the parent's greenlets
  waited for is discarded, and none of them runs in the child;
* is set up to exit when the greenlet that forked ends, as a process ends with its only thread.

The application's pipes, files and database connections stay open, as in any threaded process that forks.
"""

from __future__ import annotations

import gc
import os
import posix
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import greenlet

from ...compat import eventlet as eventlet_internals
from ...compat import processes
from . import eventlet

__all__ = ["at_fork", "give_up", "leave"]


@dataclass(eq=False, frozen=True)
class _Care:
    before: Callable[[], None] | None
    parent: Callable[[], None] | None
    child: Callable[[], None] | None
    hub: Any


_cares: dict[_Care, None] = {}
_kept: list[object] = []
"""State of the parent's hub, kept because unreferenced greenlets would be killed and run their cleanup in the child."""

_under_way = 0
_mask: set[int] = set()


@contextmanager
def at_fork(
    *,
    child: Callable[[], None] | None = None,
    before: Callable[[], None] | None = None,
    parent: Callable[[], None] | None = None,
) -> Iterator[None]:
    """While the context is open, call ``before`` and ``parent`` in the parent before and after each fork, and ``child``
    in the child.

    ``child`` runs before the child's hub is reset; it must neither block nor use the hub. Exceptions are printed.
    """
    care = _Care(before, parent, child, eventlet.hubs.get_hub())
    _cares[care] = None
    try:
        yield
    finally:
        _cares.pop(care, None)


def give_up(descriptors: Iterable[int]) -> None:
    """Close ``descriptors`` in a child without notifying the other side.

    Their numbers are redirected to the null device, so that objects still holding them can neither reach the other side
    nor close an unrelated descriptor that reuses the number.
    """
    null = posix.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        for descriptor in descriptors:
            os.dup2(null, descriptor, inheritable=False)
    finally:
        posix.close(null)


def leave(error: BaseException | None = None) -> NoReturn:
    """Exit a child whose greenlet has ended, with ``error`` if not None. No other cleanup is done."""
    status = 0
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            status = error.code
        elif error.code is not None:
            print(error.code, file=sys.stderr)
            status = 1
    elif error is not None and not isinstance(error, greenlet.GreenletExit):
        traceback.print_exception(error)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # no stream, broken pipe, closed
            pass
    os._exit(status)


def _before() -> None:
    global _under_way
    _under_way += 1
    if _under_way > 1:  # locks that other hooks take before a fork may let other greenlets run and fork
        return
    # A signal to the child must not arrive while it still has the server's handlers: they write to the pipe that tells
    # the server to stop.
    _mask.update(signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))
    _call("before")


def _in_parent() -> None:
    global _under_way
    _under_way -= 1
    if not _under_way:
        _call("parent")
        _unblock_signals()


def _in_child() -> None:
    global _under_way
    _under_way = 0
    try:
        _call("child")
        hubs = {id(care.hub): care.hub for care in _cares}
        _cares.clear()
        mine = eventlet_internals.current_hub()
        for hub in hubs.values():
            if hub is not mine:
                _close_poll(hub)
        if mine is not None:
            _renew(mine)
        processes.forget_other_threads()
        eventlet_internals.forget_native_threads()
        # The parent's garbage must not be collected in the child.
        gc.freeze()
    finally:
        _unblock_signals()


def _call(moment: str) -> None:
    for care in list(_cares):
        function = getattr(care, moment)
        if function is not None:
            try:
                function()
            except Exception:
                traceback.print_exc()


def _unblock_signals() -> None:
    mask = _mask.copy()
    _mask.clear()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _renew(hub: Any) -> None:
    """Reset ``hub``, so that greenlets ending in this process don't continue in the parent's hub greenlet."""
    for bucket in hub.listeners.values():
        for listener in bucket.values():
            listener.spent = True  # so that remove() skips it
    for bucket in hub.secondaries.values():
        for listeners in bucket.values():
            for listener in listeners:
                listener.spent = True
    _kept.extend((hub.listeners, hub.secondaries, hub.timers, hub.next_timers, hub.closed, hub.greenlet))
    _replace_greenlet(hub)
    _close_poll(hub)
    hub.__init__(hub.clock)


def _replace_greenlet(hub: Any) -> None:
    """End the hub's greenlet, and make the end of the forking greenlet end the process."""
    old, current = hub.greenlet, greenlet.getcurrent()
    if not old or old is current:  # not running, or itself forking
        return
    top: Any = current
    while top.parent is not None and top.parent is not old:
        top = top.parent
    heir = current
    if top.parent is old:
        root: Any = old
        while root.parent is not None:
            root = root.parent
        heir = greenlet.greenlet(_await_end, root)
        heir.switch(current)
        top.parent = heir
    old.parent = current
    eventlet_internals.end_loop(hub)
    old.parent = heir


def _await_end(forking: greenlet.greenlet) -> NoReturn:
    """Body of the forking greenlet's parent, which resumes when that greenlet ends."""
    error = None
    try:
        forking.switch()
    except BaseException as exception:
        error = exception
    leave(error)


def _close_poll(hub: Any) -> None:
    # The epoll instance is shared: polling or changing it would affect the parent.
    poll: Any = getattr(hub, "poll", None) or getattr(hub, "kqueue", None)
    if hasattr(poll, "close"):
        poll.close()


eventlet_internals.silence_fork_warning()
processes.threading_after_fork()  # cached here because it reads a file, which a child should avoid
os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
