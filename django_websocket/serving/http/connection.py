"""One client connection: requests in, responses out, until either side closes or a websocket takes over."""

from __future__ import annotations

import logging
import signal
import ssl  # only for its exceptions and a conversion, which patching leaves alone
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from wsgiref.types import WSGIApplication

from greenlet import GreenletExit, getcurrent

from ...channel import Acceptance, Upgrade
from ...exceptions import RefusalReason
from ...refusals import is_handshake, report_refusal
from ..green import eventlet
from ..green.forks import leave
from ..tls import TLS
from ..wire import Wire
from .body import RequestBody
from .environ import make_environ
from .handshake_gate import HandshakeGate
from .head import Head, Refusal, approve_head, refuse_unfinished
from .response import Response, refusal_bytes
from .stream import Disconnected, Stream

__all__ = ["AccessEntry", "HTTPConnection", "HTTPServer"]

logger = logging.getLogger("django_websocket.server")

KEEP_ALIVE_TIMEOUT = 75.0
"""Seconds that an idle connection is kept open. Longer than nginx keeps idle upstream connections (keepalive_timeout,
60 s), so the proxy closes first and never sends a request into a closing connection."""

RECEIVE_SIZE = 16 * 1024

HANDSHAKE_RECORD = b"\x16"
"""The first byte that a TLS client sends (RFC 8446, section 5.1)."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One answered request, for the request log. ``duration`` is in seconds, ``sent`` in bytes of the body.

    ``complete`` is False if the response was cut off: because the client left, say, or the view failed.
    """

    method: str
    target: str
    protocol: str
    status: int
    sent: int
    duration: float
    peer: str
    complete: bool = True
    environ: Mapping[str, Any] = field(default_factory=dict)
    """That of the request; empty if the server has refused it."""
    headers: Sequence[tuple[str, str]] = ()
    """Those of the response that the application has set."""


class HTTPServer(Protocol):
    """What a connection needs from its server."""

    application: WSGIApplication
    access_log: Callable[[AccessEntry], None] | None
    request_timeout: float
    """Seconds a client has to send a whole request head."""
    keep_alive: float | None
    """Seconds that an idle connection stays open; None for :data:`KEEP_ALIVE_TIMEOUT`."""
    handshake_gate: HandshakeGate | None
    """What handshakes have to pass; None if nothing."""
    tls: TLS | None
    """What connections are encrypted with; None if they aren't."""
    stopping: bool
    disowned: bool
    """Whether this process is a forked child of the one that serves."""

    @property
    def takes_websockets(self) -> bool:
        """Whether a handshake may still be answered with 101."""

    def open_websocket(self, acceptance: Acceptance, wire: Wire, peer: str, trailing: bytes) -> None:
        """Called once the ``101`` is sent; takes ownership of ``wire``. Returns at once."""

    def connection_ended(self, connection: HTTPConnection, *, upgraded: bool) -> None:
        """Called as the greenlet of ``connection`` ends; if ``upgraded``, its socket stays open."""


Switch: TypeAlias = tuple[Acceptance, bytes]


class HTTPConnection:
    """Serves one accepted socket in a greenlet of its own (:meth:`run`)."""

    __slots__ = (
        "_buffer",
        "_environ",
        "_greenlet",
        "_killed",
        "_lingers",
        "_peer",
        "_server",
        "_stream",
        "address",
        "idle",
    )

    def __init__(self, server: HTTPServer, wire: Wire, address: Any, base_environ: dict[str, Any]) -> None:
        self._server = server
        self._stream = Stream(wire)
        self._environ = base_environ
        self._buffer = b""
        self._greenlet: Any = None
        self._killed = False
        self._lingers = False
        self.idle = True
        """True while no byte of the next request has arrived."""
        if isinstance(address, tuple):
            host, port = address[:2]
            self._peer = (host, str(port))
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        else:
            self._peer = ("", "")
            self.address = "unix"

    def fileno(self) -> int:
        """The socket's descriptor, -1 once it is closed."""
        return self._stream.wire.sock.fileno()

    def run(self) -> None:
        """Serve until the connection ends. The greenlet's outermost function: logs errors, never raises them."""
        server, switch = self._server, None
        self._greenlet = getcurrent()
        try:
            switch = self._serve()
            if switch is None:
                self._stream.say_goodbye()
            if self._lingers:
                self._stream.linger()
        except (OSError, GreenletExit):
            pass
        except Exception:
            logger.exception("connection from %s failed", self.address)
        finally:
            self._greenlet = None
            if switch is None:
                self._stream.wire.close()
            server.connection_ended(self, upgraded=switch is not None)
        if switch is not None:
            acceptance, trailing = switch
            server.open_websocket(acceptance, self._stream.wire, self.address, trailing)

    def end_if_idle(self) -> None:
        """Close the connection unless a request is in progress, or has arrived in part."""
        wire = self._stream.wire
        # What follows the bytes that are there, such as a body, must still be received.
        if self.idle and not wire.has_input():
            try:
                wire.end_input()
            except OSError:
                pass

    def kill(self) -> None:
        """Kill the connection's greenlet. Called on the hub."""
        if self._greenlet is not None:
            self._killed = True
            self._greenlet.throw(GreenletExit)

    def _serve(self) -> Switch | None:
        deadline = self._stream.clock() + self._server.request_timeout
        if self._server.tls is not None and not self._start_tls(self._server.tls, deadline):
            return None
        while True:
            head = self._read_head(deadline)
            if head is None:
                return None
            if isinstance(head, Refusal):
                self._refuse(head)
                return None
            gate = self._server.handshake_gate
            if gate is not None and (refusal := gate.refuse(head, self._peer[0])) is not None:
                self._turn_away(refusal)
                return None
            switch = self._answer(head)
            if switch is not None or self._stream.ended:
                return switch
            if self._server.stopping and not self._buffer and not self._stream.wire.has_input():
                # Since the head was sent. A request that has arrived meanwhile is still answered. One that comes now
                # must not destroy what the kernel still has of the response.
                self._lingers = True
                return None
            deadline = 0.0
            if self._buffer:
                # So that a pipelining client doesn't starve the others.
                eventlet.sleep(0)

    def _start_tls(self, tls: TLS, deadline: float) -> bool:
        """Shake hands, which is part of the time that a request may take; False if the client speaks no TLS."""
        stream = self._stream
        first = stream.peek(deadline - stream.clock())
        if first != HANDSHAKE_RECORD:
            if first.isalpha():
                self._refuse(Refusal(400, "This port takes TLS only: use https:// or wss://."))
            return False
        wire = tls.wire(stream.wire.sock)
        try:
            stream.shake_hands(wire, deadline - stream.clock())
        except ssl.SSLError as error:
            logger.info("TLS handshake with %s failed: %s", self.address, error.reason or error)
            return False
        if tls.asks_for_certificate:
            self._environ = self._environ | _identity(wire.client_certificate)
        return True

    def _read_head(self, deadline: float) -> Head | Refusal | None:
        """Return the next request head, None if there is none. A ``deadline`` of 0 starts at the first byte."""
        received: bytes | bytearray = self._buffer
        self._buffer = b""
        scanned = 0
        timeout, keep_alive = self._server.request_timeout, self._server.keep_alive
        wait_first = not deadline and not received
        if received and not deadline:
            deadline = self._stream.clock() + timeout
        self.idle = not received
        while True:
            if received:
                end = received.find(b"\r\n\r\n", max(0, scanned - 3))
                if end >= 0:
                    break
                refusal = refuse_unfinished(received, scanned)
                if refusal is not None:
                    return refusal
                scanned = len(received)
            try:
                idle = KEEP_ALIVE_TIMEOUT if keep_alive is None else keep_alive
                left = deadline - self._stream.clock() if deadline else idle
                data = self._stream.receive(RECEIVE_SIZE, left, wait_first=wait_first)
            except TimeoutError:
                # A lone CRLF is what old clients send after a body (section 2.2), not the start of a request.
                return Refusal(408, "Timed out reading the request head.") if received.strip(b"\r\n") else None
            if not data:
                return None
            if not deadline:
                deadline = self._stream.clock() + timeout
            self.idle = wait_first = False
            if not received:
                received = data
            else:
                received = bytearray(received) if isinstance(received, bytes) else received
                received += data
        self.idle = False
        raw = bytes(received)
        self._buffer = raw[end + 4 :]
        return approve_head(raw[: end + 4])

    def _refuse(self, refusal: Refusal) -> None:
        """Send ``refusal``; anything the client sent after the request is ignored."""
        # Not after a 408: all input was read, and slow clients in their thousands must be cheap to drop.
        self._lingers = refusal.status != 408
        report_refusal(RefusalReason.BAD_REQUEST, refusal.status)
        self._stream.send(refusal_bytes(refusal))
        self._log("-", "-", "HTTP/1.1", refusal.status, len(refusal.reason) + 1, 0.0)

    def _turn_away(self, refusal: Refusal) -> None:
        """Refuse a handshake of many: nothing waits for the client, and there is no line in the request log."""
        report_refusal(RefusalReason.HANDSHAKE_RATE, refusal.status)
        self._stream.send(refusal_bytes(refusal))

    def _answer(self, head: Head) -> Switch | None:
        """Run the application for one request and send its response."""
        server, stream = self._server, self._stream
        began = time.monotonic()
        body = RequestBody(stream, head, self._buffer, server.request_timeout)
        self._buffer = b""
        response = Response(
            stream,
            head,
            lambda: not server.stopping and server.keep_alive != 0 and body.receive_rest(),
        )
        upgrade = Upgrade()
        result: Any = None
        switching = False
        environ = make_environ(self._environ, head, body, self._peer, upgrade)
        try:
            result = server.application(environ, response.start_response)
            if server.disowned:
                leave()
            switching = self._send_response(head, body, response, upgrade, result)
        except BaseException as error:
            if response.ends_with_connection and not server.disowned:
                stream.wire.reset_on_close()  # an orderly end would make it look whole
            if self._is_for_server(error):
                raise
            if server.disowned:
                leave(error)
            if isinstance(error, Disconnected) or not response.is_sent:
                response.keep_alive = False
                if response.status and (response.headers_sent or isinstance(error, Disconnected)):
                    response.cut_off(getattr(error, "unsent", 0))
            self._fail(head, body, response, error)
        finally:
            try:
                if hasattr(result, "close"):
                    result.close()
            except BaseException as error:
                if self._is_for_server(error):
                    raise
                logger.exception("%s %s: close() of the response failed", head.method, head.target)
            finally:
                body.close()
                if not switching:
                    _abort_upgrade(upgrade)
        if server.access_log is not None and response.status:
            self._log(
                head.method,
                head.target,
                head.protocol,
                response.status,
                response.sent,
                time.monotonic() - began,
                complete=response.complete,
                environ=environ,
                headers=response.headers,
            )
        if switching and upgrade.acceptance is not None:
            return upgrade.acceptance, body.leftover
        if is_handshake(environ):
            _report_refused(upgrade, response, environ)
        if not response.keep_alive:
            stream.ended = True
            is_reset = response.ends_with_connection and not response.complete
            self._lingers = not is_reset and (not body.complete or bool(body.leftover) or stream.wire.has_input())
        self._buffer = body.leftover
        return None

    def _is_for_server(self, error: BaseException) -> bool:
        """Whether ``error``, raised in the application, was meant to end the connection or the server.

        Everything else that an application raises is an error of the application, SystemExit included.
        """
        if isinstance(error, GreenletExit):
            return self._killed
        # Ctrl-C, if the server runs in a process that leaves SIGINT to Python.
        return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def _send_response(self, head: Head, body: RequestBody, response: Response, upgrade: Upgrade, result: Any) -> bool:
        """Send the application's response; True if the connection is now a websocket."""
        if response.status == 101 and not response.headers_sent:
            if upgrade.acceptance is None:
                raise RuntimeError("the application answered 101, but no websocket was accepted")
            refusal = None
            if not self._server.takes_websockets:
                refusal = Refusal(503, "The server is stopping.")
                upgrade.refusal = RefusalReason.STOPPING
            elif not upgrade.acceptance.is_waiting:
                refusal = Refusal(500, "The view of the websocket has ended.")  # after its own timeout, for example
            elif not body.receive_rest():
                refusal = Refusal(400, "The body of the handshake could not be read.")
            if refusal is None:
                response.send_switch()
                return True
            _abort_upgrade(upgrade)
            response.send_error(refusal)
            return False
        _abort_upgrade(upgrade)
        if body.refusal is not None and not response.headers_sent:
            response.send_error(body.refusal)
        else:
            response.send_result(result)
        return False

    def _fail(self, head: Head, body: RequestBody, response: Response, error: BaseException) -> None:
        """Handle ``error``, raised by the application or while sending its response."""
        refusal = body.refusal
        if isinstance(error, Disconnected) or (body.failed and refusal is None):
            logger.debug("%s %s from %s: client disconnected", head.method, head.target, self.address)
            return
        if refusal is None:
            logger.error("%s %s from %s failed", head.method, head.target, self.address, exc_info=error)
            refusal = Refusal(500, "Internal server error.")
        if response.is_sent:
            return
        try:
            response.send_error(refusal)
        except OSError:
            pass

    def _log(
        self, method: str, target: str, protocol: str, status: int, sent: int, duration: float, **more: Any
    ) -> None:
        access_log: Callable[[AccessEntry], None] | None = self._server.access_log
        if access_log is not None:
            try:
                access_log(AccessEntry(method, target, protocol, status, sent, duration, self.address, **more))
            except Exception:
                logger.exception("access log failed")


def _identity(certificate: bytes | None) -> dict[str, str]:
    """Return the variables by which Apache's mod_ssl tells who the client is."""
    if certificate is None:
        return {"SSL_CLIENT_VERIFY": "NONE"}
    return {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(certificate)}


def _report_refused(upgrade: Upgrade, response: Response, environ: Mapping[str, Any]) -> None:
    """Report a handshake that got no websocket."""
    if response.status in (0, 101) or not response.complete:
        report_refusal(RefusalReason.LEFT, 0, environ)
    else:
        report_refusal(upgrade.refusal or RefusalReason.RESPONSE, response.status, environ)


def _abort_upgrade(upgrade: Upgrade) -> None:
    """End the view, if any, that waits for a ``101`` that will not be sent."""
    acceptance, upgrade.acceptance = upgrade.acceptance, None
    if acceptance is not None:
        eventlet.hubs.get_hub().schedule_call_global(0, acceptance.abort)
