"""An application that knows nothing of Django."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/client/":
        return [f"{environ['SSL_CLIENT_VERIFY']} {environ.get('SSL_CLIENT_CERT', '')}".encode()]
    if environ["PATH_INFO"] == "/exit/":
        import eventlet

        eventlet.spawn(sys.exit, 5)
        eventlet.sleep(0)
    return [f"{environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()]
