"""The open websockets of this process, and who is told about them.

A websocket is in the registry from its ``101`` until both its socket is closed and its view has ended; either may come
first. A :class:`SocketObserver` learns of all three events without knowing what moves the bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from .websocket import WebSocket

__all__ = ["Registry", "SocketObserver", "registry"]

logger = logging.getLogger("django_websocket")


class SocketObserver:
    """What an observer may override. It is called by the scheduler at times, so it must not block."""

    def socket_opened(self, websocket: WebSocket) -> None:
        """The ``101`` is sent; the view has not been resumed yet."""

    def socket_closed(self, websocket: WebSocket) -> None:
        """The socket is closed; its view may go on for a while."""

    def view_ended(self, websocket: WebSocket) -> None:
        """The view has ended; its socket may still be in its closing handshake."""


class Registry:
    """The open websockets, in the order in which they were opened."""

    def __init__(self) -> None:
        self._sockets: dict[WebSocket, bool] = {}  # whether one of socket and view has ended
        self._observers: tuple[SocketObserver, ...] = ()

    def __len__(self) -> int:
        return len(self._sockets)

    def __iter__(self) -> Iterator[WebSocket]:
        return iter(list(self._sockets))

    def __contains__(self, websocket: object) -> bool:
        return websocket in self._sockets

    def subscribe(self, observer: SocketObserver) -> None:
        """Tell ``observer`` from now on; a second time does nothing."""
        if observer not in self._observers:
            self._observers += (observer,)

    def unsubscribe(self, observer: SocketObserver) -> None:
        """Tell ``observer`` no more."""
        self._observers = tuple(one for one in self._observers if one is not observer)

    def opened(self, websocket: WebSocket) -> None:
        """Its socket was opened."""
        self._sockets[websocket] = False
        for observer in self._observers:
            try:
                observer.socket_opened(websocket)
            except Exception:
                logger.exception("%r failed on an opened websocket", observer)

    def closed(self, websocket: WebSocket) -> None:
        """Its socket was closed."""
        self._half_done(websocket)
        for observer in self._observers:
            try:
                observer.socket_closed(websocket)
            except Exception:
                logger.exception("%r failed on a closed websocket", observer)

    def view_ended(self, websocket: WebSocket) -> None:
        """Its view has ended."""
        self._half_done(websocket)
        for observer in self._observers:
            try:
                observer.view_ended(websocket)
            except Exception:
                logger.exception("%r failed on the end of a websocket's view", observer)

    def _half_done(self, websocket: WebSocket) -> None:
        if self._sockets.get(websocket):
            del self._sockets[websocket]
        elif websocket in self._sockets:
            self._sockets[websocket] = True


registry = Registry()
"""The one of this process."""
