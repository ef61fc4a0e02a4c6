"""Websockets for Django, in plain blocking Python.

The public names; see the README for how they fit together. They are imported when they are first used: a server patches
the standard library before Django is imported, and it is this package that it imports for that.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .close_codes import CloseCode
    from .decorators import accept_websocket, require_websocket
    from .exceptions import ConcurrencyError, ConnectionClosed, HandshakeAborted, WebSocketException
    from .request import WebSocketRequest
    from .websocket import WebSocket

__all__ = [
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "HandshakeAborted",
    "WebSocket",
    "WebSocketException",
    "WebSocketRequest",
    "accept_websocket",
    "require_websocket",
]

__version__ = "1.0.0.dev0"

_MODULES = {
    "CloseCode": ".close_codes",
    "ConcurrencyError": ".exceptions",
    "ConnectionClosed": ".exceptions",
    "HandshakeAborted": ".exceptions",
    "WebSocket": ".websocket",
    "WebSocketException": ".exceptions",
    "WebSocketRequest": ".request",
    "accept_websocket": ".decorators",
    "require_websocket": ".decorators",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
