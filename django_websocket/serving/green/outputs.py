"""Standard output and error of a server, which must neither block nor fail.

If nobody reads a pipe, it fills up, and the next log line would block the process, signal handling included. If the
reader has exited, BrokenPipeError is raised in any view that prints. :func:`protect_outputs` prevents both. While the
reader keeps up, each line is written immediately, so none is lost if the process crashes. Otherwise lines are buffered
in memory; beyond a limit they are dropped and counted.

Terminals are left unchanged: a debugger needs its prompt immediately.
"""

from __future__ import annotations

import atexit
import io
import os
import posix
import stat
import sys
from typing import TYPE_CHECKING, Any, TextIO

from ...compat import eventlet as eventlet_internals
from ...compat.python import replace_buffer
from . import eventlet, hub_thread

if TYPE_CHECKING:
    import select
    import threading

    from _typeshed import ReadableBuffer
else:
    select = eventlet.patcher.original("select")
    threading = eventlet.patcher.original("threading")

__all__ = ["Output", "open_closed_streams", "protect_outputs", "tell"]

MAX_WAITING = 1024 * 1024
"""Maximum number of buffered bytes."""

CHUNK = 65536
"""Buffered bytes to write at a time."""

RETRY_SECONDS = 0.1
"""Seconds between attempts to write buffered bytes."""

EXIT_SECONDS = 0.5
"""Seconds to wait, when the process exits, for the reader to take what is buffered."""

PIPE_BUF: int = select.PIPE_BUF

STDERR = 2


class Output(io.RawIOBase):
    """A raw stream that writes to ``fd``; :meth:`write` accepts all data, never blocks and never raises OSError."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._target, self._may_block = _open_non_blocking(fd)
        self._poll = select.poll()
        self._poll.register(self._target, select.POLLOUT)
        self._waiting = bytearray()
        self._lost = 0
        self._timer: Any = None
        # Re-entrant, for signal handlers. No other greenlet runs while it is held.
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: ReadableBuffer, /) -> int:
        whole = bytes(data)
        with self._lock:
            self._write_waiting()
            rest = whole if self._waiting else self._write(whole)
            if rest:
                # The rest of a partly written line is always kept.
                if len(self._waiting) + len(rest) > MAX_WAITING and len(rest) == len(whole):
                    self._lost += _lines(rest)
                else:
                    self._waiting += rest
                self._retry_later()
        return len(whole)

    def finish(self, seconds: float = EXIT_SECONDS) -> None:
        """Wait at most ``seconds`` for the reader to take what is buffered."""
        until = hub_thread.monotonic() + seconds
        with self._lock:
            self._write_waiting()
            while self._waiting and (left := until - hub_thread.monotonic()) > 0:
                self._poll.poll(left * 1000)
                self._write_waiting()

    def forget(self) -> None:
        """In a forked child: discard the buffer, which the parent will write."""
        self._lock = threading.RLock()
        self._waiting.clear()
        self._lost = 0
        self._timer = None

    def _write_waiting(self) -> None:
        while self._waiting:
            data = bytes(self._waiting[:CHUNK])
            rest = self._write(data)
            del self._waiting[: len(data) - len(rest)]
            if rest:
                return
        if self._lost:
            lost, self._lost = self._lost, 0
            line = f"django_websocket: {lost} lines of output were lost: not read in time, or write error\n".encode()
            rest = self._write(line)
            if rest == line:
                self._lost += lost
            else:
                self._waiting += rest

    def _write(self, data: bytes) -> bytes:
        """Write as much of ``data`` as possible without blocking; return the rest."""
        try:
            while data and (not self._may_block or self._poll.poll(0)):
                done = posix.write(self._target, data[:PIPE_BUF] if self._may_block else data)
                data = data[done:]
        except BlockingIOError:
            pass
        except OSError:
            # The reader has exited, or the disk is full; either may be temporary.
            self._lost += _lines(data)
            data = b""
        return data

    def _retry_later(self) -> None:
        if self._timer is None and hub_thread.is_current() and (hub := eventlet_internals.current_hub()) is not None:
            self._timer = hub.schedule_call_global(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        with self._lock:
            self._timer = None
            self._write_waiting()
            if self._waiting or self._lost:
                self._retry_later()


def _open_non_blocking(fd: int) -> tuple[int, bool]:
    """Return the descriptor to write to for ``fd``, and whether that may block.

    O_NONBLOCK belongs to the open file, which other processes share, so a pipe is opened again. For anything else there
    is poll(2): "writing is now possible, though a write larger than the available space will still block".
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode):
        try:
            return posix.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), False
        except OSError:
            pass  # not Linux, or the pipe is another user's
    return fd, not stat.S_ISREG(mode)


def _lines(data: bytes) -> int:
    return max(1, data.count(b"\n"))


_protected: dict[int, Output] = {}


def protect_outputs() -> None:
    """Make ``sys.stdout`` and ``sys.stderr`` streams that never block or fail, for a process that only serves.

    The stream objects stay the same, since logging handlers refer to them. Child processes, and the interpreter itself
    when it crashes, write to the descriptors directly.
    """
    for stream in (sys.stdout, sys.stderr):
        # The application has replaced any other stream, and is responsible for it.
        if not isinstance(stream, io.TextIOWrapper) or stream is not _original(stream) or stream.isatty():
            continue
        fd = stream.fileno()
        if fd not in _protected:
            _protected[fd] = Output(fd)
            replace_buffer(stream, _protected[fd])
            atexit.register(_protected[fd].finish)


def _original(stream: TextIO) -> TextIO | None:
    return next((each for each in (sys.__stdout__, sys.__stderr__) if each is stream), None)


def tell(line: str) -> None:
    """Write ``line`` to standard error, from any thread, when logging is not possible. Never blocks."""
    output = _protected.get(STDERR)
    data = f"{line}\n".encode(errors="backslashreplace")
    if output is not None:
        output.write(data)
        return
    poll = select.poll()
    poll.register(STDERR, select.POLLOUT)
    try:
        if poll.poll(0):
            posix.write(STDERR, data[:PIPE_BUF])
    except OSError:
        pass


def open_closed_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise the next file or socket to be opened would get its number, and receive what is written to the stream.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number, which is this one.
            os.set_inheritable(posix.open(os.devnull, os.O_RDWR), True)
            stream = open(fd, mode, closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _forget_in_child() -> None:
    for output in _protected.values():
        output.forget()


os.register_at_fork(after_in_child=_forget_in_child)
