"""The server: accepts connections, tracks them, and shuts down gracefully."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from ...access_log import ClosedEntry, closed_entry, is_wanted, log_closed
from ...channel import Acceptance
from ...close_codes import CloseCode
from ...descriptor_limit import cap_to_descriptors, raise_to_hard_limit
from ...exceptions import ConnectionClosed, PolicyViolation, RefusalReason
from ...home import set_home
from ...keepalive import Keepalive
from ...quiet_log import quiet_log
from ...refusals import report_refusal
from ...registry import SocketObserver, registry
from ...websocket import WebSocket
from ..green import eventlet
from ..green.forks import at_fork, give_up, leave
from ..green.stalls import meter_of
from ..green.thread_calls import ThreadCalls
from ..http.connection import AccessEntry, HTTPConnection
from ..http.environ import base_environ
from ..http.handshake_gate import HandshakeGate
from ..http.head import Refusal
from ..http.response import refusal_bytes
from ..http.stream import Stream
from ..sockets.channel import EventletChannel
from ..tls import TLS
from ..wire import Wire
from .acceptor import Acceptor

if TYPE_CHECKING:
    import socket
    from wsgiref.types import WSGIApplication
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["AccessEntry", "ClosedEntry", "Farewell", "Server"]

logger = logging.getLogger("django_websocket.server")

ACCEPT_BATCH = 64
"""Connections that a process accepts in a row before it yields."""

SHARED_ACCEPT_BATCH = 1
"""The same if several processes share the listener: a process that accepts many at once leaves the others idle, and
websockets stay with the process that accepted them."""

MAX_REFUSED = 128
"""Refused connections that may linger at a time; further ones are closed without a response."""

REFUSED_HANDSHAKE_SECONDS = 2.0
"""Seconds that a refused client gets for the TLS handshake, without which it can't be told."""

SPREAD_EACH = 0.05
"""Seconds that each websocket adds to the time over which they are closed, up to the whole of it."""

IDLE_SECONDS = 1.0
"""Seconds that a patient server leaves to idle connections when it no longer listens: a request may be on the way. The
response to it says that the connection ends, so a busy proxy gives up its connections one by one, and none under a
request."""

KILL_SECONDS = 1.0
"""Seconds that killed views and requests get to clean up."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a server that stops closes its websockets.

    It begins ``delay`` seconds later, until which connections are still accepted, so that another process has time to
    take them over. It closes them in random order over ``spread`` seconds, or less if there are few, so that their
    clients don't all come at once.
    """

    code: int = CloseCode.GOING_AWAY
    reason: str = "server is stopping"
    delay: float = 0.0
    spread: float = 0.0

    @property
    def is_patient(self) -> bool:
        """Whether websockets stay open for a while."""
        return self.delay > 0 or self.spread > 0


class Server(SocketObserver):
    """Serves a WSGI ``application`` on ``listeners``, listening sockets that the server takes over.

    ``access_log`` is called with an :class:`AccessEntry` for each answered request. Closed websockets are logged by
    :mod:`.access_log` or, if ``LOGGING`` has no place for that, by ``websocket_log``. ``max_connections`` defaults to
    WEBSOCKET_MAX_CONNECTIONS, capped by the limit on file descriptors (which is raised to its hard limit), and
    ``request_timeout`` (seconds) to WEBSOCKET_REQUEST_TIMEOUT. ``keep_alive`` are the seconds that an idle connection
    stays open (75); with 0, each response announces its end. With ``tls``, connections are encrypted. ``multiprocess``
    means that other processes serve the application, and ``shared_listeners``, by default the same, that they share the
    listeners. ``on_connection_end`` is called at the end of each connection's greenlet, to release what the application
    holds per thread, such as Django's database connections.
    """

    def __init__(
        self,
        application: WSGIApplication,
        listeners: Sequence[socket.socket],
        *,
        access_log: Callable[[AccessEntry], None] | None = None,
        max_connections: int | None = None,
        request_timeout: float | None = None,
        keep_alive: float | None = None,
        tls: TLS | None = None,
        multiprocess: bool = False,
        shared_listeners: bool | None = None,
        on_connection_end: Callable[[], None] | None = None,
        websocket_log: Callable[[ClosedEntry], None] | None = None,
    ) -> None:
        self.application = application
        self.access_log = access_log
        self.max_connections = max_connections or cap_to_descriptors(
            _setting("WEBSOCKET_MAX_CONNECTIONS"), raise_to_hard_limit()
        )
        self.request_timeout: float = request_timeout or _setting("WEBSOCKET_REQUEST_TIMEOUT")
        self.keep_alive = keep_alive
        self.handshake_gate = _handshake_gate()
        self.tls = tls
        self.on_connection_end = on_connection_end
        self.websocket_log = websocket_log
        self.stopping = False
        self.disowned = False
        """Whether this process is a forked child of the one that serves."""
        self.drain_deadline: float | None = None
        """When the time to stop is over, by the monotonic clock; None if never."""
        self.websockets: set[WebSocket] = set()
        """Those whose socket is open or whose view is running."""
        hub = eventlet.hubs.get_hub()
        self._keepalive = Keepalive(self, hub.clock, hub.schedule_call_global)
        self._connections: set[HTTPConnection] = set()
        self._thread_calls: ThreadCalls | None = None  # while it serves
        self._opening: set[EventletChannel] = set()  # those whose 101 is sent, for a turn of the hub
        self._open = 0
        self._refused = 0
        self._full = False
        self._multiprocess = multiprocess
        self._shared = multiprocess if shared_listeners is None else shared_listeners
        self._farewell = Farewell()
        self._spread = 0.0
        self._listening = True
        self._done = eventlet.Event()
        self._finished = False
        self._timer: Any = None
        self._acceptors = [self._make_acceptor(listener) for listener in listeners]

    def _make_acceptor(self, listener: socket.socket) -> Acceptor:
        # Unwrap a green socket: this server does its own waiting.
        listener = getattr(listener, "fd", listener)
        listener.setblocking(False)
        if listener.family == socket.AF_UNIX:
            name, port = "localhost", "80"  # PEP 3333: neither may be empty
        else:
            host, number = listener.getsockname()[:2]
            name, port = host, str(number)
            # Accepted sockets inherit it. Output is already batched, so Nagle's algorithm would only delay it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        environ = base_environ(name, port, multiprocess=self._multiprocess, is_secure=self.tls is not None)

        def take(sock: socket.socket, address: Any) -> None:
            self._take(sock, address, environ)

        return Acceptor(listener, take, SHARED_ACCEPT_BATCH if self._shared else ACCEPT_BATCH)

    @property
    def connections(self) -> int:
        """Number of open connections, including websockets."""
        return self._open

    def serve(self) -> None:
        """Serve until :meth:`stop` is called and everything has ended. Blocks the calling greenlet."""
        registry.subscribe(self)
        registry.subscribe(self._keepalive)
        try:
            if not self.stopping:
                for acceptor in self._acceptors:
                    acceptor.start()
            with (
                meter_of(eventlet.hubs.get_hub()).measuring(),
                ThreadCalls() as self._thread_calls,
                at_fork(child=self._disown),
            ):
                set_home(self._thread_calls)
                self._done.wait()
        finally:
            set_home(None)
            if not self._finished:  # KeyboardInterrupt, for example
                self.stop(drain_timeout=0)
            registry.unsubscribe(self)
            registry.unsubscribe(self._keepalive)

    def stop(self, *, drain_timeout: float | None = None, farewell: Farewell | None = None) -> None:
        """Stop listening at once; :meth:`serve` returns when everything has ended.

        Idle connections are closed, requests in progress are answered, websockets are closed with 1001, or all this in
        good time, as the ``farewell`` of the first call says. Whatever is left after ``drain_timeout`` seconds (None:
        WEBSOCKET_DRAIN_TIMEOUT) is killed. May be called from any greenlet or from the hub; each further call resets
        the deadline, 0 meaning now.
        """
        if drain_timeout is None:
            drain_timeout = _setting("WEBSOCKET_DRAIN_TIMEOUT")
        hub = eventlet.hubs.get_hub()
        if not self.stopping:
            self.stopping = True
            self._farewell = farewell = farewell or self._farewell
            self._spread = min(farewell.spread, SPREAD_EACH * len(self.websockets))
            if farewell.delay:
                hub.schedule_call_global(farewell.delay, self._close_listeners)
            else:
                self._close_listeners()
            eventlet.spawn_n(self._shut_down_websockets)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if drain_timeout is not None:
            self._timer = hub.schedule_call_global(drain_timeout, self._kill)
        self.drain_deadline = None if drain_timeout is None else time.monotonic() + drain_timeout
        self._finish_if_drained()

    def _close_listeners(self) -> None:
        self._listening = False
        patient = self._farewell.is_patient
        for acceptor in self._acceptors:
            acceptor.close(accept_pending=patient or not self._shared)
        if patient:
            eventlet.hubs.get_hub().schedule_call_global(IDLE_SECONDS, self._end_idle_connections)
        else:
            self._end_idle_connections()
        self._finish_if_drained()

    def _end_idle_connections(self) -> None:
        for connection in list(self._connections):
            connection.end_if_idle()

    # Called by the connections

    def connection_ended(self, connection: HTTPConnection, *, upgraded: bool) -> None:
        """Called as the greenlet of ``connection`` ends; if ``upgraded``, its socket stays open and counted."""
        self._connections.discard(connection)
        try:
            if self.on_connection_end is not None:
                self.on_connection_end()
        except Exception:
            logger.exception("on_connection_end failed")
        finally:
            if not upgraded:
                self._release_slot()

    def open_websocket(self, acceptance: Acceptance, wire: Wire, peer: str, trailing: bytes) -> None:
        """Called once the ``101`` is sent; have the hub open the websocket on ``wire``."""
        channel = EventletChannel(wire, self._thread_calls)
        self._opening.add(channel)
        eventlet.hubs.get_hub().schedule_call_global(0, self._open_websocket, acceptance, channel, peer, trailing)

    def _open_websocket(self, acceptance: Acceptance, channel: EventletChannel, peer: str, trailing: bytes) -> None:
        self._opening.discard(channel)
        acceptance.open(channel, peer, trailing, self)

    # Called by the registry

    def socket_opened(self, websocket: WebSocket) -> None:
        """Track ``websocket``; close it at once if the server is stopping."""
        if websocket.owner is not self:
            return
        self.websockets.add(websocket)
        if self.stopping:
            patience = self._farewell.delay + random.uniform(0, self._farewell.spread)
            eventlet.hubs.get_hub().schedule_call_global(patience, self._shut_down, websocket)

    def socket_closed(self, websocket: WebSocket) -> None:
        """Log the close and free the connection's slot; the view may still be running."""
        if websocket.owner is not self:
            return
        if self.websocket_log is not None or is_wanted():
            # In a greenlet: a log handler may wait for a lock, which the hub must not. And most views end before it
            # runs, so that whom they have asked for is known.
            eventlet.spawn_n(self._log_websocket, websocket)
        self._discard_if_ended(websocket)
        self._release_slot()
        failure = websocket.connection.failure
        if isinstance(failure, PolicyViolation) and websocket.driver is not None:
            quiet_log.warn(f"Closed {websocket.driver.place}: {failure}")

    def view_ended(self, websocket: WebSocket) -> None:
        """Stop tracking ``websocket`` unless its socket is still in the closing handshake."""
        if websocket.owner is self:
            self._discard_if_ended(websocket)
            self._finish_if_drained()

    def _discard_if_ended(self, websocket: WebSocket) -> None:
        if websocket not in registry:
            self.websockets.discard(websocket)

    def _release_slot(self) -> None:
        self._open -= 1
        self._finish_if_drained()

    def _log_websocket(self, websocket: WebSocket) -> None:
        try:
            entry = closed_entry(websocket)
            if is_wanted():
                log_closed(entry)
            elif self.websocket_log is not None:
                self.websocket_log(entry)
        except Exception:
            logger.exception("websocket log failed")

    # Forked children

    def _disown(self) -> None:
        """In a forked child: everything of the server's belongs to the parent."""
        self.disowned = True
        if self._thread_calls is not None:
            self._thread_calls.disown()
        owners: list[Any] = [*self._acceptors, *self._connections, *self._opening]
        owners.extend(websocket.driver.channel for websocket in self.websockets if websocket.driver is not None)
        give_up(descriptor for owner in owners if (descriptor := owner.fileno()) >= 0)
        for websocket in self.websockets:
            websocket.disown(_leave_child)

    # Accepting

    def _take(self, sock: socket.socket, address: Any, environ: dict[str, Any]) -> None:
        if self.handshake_gate is not None and address and self.handshake_gate.shuts_out(address[0]):
            sock.close()
            return
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
        """Refuse a connection over the limit with 503."""
        report_refusal(RefusalReason.FULL, 503)
        if not self._full:
            self._full = True
            eventlet.spawn_n(logger.warning, "%d connections are open: refusing more", self._open)
        if self._refused >= MAX_REFUSED:
            sock.close()
            return
        self._refused += 1
        eventlet.spawn_n(self._send_503, Stream(Wire(sock)))

    def _send_503(self, stream: Stream) -> None:
        try:
            if self.tls is not None:
                stream.shake_hands(self.tls.wire(stream.wire.sock), REFUSED_HANDSHAKE_SECONDS)
            # A single attempt: these few bytes fit into a new socket's buffer.
            stream.wire.send(refusal_bytes(Refusal(503, "Too many connections.")))
            stream.linger()
        except OSError:
            pass
        finally:
            self._refused -= 1
            stream.wire.close()

    # Stopping

    @property
    def takes_websockets(self) -> bool:
        """Whether a handshake may still be answered with 101."""
        return not self.stopping or self._farewell.is_patient

    def _shut_down_websockets(self) -> None:
        eventlet.sleep(self._farewell.delay)
        websockets = list(self.websockets)
        if self._spread:
            random.shuffle(websockets)
        began = time.monotonic()
        for count, websocket in enumerate(websockets, start=1):
            self._shut_down(websocket)
            ahead = self._spread * count / len(websockets) - (time.monotonic() - began)
            if ahead > 0.01 or count % 100 == 0:
                eventlet.sleep(max(ahead, 0))

    def _shut_down(self, websocket: WebSocket) -> None:
        """Close it: the client should reconnect elsewhere, the view gets None."""
        try:
            websocket.close(self._farewell.code, self._farewell.reason)
        except Exception:
            logger.exception("could not close a websocket")

    def _kill(self) -> None:
        """Kill what is left after the drain timeout. Called on the hub."""
        hub = eventlet.hubs.get_hub()
        for websocket in list(self.websockets):
            hub.schedule_call_global(0, websocket.kill)
        for connection in list(self._connections):
            hub.schedule_call_global(0, connection.kill)
        self._timer = hub.schedule_call_global(KILL_SECONDS, self._finish)

    def _finish_if_drained(self) -> None:
        # A view may outlive its socket for a while.
        if self.stopping and not self._listening and self._open <= 0 and not self.websockets:
            self._finish()

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._done.send()


def _leave_child(result: Any, error: BaseException | None) -> None:
    leave(None if isinstance(error, ConnectionClosed) else error)


def _setting(name: str) -> Any:
    from ...conf import get_setting

    return get_setting(name)


def _handshake_gate() -> HandshakeGate | None:
    from ...addresses import parse_networks
    from ...rates import parse_rate

    rate = _setting("WEBSOCKET_HANDSHAKE_RATE")
    amount = None if rate is None else parse_rate(rate).messages
    return None if amount is None else HandshakeGate(amount, parse_networks(_setting("WEBSOCKET_TRUSTED_PROXIES")))
