"""Handles redirects of handshakes: browsers don't follow them, and don't report where they lead.

``@login_required``, LoginRequiredMiddleware and the like redirect anonymous users to a login page. For a handshake this
becomes a 403. Other redirects (to https, to the URL with a trailing slash) are kept, since some clients follow them.
Both are logged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .exceptions import RefusalReason
from .protocol.handshake import is_websocket_request
from .refusals import blame

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["needs_login", "refuse_redirects"]

logger = logging.getLogger("django.request")

FORBIDDEN = "403 Forbidden"

#: Headers of a redirect that don't apply to the response that replaces it.
_OF_THE_REDIRECT = frozenset(("content-length", "content-type", "location"))


def refuse_redirects(application: WSGIApplication) -> WSGIApplication:
    """Wrap ``application`` so that redirects of handshakes to a login page become 403."""

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        upgrade = environ.get("HTTP_UPGRADE")
        if upgrade is None:
            return application(environ, start_response)
        body: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            if status[:1] != "3" or not is_websocket_request({"upgrade": upgrade}):
                return start_response(status, headers, exc_info)
            target = next((value for name, value in headers if name.lower() == "location"), "")
            path = environ.get("RAW_URI") or environ.get("PATH_INFO", "")
            if not needs_login(target, environ):
                logger.warning("%s: %s (browsers follow no redirect of a websocket, to %s)", status[4:], path, target)
                return start_response(status, headers, exc_info)
            blame(environ, RefusalReason.LOGIN)
            reason = f"login is required at {target}"
            logger.warning("Forbidden: %s (%s)", path, reason, extra={"status_code": 403})
            body.append(f"{reason}\n".encode())
            kept = [(name, value) for name, value in headers if name.lower() not in _OF_THE_REDIRECT]
            return start_response(FORBIDDEN, [*kept, ("Content-Type", "text/plain; charset=utf-8")], exc_info)

        result = application(environ, start)
        return _Replaced(result, body) if body else result

    return wrapped


def needs_login(target: str, environ: WSGIEnvironment) -> bool:
    """Whether ``target`` is a login page: a query parameter leads back here, as with ``redirect_to_login()``."""
    here = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1").decode(errors="replace")
    try:
        # The path in the parameter is quoted a second time, since get_full_path() quotes it.
        return any(
            value.startswith(("/", "http://", "https://")) and unquote(urlsplit(value).path) == here
            for _, value in parse_qsl(urlsplit(target).query)
        )
    except ValueError:
        return False


class _Replaced:
    """A replacement body. Closing it closes the original."""

    def __init__(self, replaced: Any, body: list[bytes]) -> None:
        self._replaced = replaced
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def __len__(self) -> int:
        return len(self._body)

    def close(self) -> None:
        close = getattr(self._replaced, "close", None)
        if close is not None:
            close()
