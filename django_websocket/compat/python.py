"""Uses of private API of the standard library."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

__all__ = ["accept_connection", "replace_buffer", "when_threads_end"]


def accept_connection(listener: socket.socket) -> tuple[int, Any]:
    """Accept the next connection; return its descriptor and address. Raises what ``accept()`` raises.

    ``socket.accept()`` calls the private ``_accept()`` and wraps the result in a socket object, a green one in a
    patched process. Without ``_accept()``, that object is created and detached.
    """
    accept = getattr(listener, "_accept", None)
    if accept is not None:
        fd, address = accept()
        return fd, address
    sock, address = listener.accept()
    return sock.detach(), address


def replace_buffer(stream: io.TextIOWrapper, raw: io.RawIOBase) -> None:
    """Make ``stream`` write to ``raw`` from now on, for everybody who holds the stream.

    That a text stream may be initialised again is not documented.
    """
    try:
        stream.flush()
    except OSError:
        pass
    stream.__init__(  # type: ignore[misc]
        raw,
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def when_threads_end(callback: Callable[[], None]) -> None:
    """Call ``callback`` in each thread started by :mod:`threading`, when the thread ends."""
    run: Callable[[threading.Thread], None] = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def _bootstrap_inner(self: threading.Thread) -> None:
        try:
            run(self)
        finally:
            callback()

    threading.Thread._bootstrap_inner = _bootstrap_inner  # type: ignore[attr-defined]
