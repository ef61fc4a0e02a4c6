"""The server: listeners, the connections they bring, and an orderly end."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from ...channel import Acceptance
from ...close_codes import CloseCode
from ...registry import SocketObserver, registry
from ...websocket import WebSocket
from ..green import eventlet
from ..http.connection import AccessEntry, HTTPConnection
from ..http.environ import base_environ
from ..http.head import Refusal
from ..http.response import refusal_bytes
from ..http.stream import Stream
from ..sockets.channel import EventletChannel
from ..sockets.keepalive import Keepalive
from ..wire import Wire
from .acceptor import Acceptor

if TYPE_CHECKING:
    import socket
    from wsgiref.types import WSGIApplication
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["AccessEntry", "ClosedEntry", "Server"]

logger = logging.getLogger("django_websocket.server")

ACCEPT_BATCH = 64
"""Connections that one process takes off a listener before others get their turn."""

SHARED_ACCEPT_BATCH = 1
"""The same where several processes share the listener: who takes many at once leaves the others idle, and
websockets stay where they are taken."""

MAX_REFUSED = 128
"""Refused connections that may linger at a time; more are closed without a word."""

SPARE_DESCRIPTORS = 128
"""File descriptors that are left for databases, files and the like."""

KILL_SECONDS = 1.0
"""What is killed gets this long to clean up."""


@dataclass(frozen=True, slots=True)
class ClosedEntry:
    """How a websocket ended: for the log. ``duration`` is in seconds; ``code`` is 1006 where no close frame came."""

    path: str
    code: int
    duration: float
    messages_received: int
    messages_sent: int
    peer: str


class Server(SocketObserver):
    """Serves a WSGI ``application`` on ``listeners``, non-blocking listening sockets that become the
    server's.

    ``access_log`` is called with an :class:`AccessEntry` for each answered request, ``websocket_log`` with a
    :class:`ClosedEntry` for each websocket that was closed. ``max_connections`` and ``request_timeout`` (seconds)
    come from WEBSOCKET_MAX_CONNECTIONS, as far as the limit of file descriptors allows (which is raised to
    its hard limit), and WEBSOCKET_REQUEST_TIMEOUT if they are None. ``multiprocess``: other processes share
    the listeners. ``on_connection_end`` is called at the end of each connection's greenlet, to give back what
    the application keeps for a thread, such as Django's database connections.
    """

    def __init__(
        self,
        application: WSGIApplication,
        listeners: Sequence[socket.socket],
        *,
        access_log: Callable[[AccessEntry], None] | None = None,
        max_connections: int | None = None,
        request_timeout: float | None = None,
        multiprocess: bool = False,
        on_connection_end: Callable[[], None] | None = None,
        websocket_log: Callable[[ClosedEntry], None] | None = None,
    ) -> None:
        self.application = application
        self.access_log = access_log
        self.max_connections = max_connections or _descriptor_bound(_setting("WEBSOCKET_MAX_CONNECTIONS"))
        self.request_timeout: float = request_timeout or _setting("WEBSOCKET_REQUEST_TIMEOUT")
        self.on_connection_end = on_connection_end
        self.websocket_log = websocket_log
        self.stopping = False
        self.websockets: set[WebSocket] = set()
        """Those whose socket is open or whose view runs."""
        self._keepalive = Keepalive(self)
        self._connections: set[HTTPConnection] = set()
        self._open = 0
        self._refused = 0
        self._full = False
        self._shared = multiprocess
        self._done = eventlet.Event()
        self._finished = False
        self._timer: Any = None
        self._acceptors = [self._make_acceptor(listener) for listener in listeners]

    def _make_acceptor(self, listener: socket.socket) -> Acceptor:
        # A green socket holds the original one; this server waits for itself.
        listener = getattr(listener, "fd", listener)
        listener.setblocking(False)
        if listener.family == socket.AF_UNIX:
            name, port = "localhost", "80"  # PEP 3333: neither may be empty
        else:
            host, number = listener.getsockname()[:2]
            name, port = host, str(number)
            # Accepted sockets inherit it. What is sent here is sent whole, so there is nothing to gather.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        environ = base_environ(name, port, multiprocess=self._shared)

        def take(sock: socket.socket, address: Any) -> None:
            self._take(sock, address, environ)

        return Acceptor(listener, take, SHARED_ACCEPT_BATCH if self._shared else ACCEPT_BATCH)

    @property
    def connections(self) -> int:
        """How many connections are open, websockets among them."""
        return self._open

    def serve(self) -> None:
        """Serve until :meth:`stop` was called and everything has ended; blocks the calling greenlet."""
        registry.subscribe(self)
        registry.subscribe(self._keepalive)
        try:
            if not self.stopping:
                for acceptor in self._acceptors:
                    acceptor.start()
            self._done.wait()
        finally:
            if not self._finished:  # KeyboardInterrupt, say
                self.stop(drain_timeout=0)
            registry.unsubscribe(self)
            registry.unsubscribe(self._keepalive)

    def stop(self, *, drain_timeout: float | None = None) -> None:
        """Stop listening at once and let :meth:`serve` return when the rest has ended.

        Idle connections are closed, requests under way are answered, websockets are closed with 1001. What is
        left after ``drain_timeout`` seconds (None: WEBSOCKET_DRAIN_TIMEOUT) is killed. May be called from any
        greenlet or from the hub; each further call sets the time anew, 0 meaning now.
        """
        if drain_timeout is None:
            drain_timeout = _setting("WEBSOCKET_DRAIN_TIMEOUT")
        hub = eventlet.hubs.get_hub()
        if not self.stopping:
            self.stopping = True
            for acceptor in self._acceptors:
                acceptor.close(last_round=not self._shared)
            for connection in list(self._connections):
                connection.end_if_idle()
            eventlet.spawn_n(self._shut_down_websockets)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if drain_timeout is not None:
            self._timer = hub.schedule_call_global(drain_timeout, self._kill)
        self._look_whether_done()

    # Called by the connections

    def connection_ended(self, connection: HTTPConnection, *, upgraded: bool) -> None:
        """The greenlet of ``connection`` ends; the socket of one that was ``upgraded`` stays open, and counted."""
        self._connections.discard(connection)
        try:
            if self.on_connection_end is not None:
                self.on_connection_end()
        except Exception:
            logger.exception("on_connection_end failed")
        finally:
            if not upgraded:
                self._socket_gone()

    def open_websocket(self, acceptance: Acceptance, wire: Wire, peer: str, trailing: bytes) -> None:
        """The ``101`` was sent on ``wire``: open the websocket on it, from the hub."""
        eventlet.hubs.get_hub().schedule_call_global(0, acceptance.open, EventletChannel(wire), peer, trailing, self)

    # Called by the registry

    def socket_opened(self, websocket: WebSocket) -> None:
        """A connection has become ``websocket``."""
        if websocket.owner is not self:
            return
        self.websockets.add(websocket)
        if self.stopping:
            eventlet.hubs.get_hub().schedule_call_global(0, self._shut_down, websocket)

    def socket_closed(self, websocket: WebSocket) -> None:
        """The socket of ``websocket`` is closed; its view may go on."""
        if websocket.owner is not self:
            return
        if self.websocket_log is not None:
            # From a greenlet: a log handler may wait for a lock, and the hub can't.
            eventlet.spawn_n(self._log_websocket, _closed_entry(websocket))
        self._forget_ended(websocket)
        self._socket_gone()

    def view_ended(self, websocket: WebSocket) -> None:
        """The view of ``websocket`` has ended; its socket may be in its closing handshake."""
        if websocket.owner is self:
            self._forget_ended(websocket)
            self._look_whether_done()

    def _forget_ended(self, websocket: WebSocket) -> None:
        if websocket not in registry:
            self.websockets.discard(websocket)

    def _socket_gone(self) -> None:
        self._open -= 1
        self._look_whether_done()

    def _log_websocket(self, entry: ClosedEntry) -> None:
        try:
            if self.websocket_log is not None:
                self.websocket_log(entry)
        except Exception:
            logger.exception("the websocket log failed")

    # Accepting

    def _take(self, sock: socket.socket, address: Any, environ: dict[str, Any]) -> None:
        if self._open >= self.max_connections:
            self._refuse(sock)
            return
        self._full = False
        connection = HTTPConnection(self, Wire(sock), address, environ)
        hub = eventlet.hubs.get_hub()
        hub.schedule_call_global(0, greenlet(connection.run, hub.greenlet).switch)
        self._connections.add(connection)
        self._open += 1

    def _refuse(self, sock: socket.socket) -> None:
        """Answer 503 to one connection too many."""
        if not self._full:
            self._full = True
            eventlet.spawn_n(logger.warning, "%d connections are open: refusing more", self._open)
        if self._refused >= MAX_REFUSED:
            sock.close()
            return
        self._refused += 1
        eventlet.spawn_n(self._say_full, Stream(Wire(sock)))

    def _say_full(self, stream: Stream) -> None:
        try:
            # One attempt: its few bytes fit into the buffer of a new socket.
            stream.wire.send(refusal_bytes(Refusal(503, "Too many connections.")))
            stream.linger()
        except OSError:
            pass
        finally:
            self._refused -= 1
            stream.wire.close()

    # Stopping

    def _shut_down_websockets(self) -> None:
        for count, websocket in enumerate(list(self.websockets), start=1):
            self._shut_down(websocket)
            if count % 100 == 0:
                eventlet.sleep(0)

    def _shut_down(self, websocket: WebSocket) -> None:
        """Close with 1001: the client is to connect to another server, the view sees None."""
        try:
            websocket.close(CloseCode.GOING_AWAY, "server is stopping")
        except Exception:
            logger.exception("closing a websocket failed")

    def _kill(self) -> None:
        """The time to drain is over; called on the hub."""
        hub = eventlet.hubs.get_hub()
        for websocket in list(self.websockets):
            hub.schedule_call_global(0, websocket.kill)
        for connection in list(self._connections):
            hub.schedule_call_global(0, connection.kill)
        self._timer = hub.schedule_call_global(KILL_SECONDS, self._finish)

    def _look_whether_done(self) -> None:
        # A view may go on for a while after its socket was closed.
        if self.stopping and self._open <= 0 and not self.websockets:
            self._finish()

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._done.send()


def _closed_entry(websocket: WebSocket) -> ClosedEntry:
    connection, driver = websocket.connection, websocket.driver
    assert driver is not None, "a websocket that was open has a driver"
    return ClosedEntry(
        websocket.path,
        connection.close_code or CloseCode.ABNORMAL_CLOSURE.value,
        driver.seconds_open,
        connection.messages_received,
        connection.messages_sent,
        driver.peer,
    )


def _setting(name: str) -> Any:
    from ...conf import get_setting

    return get_setting(name)


def _descriptor_bound(wanted: int) -> int:
    """As many of ``wanted`` connections as file descriptors allow, having raised their limit as far as it
    goes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - SPARE_DESCRIPTORS if soft > 2 * SPARE_DESCRIPTORS else soft // 2))
