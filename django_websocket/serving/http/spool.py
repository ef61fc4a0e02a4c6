"""Receives chunked request bodies before the application runs.

A chunked request has no Content-Length, and without one Django treats the body as empty: the data would be silently
lost. So the whole body is received first, in memory or in a temporary file, and Content-Length is set.
"""

from __future__ import annotations

import logging
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
"""Maximum total bytes of the process's chunked bodies at a time; beyond it, chunked requests get a 503."""


class ChunkedBodySpooler:
    """WSGI middleware that passes chunked bodies to ``application`` as if they had come with a Content-Length.

    ``directory`` is for the temporary files; None means the system's default. ``wsgi.input`` must be the server's
    :class:`.body.RequestBody`, which closes the temporary file after the response.
    """

    def __init__(self, application: WSGIApplication, directory: str | None = None) -> None:
        self._application = application
        self._directory = directory
        self._full = False
        self.total = 0
        """Bytes of all currently spooled bodies."""

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
        # Kept open beyond this call: the body closes it.
        file = SpooledTemporaryFile(MEMORY_BYTES, dir=self._directory)  # noqa: SIM115
        size = 0

        def close() -> None:
            file.close()
            self.total -= size

        body.on_close = close
        while piece := body.receive():
            size += len(piece)
            self.total += len(piece)
            if size > MAX_BYTES:
                return "413 Content Too Large", f"A chunked request body must not exceed {MAX_BYTES} bytes."
            if self.total > MAX_TOTAL_BYTES:
                if not self._full:
                    self._full = True
                    logger.warning("chunked request bodies hold %d bytes: refusing more", self.total)
                return "503 Service Unavailable", "Too many request bodies are being received."
            file.write(piece)
        self._full = False
        file.seek(0)
        environ["wsgi.input"] = file
        environ["CONTENT_LENGTH"] = str(size)
        del environ["HTTP_TRANSFER_ENCODING"]
        return None
