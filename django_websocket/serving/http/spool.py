"""Receives chunked request bodies before the application runs.

A chunked request has no Content-Length, and without one Django treats the body as empty: the data would be silently
lost. So the whole body is received first, in memory or in a temporary file, and Content-Length is set.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from .body import RequestBody

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ChunkedBodySpooler"]

logger = logging.getLogger("django_websocket.server")

MEMORY_BYTES = 64 * 1024
"""Maximum bytes of a body to keep in memory; a larger one goes to a temporary file."""

MAX_BYTES = 256 * 1024 * 1024
"""Maximum size of a chunked body in bytes; a larger one gets a 413."""

MAX_TOTAL_BYTES = 1024 * 1024 * 1024
"""Maximum total bytes of the process's temporary files. Beyond it, the largest body that is being received gets a 503,
so that a few large uploads can't keep small ones out."""


class ChunkedBodySpooler:
    """WSGI middleware that passes chunked bodies to ``application`` as if they had come with a Content-Length.

    ``directory`` is for the temporary files; None means the system's default. ``wsgi.input`` must be the server's
    :class:`.body.RequestBody`, which closes the temporary file after the response.
    """

    def __init__(self, application: WSGIApplication, directory: str | None = None) -> None:
        self._application = application
        self._directory = directory
        self._receiving: set[_SpooledBody] = set()
        self._full = False
        self.max_files = sys.maxsize
        """Maximum number of temporary files; beyond it, a body that needs one gets a 503. Each takes a descriptor."""
        self.files = 0
        """Number of temporary files."""
        self.total = 0
        """Bytes in them."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ:
            refusal = self._spool(environ)
            if refusal is not None:
                status, reason = refusal
                start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
                return [f"{reason}\n".encode()]
        return self._application(environ, start_response)

    def _spool(self, environ: WSGIEnvironment) -> tuple[str, str] | None:
        """Receive the body; return the status and reason of a refusal if it is too large."""
        body: RequestBody = environ["wsgi.input"]
        spooled = _SpooledBody(self, self._directory)
        body.on_close = spooled.close
        self._receiving.add(spooled)
        try:
            while piece := body.receive():
                if spooled.size + len(piece) > MAX_BYTES:
                    return "413 Content Too Large", f"A chunked request body must not exceed {MAX_BYTES} bytes."
                if spooled.closed or not self._make_room(spooled, len(piece)):
                    return "503 Service Unavailable", "Too many request bodies are being received."
                spooled.write(piece)
        finally:
            self._receiving.discard(spooled)
        if spooled.closed:
            return "503 Service Unavailable", "Too many request bodies are being received."
        if self.total < MAX_TOTAL_BYTES // 2 and self.files < self.max_files // 2:
            self._full = False  # so that the next time is logged again
        spooled.file.seek(0)
        environ["wsgi.input"] = spooled.file
        environ["CONTENT_LENGTH"] = str(spooled.size)
        del environ["HTTP_TRANSFER_ENCODING"]
        return None

    def _make_room(self, spooled: _SpooledBody, size: int) -> bool:
        """Whether ``size`` more bytes of a body may be kept, possibly by dropping another one."""
        if not spooled.in_file and spooled.size + size <= MEMORY_BYTES:
            return True
        needed = size if spooled.in_file else spooled.size + size
        if (spooled.in_file or self.files < self.max_files) and self.total + needed <= MAX_TOTAL_BYTES:
            return True
        if not self._full:
            self._full = True
            logger.warning("chunked request bodies take %d files and %d bytes: refusing some", self.files, self.total)
        if not spooled.in_file and self.files >= self.max_files:
            return False
        largest = max(self._receiving, key=lambda other: other.size)
        if largest.size <= spooled.size + size:
            return False
        # Its green thread notices when more of the body arrives, or the client's time is up.
        largest.close()
        self._receiving.discard(largest)  # it has no more to give
        return True


class _SpooledBody:
    """The part of a body that has been received."""

    __slots__ = ("_spooler", "closed", "file", "in_file", "size")

    def __init__(self, spooler: ChunkedBodySpooler, directory: str | None) -> None:
        self._spooler = spooler
        self.file = SpooledTemporaryFile(MEMORY_BYTES, dir=directory)  # noqa: SIM115  closed after the response
        self.in_file = False
        self.size = 0
        self.closed = False

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.in_file:
            self._spooler.total += len(piece)
        elif self.size > MEMORY_BYTES:
            self.in_file = True
            self._spooler.files += 1
            self._spooler.total += self.size
        self.file.write(piece)

    def close(self) -> None:
        """Free what the body takes; calling it again does nothing."""
        if self.closed:
            return
        self.closed = True
        if self.in_file:
            self._spooler.files -= 1
            self._spooler.total -= self.size
        try:
            self.file.close()
        except OSError:
            pass  # it flushes first, in vain if the disk is full
