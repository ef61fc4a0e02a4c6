"""The server: listeners, the connections they bring, and an orderly end."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from ..http.connection import AccessEntry, Connection
from ..http.environ import base_environ
from ..http.head import Refusal
from ..http.response import refusal_bytes
from ..http.stream import Stream
from ..patch import eventlet
from ..sockets.keepalive import Liveness
from .acceptor import Acceptor

if TYPE_CHECKING:
    import socket
    from wsgiref.types import WSGIApplication

    from ..sockets.channel import ClosedEntry, EventletTransport
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["AccessEntry", "Server"]

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


class Server:
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
        self.websockets: set[EventletTransport] = set()
        """Those whose socket is open or whose view runs."""
        self.liveness = Liveness()
        self._connections: set[Connection] = set()
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
        try:
            if not self.stopping:
                for acceptor in self._acceptors:
                    acceptor.start()
            self._done.wait()
        finally:
            if not self._finished:  # KeyboardInterrupt, say
                self.stop(drain_timeout=0)

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

    def connection_opened(self) -> None:
        """Count a connection."""
        self._open += 1

    def connection_closed(self) -> None:
        """Count it no longer; whoever owns its socket calls this once, when the socket is closed."""
        self._open -= 1
        self._look_whether_done()

    def websocket_opened(self, transport: EventletTransport) -> None:
        """A connection has become the websocket of ``transport``."""
        self.websockets.add(transport)
        self.liveness.add(transport)

    def websocket_closed(self, transport: EventletTransport) -> None:
        """The socket of ``transport`` is closed. May be called on the hub."""
        self.liveness.discard(transport)
        if self.websocket_log is not None:
            # From a greenlet: a log handler may wait for a lock, and the hub can't.
            eventlet.spawn_n(self._log_websocket, transport.closed_entry())
        self.connection_closed()

    def websocket_ended(self, transport: EventletTransport) -> None:
        """The socket of ``transport`` is closed, and its view has ended."""
        self.websockets.discard(transport)
        self._look_whether_done()

    def _log_websocket(self, entry: ClosedEntry) -> None:
        try:
            if self.websocket_log is not None:
                self.websocket_log(entry)
        except Exception:
            logger.exception("the websocket log failed")

    def connection_ended(self, connection: Connection, *, handed_over: bool) -> None:
        """The greenlet of ``connection`` ends; a socket that it ``handed_over`` stays counted."""
        self._connections.discard(connection)
        try:
            if self.on_connection_end is not None:
                self.on_connection_end()
        except Exception:
            logger.exception("on_connection_end failed")
        finally:
            if not handed_over:
                self.connection_closed()

    def _take(self, sock: socket.socket, address: Any, environ: dict[str, Any]) -> None:
        if self._open >= self.max_connections:
            self._refuse(sock)
            return
        self._full = False
        connection = Connection(self, sock, address, environ)
        hub = eventlet.hubs.get_hub()
        hub.schedule_call_global(0, greenlet(connection.run, hub.greenlet).switch)
        self._connections.add(connection)
        self.connection_opened()

    def _refuse(self, sock: socket.socket) -> None:
        """Answer 503 to one connection too many."""
        if not self._full:
            self._full = True
            eventlet.spawn_n(logger.warning, "%d connections are open: refusing more", self._open)
        if self._refused >= MAX_REFUSED:
            sock.close()
            return
        self._refused += 1
        eventlet.spawn_n(self._say_full, Stream(sock))

    def _say_full(self, stream: Stream) -> None:
        try:
            # One attempt: its few bytes fit into the buffer of a new socket.
            stream.sock.send(refusal_bytes(Refusal(503, "Too many connections.")))
            stream.linger()
        except OSError:
            pass
        finally:
            self._refused -= 1
            stream.close()

    def _shut_down_websockets(self) -> None:
        for count, transport in enumerate(list(self.websockets), start=1):
            try:
                transport.shut_down()
            except Exception:
                logger.exception("closing a websocket failed")
            if count % 100 == 0:
                eventlet.sleep(0)

    def _kill(self) -> None:
        """The time to drain is over; called on the hub."""
        hub = eventlet.hubs.get_hub()
        for transport in list(self.websockets):
            hub.schedule_call_global(0, transport.kill)
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
