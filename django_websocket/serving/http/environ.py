"""Builds the environ of a request (PEP 3333)."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from ...admission.offer import take_ticket
from ...channel import UPGRADE_KEY, Upgrade
from ...memo import Memo
from .body import RequestBody
from .files import FileWrapper
from .head import Head

__all__ = ["base_environ", "make_environ"]


def base_environ(server_name: str, server_port: str, *, multiprocess: bool, is_secure: bool = False) -> dict[str, Any]:
    """Return the part of the environ that all requests on a listener share. ``is_secure``: TLS ends here."""
    return {
        **({"HTTPS": "on"} if is_secure else {}),
        "SCRIPT_NAME": "",
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "SERVER_SOFTWARE": "django-websocket",
        "wsgi.version": (1, 0),
        # If TLS ends at a proxy, SECURE_PROXY_SSL_HEADER tells Django about it.
        "wsgi.url_scheme": "https" if is_secure else "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
    }


def _variable(name: bytes) -> str:
    """Return the environ key for a header."""
    key = name.decode("ascii").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


_variables = Memo(_variable, entries=1024, length=64)


def make_environ(
    base: dict[str, Any], head: Head, body: RequestBody, peer: tuple[str, str], upgrade: Upgrade
) -> dict[str, Any]:
    """Return the environ for ``head``. ``peer`` is the client's address and port, both "" on a unix socket."""
    environ = base.copy()
    path = head.path
    environ["REQUEST_METHOD"] = head.method
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    environ["QUERY_STRING"] = head.query
    environ["RAW_URI"] = head.target
    environ["SERVER_PROTOCOL"] = head.protocol
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = peer
    environ["wsgi.input"] = body
    environ[UPGRADE_KEY] = upgrade
    for name, raw_value in head.headers:
        key = _variables[name]
        value = raw_value.decode("latin-1")
        if key in environ:
            # RFC 9110, 5.3: combined in order, "separated by a comma"; RFC 9113, 8.2.3 for Cookie.
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    if "HTTP_SEC_WEBSOCKET_PROTOCOL" in environ:
        upgrade.ticket = take_ticket(environ)
    return environ
