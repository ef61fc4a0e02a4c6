"""The request of a websocket: what is attached at the handshake and what is kept while the socket is open.

A view may keep its request for days, so what only the handshake needs is dropped when the socket opens. Reference
cycles that Django's middleware creates are broken when the view ends. Otherwise thousands of requests would pile up in
the garbage collector's oldest generation, and collecting them would stall the whole process.
"""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest

from .admission.entrance import admit
from .admission.offer import take_ticket
from .channel import UPGRADE_KEY, Upgrade
from .compat import django as compat
from .exceptions import HandshakeError
from .options import resolve_options
from .protocol.handshake import is_websocket_request, parse_handshake
from .websocket import WebSocket

__all__ = ["WebSocketRequest", "attach_websocket", "release_handshake", "release_request"]

_HEADERS = {
    "upgrade": "HTTP_UPGRADE",
    "connection": "HTTP_CONNECTION",
    "content-length": "CONTENT_LENGTH",
    "transfer-encoding": "HTTP_TRANSFER_ENCODING",
    "sec-websocket-key": "HTTP_SEC_WEBSOCKET_KEY",
    "sec-websocket-version": "HTTP_SEC_WEBSOCKET_VERSION",
    "sec-websocket-protocol": "HTTP_SEC_WEBSOCKET_PROTOCOL",
    "sec-websocket-extensions": "HTTP_SEC_WEBSOCKET_EXTENSIONS",
}


class WebSocketRequest(HttpRequest):
    """The request that a view gets from the decorators or the middleware; for type annotations only."""

    websocket: WebSocket | None
    """The websocket; None for a plain request."""

    def is_websocket(self) -> bool:
        """Whether the client wants to open a websocket."""
        raise NotImplementedError("only for type annotations")


def _true() -> bool:
    return True


def _false() -> bool:
    return False


def attach_websocket(request: HttpRequest) -> WebSocket | None:
    """Set ``is_websocket()`` and ``websocket`` on ``request``, unless already set; return ``websocket``.

    Sets ``user``, too, if the handshake has a ticket. Raises :exc:`.HandshakeError` if the request is a websocket
    handshake that can't be accepted, DisallowedHost for a Host header that is not allowed.
    """
    typed = cast(WebSocketRequest, request)
    if hasattr(typed, "is_websocket"):
        return typed.websocket
    meta = request.META
    if _HEADERS["sec-websocket-protocol"] in meta:
        _hide_ticket(request)
    headers = {name: meta[key] for name, key in _HEADERS.items() if key in meta}
    if not is_websocket_request(headers):
        typed.is_websocket = _false  # type: ignore[method-assign]  # one request has one answer
        typed.websocket = None
        return None
    # Methods are case-sensitive (RFC 9110, section 9.1), but request.method is always in upper case.
    method = meta.get("REQUEST_METHOD") or request.method or ""
    handshake = parse_handshake(method, meta.get("SERVER_PROTOCOL", ""), headers)
    request.get_host()  # Django answers DisallowedHost with 400
    if UPGRADE_KEY not in meta:
        raise HandshakeError(
            501,
            "this server can't open websockets: use 'manage.py runwsserver', or WebSocketTestCase in a test",
        )
    websocket = WebSocket(handshake, resolve_options({}), meta.get("RAW_URI") or request.path)
    upgrade: Upgrade = meta[UPGRADE_KEY]
    if upgrade.ticket is not None:
        websocket.admit(admit(request, upgrade))
    typed.is_websocket = _true  # type: ignore[method-assign]  # one request has one answer
    typed.websocket = websocket
    return websocket


def _hide_ticket(request: HttpRequest) -> None:
    """Take the ticket out of the headers, where the server has not."""
    meta = request.META
    ticket = take_ticket(meta)
    if ticket is None:
        return
    request.__dict__.pop("headers", None)  # a copy
    upgrade: Upgrade | None = meta.get(UPGRADE_KEY)
    if upgrade is not None:
        upgrade.ticket = ticket


def release_handshake(request: HttpRequest) -> None:
    """Drop what is only needed to read the body, which is empty. Called once the websocket is open."""
    for key in ("wsgi.input", UPGRADE_KEY):
        request.META.pop(key, None)
    compat.drop_body(request)
    compat.resolve_known_user(request)


def release_request(request: HttpRequest) -> None:
    """Break the reference cycles that Django's middleware created. Called when the view has ended."""
    compat.drop_messages(request)  # stored with the 101; later messages are never stored
    request.__dict__.pop("auser", None)
    compat.resolve_known_user(request)
    compat.make_user_weak(request)
