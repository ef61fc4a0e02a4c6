"""Uses of private API of the standard library."""

from __future__ import annotations

import encodings
import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

__all__ = ["accept_connection", "bound_unknown_encodings", "replace_buffer", "when_threads_end"]


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


class _Encodings(dict[str, Any]):
    """The codecs found, and up to ``MAX_UNKNOWN`` short names of which there is none."""

    MAX_UNKNOWN = 256
    MAX_LENGTH = 64
    _unknown = 0

    def __setitem__(self, name: str, codec: Any) -> None:
        if codec is None:
            if len(name) > self.MAX_LENGTH or self._unknown >= self.MAX_UNKNOWN:
                return
            self._unknown += 1
        super().__setitem__(name, codec)


def bound_unknown_encodings() -> None:
    """Limit how many unknown names of encodings Python remembers; calling it again does nothing.

    Before 3.15, or the patch releases that bound it (gh-146054), it remembers all of them for ever, and Django looks up
    the charset of each request, which the client chooses.
    """
    module: Any = encodings
    cache = getattr(module, "_cache", None)
    if type(cache) is dict:
        module._cache = _Encodings(cache)


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
