"""A listener beside those of the site, for one small application: it is reached however many clients the site has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from ...channel import Acceptance
from ..green import eventlet
from ..green.forks import at_fork, give_up
from ..http.connection import AccessEntry, HTTPConnection
from ..http.environ import base_environ
from ..http.handshake_gate import HandshakeGate
from ..tls import TLS
from ..wire import Wire
from .acceptor import Acceptor

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["SideDoor"]

MAX_CONNECTIONS = 32
"""Further ones are closed at once: it is for the operator."""

REQUEST_TIMEOUT = 10.0

ACCEPT_BATCH = 1
"""Other processes may have the same port."""


class SideDoor:
    """Serves ``application``, which takes no websockets, on the TCP ``listeners``, which it takes over."""

    access_log: Callable[[AccessEntry], None] | None = None
    request_timeout = REQUEST_TIMEOUT
    keep_alive: float | None = None
    handshake_gate: HandshakeGate | None = None
    tls: TLS | None = None
    takes_websockets = False

    def __init__(
        self, application: WSGIApplication, listeners: Sequence[socket.socket], *, multiprocess: bool = False
    ) -> None:
        self.application = application
        self.stopping = False
        self.disowned = False
        self._multiprocess = multiprocess
        self._connections: set[HTTPConnection] = set()
        self._acceptors = [self._make_acceptor(listener) for listener in listeners]

    def _make_acceptor(self, listener: socket.socket) -> Acceptor:
        host, port = listener.getsockname()[:2]
        environ = base_environ(host, str(port), multiprocess=self._multiprocess)

        def take(sock: socket.socket, address: Any) -> None:
            if len(self._connections) >= MAX_CONNECTIONS:
                sock.close()
                return
            connection = HTTPConnection(self, Wire(sock), address, environ)
            self._connections.add(connection)
            hub = eventlet.hubs.get_hub()
            hub.schedule_call_global(0, greenlet(connection.run, hub.greenlet).switch)

        return Acceptor(listener, take, ACCEPT_BATCH)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Serve while the context is open; what is still connected then is cut off."""
        for acceptor in self._acceptors:
            acceptor.start()
        try:
            with at_fork(child=self._disown):
                yield
        finally:
            self.close()
            for connection in list(self._connections):
                eventlet.hubs.get_hub().schedule_call_global(0, connection.kill)

    def close(self) -> None:
        """Stop listening; requests in progress are answered."""
        self.stopping = True
        for acceptor in self._acceptors:
            acceptor.close(accept_pending=False)
        for connection in self._connections:
            connection.end_if_idle()

    def open_websocket(self, acceptance: Acceptance, wire: Wire, peer: str, trailing: bytes) -> None:
        """Never called."""
        raise AssertionError("the application accepts no websockets")

    def connection_ended(self, connection: HTTPConnection, *, upgraded: bool) -> None:
        """Called as the greenlet of ``connection`` ends."""
        self._connections.discard(connection)

    def _disown(self) -> None:
        self.disowned = True
        owners: list[Any] = [*self._acceptors, *self._connections]
        give_up(descriptor for owner in owners if (descriptor := owner.fileno()) >= 0)
