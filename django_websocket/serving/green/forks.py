"""A forked child of the server is a process of its own.

``fork(2)`` copies everything: listeners, the clients' sockets, the descriptor of epoll, which both processes then
share, the pipe that signals are written to, and the hub with all its timers and greenlets. Left alone, such a child
serves. So the child, before anything else runs in it,

* gives up what belongs to the server (:func:`at_fork`);
* gets an empty hub. It is the same object, because many hold a reference to it. What the parent's greenlets waited for
  is forgotten, and none of them runs in the child;
* ends when the greenlet that forked ends, as a process ends with its only thread.

Pipes, files and database connections of the application stay open, as they do wherever a process with threads forks.
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
"""What the parent's hub knew. A greenlet that nobody refers to would be ended in the child, and clean up there."""

_under_way = 0
_mask: set[int] = set()


@contextmanager
def at_fork(
    *,
    child: Callable[[], None] | None = None,
    before: Callable[[], None] | None = None,
    parent: Callable[[], None] | None = None,
) -> Iterator[None]:
    """While the context is open, call these in the child, and in the parent before and after each fork.

    ``child`` runs before the child's hub is renewed; it must not block, nor touch the hub.
    """
    care = _Care(before, parent, child, eventlet.hubs.get_hub())
    _cares[care] = None
    try:
        yield
    finally:
        _cares.pop(care, None)


def give_up(descriptors: Iterable[int]) -> None:
    """Let go of ``descriptors`` in a child, without a word to the other side.

    Their numbers stay taken, by the null device: what still refers to them can neither reach the other side nor close
    what got their number later.
    """
    null = posix.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        for descriptor in descriptors:
            os.dup2(null, descriptor, inheritable=False)
    finally:
        posix.close(null)


def leave(error: BaseException | None = None) -> NoReturn:
    """End a child whose greenlet has come to its end, by ``error`` if there is one, and do nothing else."""
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
        except (AttributeError, OSError, ValueError):  # none, gone, closed
            pass
    os._exit(status)


def _before() -> None:
    global _under_way
    _under_way += 1
    if _under_way > 1:  # the locks that others take before a fork may let greenlets run, and fork
        return
    # A signal for the child must not reach it while its handlers still are the server's: they write to the pipe from
    # which the server learns that it is to stop.
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
        # What is garbage of the parent's is not the child's to collect.
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
    """Empty ``hub``, and see to it that what ends in this process doesn't end in the old one."""
    for bucket in hub.listeners.values():
        for listener in bucket.values():
            listener.spent = True  # remove() passes over it
    for bucket in hub.secondaries.values():
        for listeners in bucket.values():
            for listener in listeners:
                listener.spent = True
    _kept.extend((hub.listeners, hub.secondaries, hub.timers, hub.next_timers, hub.closed, hub.greenlet))
    _replace_greenlet(hub)
    _close_poll(hub)
    hub.__init__(hub.clock)


def _replace_greenlet(hub: Any) -> None:
    """End the hub's greenlet, and have those that end in its stead end the process."""
    old, current = hub.greenlet, greenlet.getcurrent()
    if not old or old is current:  # it never ran
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
    try:
        # The one that goes through the hub's loop, and through callbacks of ours, without being taken for a fault.
        old.throw(SystemExit)
    except SystemExit:
        pass
    old.parent = heir


def _await_end(forking: greenlet.greenlet) -> NoReturn:
    """The parent of the greenlet that forked: comes to itself when that ends."""
    error = None
    try:
        forking.switch()
    except BaseException as exception:
        error = exception
    leave(error)


def _close_poll(hub: Any) -> None:
    # A look at the shared epoll, or a change to it, would be one at the parent's.
    poll: Any = getattr(hub, "poll", None) or getattr(hub, "kqueue", None)
    if hasattr(poll, "close"):
        poll.close()


eventlet_internals.silence_fork_warning()
processes.threading_after_fork()  # reads a file, which a child had better not
os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
