"""The open websockets of this process, and the observers of their events.

A websocket stays in the registry from its ``101`` until its socket is closed and its view has ended, in either order. A
:class:`SocketObserver` is notified of all three events, independently of the transport.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from .websocket import WebSocket

__all__ = ["Registry", "SocketObserver", "registry"]

logger = logging.getLogger("django_websocket")


class SocketObserver:
    """Base class of observers. The scheduler may call any method, so none may block."""

    def socket_opened(self, websocket: WebSocket) -> None:
        """The ``101`` is sent; the view has not been resumed yet."""

    def socket_closed(self, websocket: WebSocket) -> None:
        """The socket is closed; its view may still be running."""

    def view_ended(self, websocket: WebSocket) -> None:
        """The view has ended; its socket may still be in its closing handshake."""


class Registry:
    """The open websockets, in the order in which they were opened."""

    def __init__(self) -> None:
        self._sockets: dict[WebSocket, bool] = {}  # value: whether the socket or the view has ended
        self._observers: tuple[SocketObserver, ...] = ()

    def __len__(self) -> int:
        return len(self._sockets)

    def __iter__(self) -> Iterator[WebSocket]:
        return iter(list(self._sockets))

    def __contains__(self, websocket: object) -> bool:
        return websocket in self._sockets

    def subscribe(self, observer: SocketObserver) -> None:
        """Start notifying ``observer``; does nothing if it is already subscribed."""
        if observer not in self._observers:
            self._observers += (observer,)

    def unsubscribe(self, observer: SocketObserver) -> None:
        """Stop notifying ``observer``."""
        self._observers = tuple(one for one in self._observers if one is not observer)

    def opened(self, websocket: WebSocket) -> None:
        """Add a websocket whose socket was opened, and notify the observers."""
        self._sockets[websocket] = False
        for observer in self._observers:
            try:
                observer.socket_opened(websocket)
            except Exception:
                logger.exception("%r failed to handle the opening of a websocket", observer)

    def closed(self, websocket: WebSocket) -> None:
        """Record that the socket was closed, and notify the observers."""
        self._mark_ended(websocket)
        for observer in self._observers:
            try:
                observer.socket_closed(websocket)
            except Exception:
                logger.exception("%r failed to handle the close of a websocket", observer)

    def view_ended(self, websocket: WebSocket) -> None:
        """Record that the view has ended, and notify the observers."""
        self._mark_ended(websocket)
        for observer in self._observers:
            try:
                observer.view_ended(websocket)
            except Exception:
                logger.exception("%r failed to handle the end of a websocket view", observer)

    def _mark_ended(self, websocket: WebSocket) -> None:
        if self._sockets.get(websocket):
            del self._sockets[websocket]
        elif websocket in self._sockets:
            self._sockets[websocket] = True


registry = Registry()
"""The registry of this process."""
