"""Tools for testing websocket views: no server, no port, no threads, and a clock that only the test moves.

::

    from django_websocket.testing import WebSocketTestCase

    class ChatTests(WebSocketTestCase):
        def test_two_people(self):
            with self.client.websocket("/chat/") as a, self.client.websocket("/chat/") as b:
                a.send("hi")
                self.assertEqual(b.receive(), "hi")

Names are imported lazily, because pytest loads the plugin of this package before Django is configured.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cases import WebSocketTestCase, WebSocketTestMixin, WebSocketTransactionTestCase
    from .client import WebSocketClient
    from .failures import NothingReceived, ViewStuck, WebSocketRejected
    from .live import WebSocketLiveServerTestCase
    from .socket import ClientWebSocket

__all__ = [
    "ClientWebSocket",
    "NothingReceived",
    "ViewStuck",
    "WebSocketClient",
    "WebSocketLiveServerTestCase",
    "WebSocketRejected",
    "WebSocketTestCase",
    "WebSocketTestMixin",
    "WebSocketTransactionTestCase",
]

_MODULES = {
    "ClientWebSocket": "socket",
    "NothingReceived": "failures",
    "ViewStuck": "failures",
    "WebSocketClient": "client",
    "WebSocketLiveServerTestCase": "live",
    "WebSocketRejected": "failures",
    "WebSocketTestCase": "cases",
    "WebSocketTestMixin": "cases",
    "WebSocketTransactionTestCase": "cases",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
