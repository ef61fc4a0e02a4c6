"""Reads, writes and waits for pipes and other descriptors; replaces the functions that eventlet patches into ``os``.

Eventlet's versions raise "Second simultaneous read" if two greenlets wait for one descriptor, as the threads of a
``multiprocessing.Pool`` do, and a large write to a pipe blocks the hub until it has been read. Here, a ready descriptor
is used at once, several greenlets may wait for the same one, and a pipe gets no more than it has room for. In a native
thread, and in the hub itself, these are plain system calls.
"""

from __future__ import annotations

import io
import os
import posix
import selectors
import stat
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import greenlet

from ...compat import eventlet as eventlet_internals
from . import eventlet

if TYPE_CHECKING:
    import select

    from _typeshed import FileDescriptorLike, ReadableBuffer
else:
    select = eventlet.patcher.original("select")

__all__ = ["Selector", "open_to_write", "read", "wait_ready", "write"]

READ = eventlet.hubs.hub.READ
WRITE = eventlet.hubs.hub.WRITE

PIPE_BUF: int = select.PIPE_BUF
""""The minimum number of bytes which can be written without blocking to a pipe when the pipe has been reported as ready
for writing by select(), poll() or another interface in this module" (Python's documentation)."""

BUDGET = 32
"""Consecutive calls with a ready descriptor after which other greenlets get to run."""

_left = BUDGET


def read(fd: int, length: int, /) -> bytes:
    """``os.read``, waiting in the hub."""
    if can_wait():
        wait_ready([fd])
    return posix.read(fd, length)


def write(fd: int, data: ReadableBuffer, /) -> int:
    """``os.write``, waiting in the hub. As there, a write to a blocking descriptor returns once all is written."""
    if not can_wait():
        return posix.write(fd, data)
    view = memoryview(data).cast("B")
    if len(view) <= PIPE_BUF or not _may_block(fd):
        wait_ready([fd], WRITE)
        return posix.write(fd, view)
    done = 0
    while done < len(view):
        wait_ready([fd], WRITE)
        done += posix.write(fd, view[done : done + PIPE_BUF])
    return done


def open_to_write(fd: int, mode: str, *, closefd: bool) -> io.BufferedWriter:
    """``open(fd, "wb", closefd=closefd)``, whose writes wait in the hub."""
    return io.BufferedWriter(_GreenFile(fd, mode, closefd=closefd))


class _GreenFile(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        return write(self.fileno(), data)


def can_wait() -> bool:
    """Whether the caller is a green thread, so that others run while it waits."""
    hub = eventlet_internals.current_hub()
    return hub is not None and hub.greenlet is not greenlet.getcurrent()


def _may_block(fd: int) -> bool:
    return os.get_blocking(fd) and not stat.S_ISREG(os.fstat(fd).st_mode)


def wait_ready(fds: Sequence[int], event: str = READ, timeout: float | None = None) -> list[int]:
    """Wait until any of ``fds`` is ready for ``event`` or closed by the other side; return those that are, or an empty
    list after ``timeout`` seconds.
    """
    global _left
    until = None if timeout is None else time.monotonic() + timeout
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN | select.POLLPRI if event is READ else select.POLLOUT)
    ready = [fd for fd, _ in poll.poll(0)]
    _left -= 1
    if _left <= 0 or (not ready and timeout is not None and timeout <= 0):
        _left = BUDGET
        eventlet.sleep(0)
    while not ready:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            break
        _left = BUDGET
        _wait(fds, event, left)
        # Another process or greenlet may have been faster.
        ready = [fd for fd, _ in poll.poll(0)]
    return ready


def _wait(fds: Sequence[int], event: str, timeout: float | None) -> None:
    """Switch to the hub until one of ``fds`` has an event, or for ``timeout`` seconds."""
    hub, current = eventlet.hubs.get_hub(), greenlet.getcurrent()
    listeners: list[Any] = []
    copies: list[int] = []
    woken = False

    def wake(*_: object) -> None:
        nonlocal woken
        if not woken:  # several descriptors may become ready at once
            woken = True
            current.switch()

    timer = None if timeout is None else hub.schedule_call_global(timeout, wake)
    try:
        for fd in fds:
            if fd in hub.listeners[event]:
                # The hub allows one listener per descriptor, so wait on a duplicate.
                fd = os.dup(fd)
                copies.append(fd)
            listeners.append(hub.add(event, fd, wake, wake, None))
        hub.switch()
    finally:
        woken = True
        if timer is not None:
            timer.cancel()
        for listener in listeners:
            hub.remove(listener)
        for fd in copies:
            posix.close(fd)


class Selector:
    """The part of a selector that ``multiprocessing.connection.wait`` needs."""

    def __init__(self) -> None:
        self._registered: dict[int, selectors.SelectorKey] = {}

    def __enter__(self) -> Selector:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._registered[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        fds = list(self._registered)
        if can_wait():
            ready = wait_ready(fds, READ, timeout)
        else:
            poll = select.poll()
            for fd in fds:
                poll.register(fd, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(None if timeout is None else max(0, timeout) * 1000)]
        return [(self._registered[fd], selectors.EVENT_READ) for fd in ready]
