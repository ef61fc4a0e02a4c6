"""Calls back when a websocket opens and when its view has ended, with what is to be told about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any
from weakref import WeakKeyDictionary

from ..close_codes import CloseCode
from ..signals import websocket_closed, websocket_opened
from ..websocket import WebSocket

__all__ = ["Tracer"]

Attributes = dict[str, str | int]


class Tracer(ABC):
    """Begins and ends what one tool calls a span. Both happen in the view's greenlet."""

    def __init__(self) -> None:
        self._begun: WeakKeyDictionary[WebSocket, Any] = WeakKeyDictionary()

    def listen(self) -> None:
        """Trace the websockets that open from now on; this object must be kept."""
        websocket_opened.connect(self._opened)
        websocket_closed.connect(self._closed)

    def _opened(self, websocket: WebSocket, **kwargs: Any) -> None:
        route = "" if websocket.route is None else "/" + websocket.route
        path = websocket.path.partition("?")[0]
        attributes: Attributes = {"network.protocol.name": "websocket", "http.route": route, "url.path": path}
        if websocket.subprotocol is not None:
            attributes["websocket.subprotocol"] = websocket.subprotocol
        self._begun[websocket] = self.begin(f"websocket {route}".rstrip(), attributes)

    def _closed(self, websocket: WebSocket, code: int | None, **figures: Any) -> None:
        begun = self._begun.pop(websocket, None)
        if begun is None:
            return
        if code is None:
            code = CloseCode.ABNORMAL_CLOSURE.value
        names = ("messages_received", "messages_sent", "bytes_received", "bytes_sent")
        attributes: Attributes = {f"websocket.{name}": figures[name] for name in names}
        self.end(begun, {"websocket.close_code": int(code), **attributes}, failed=code == CloseCode.INTERNAL_ERROR)

    @abstractmethod
    def begin(self, name: str, attributes: Attributes) -> Any:
        """Begin a span, in which the caller runs from now on; return what :meth:`end` needs."""

    @abstractmethod
    def end(self, begun: Any, attributes: Attributes, *, failed: bool) -> None:
        """End it. ``failed``: the view has raised, or the client didn't answer."""
