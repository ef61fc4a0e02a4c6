"""Handshakes that get no websocket: the server reports each of them here, once it knows the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .channel import UPGRADE_KEY
from .exceptions import RefusalReason
from .protocol.handshake import is_websocket_request
from .signals import websocket_refused
from .websocket import WebSocket

__all__ = ["blame", "is_handshake", "report_refusal"]


def is_handshake(environ: Mapping[str, Any]) -> bool:
    """Whether the request of ``environ`` tries to open a websocket, validly or not."""
    upgrade = environ.get("HTTP_UPGRADE")
    if upgrade is None:
        return "HTTP_SEC_WEBSOCKET_KEY" in environ
    return is_websocket_request({"upgrade": upgrade})


def blame(environ: Mapping[str, Any], reason: RefusalReason) -> None:
    """Note why the handshake of ``environ`` is refused, for the server to report."""
    upgrade = environ.get(UPGRADE_KEY)
    if upgrade is not None:
        upgrade.refusal = reason


def report_refusal(reason: RefusalReason, status: int, environ: Mapping[str, Any] | None = None) -> None:
    """Send :data:`.websocket_refused`. May be called anywhere."""
    if websocket_refused.receivers:
        websocket_refused.send_robust(WebSocket, reason=reason, status=status, environ=environ or {})
