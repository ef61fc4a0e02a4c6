"""The client's end of a websocket in a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from ..admission.entrance import REFRESH
from ..exceptions import ConnectionClosed, ProtocolError
from ..handover import State
from ..protocol.assembly import Message
from ..protocol.client import ClientProtocol
from ..websocket import WebSocket
from .failures import NothingReceived, ViewStuck, describe_views
from .memory import MemoryPeer
from .world import World

__all__ = ["ClientWebSocket", "as_ticket"]

MAX_MESSAGES = 1024
"""Messages that the client holds for the test before it stops reading."""


class ClientWebSocket:
    """An open websocket, seen from its client. Every call lets the views run until all of them wait.

    Time stands still unless the test lets it pass: ``client.advance(seconds)``, or a ``timeout`` here.

    An exception that the view raises is raised here, by the first call for which no message is left to receive, unless
    the client was made with ``raise_request_exception=False``.
    """

    def __init__(
        self, world: World, websocket: WebSocket, response: Any, peer: MemoryPeer, *, raises_view_errors: bool
    ) -> None:
        self.response = response
        """The 101, with what Django's test client adds to responses."""
        self.path = websocket.path
        """Where it was opened, with the query string."""
        self.subprotocol: str | None = websocket.subprotocol
        """The subprotocol that the view chose; None if there is none."""
        self.answers_pings = True
        """Set it to False for a client that has vanished without closing."""
        self._world = world
        self.websocket = websocket
        """What the view has as ``request.websocket``."""
        self._peer = peer
        self._protocol = ClientProtocol(response.headers.get("Sec-WebSocket-Extensions", ""))
        self._raises_view_errors = raises_view_errors
        self._error: BaseException | None = None
        self._sent_close: int | None = None
        self._pings = 0
        self.closed = False
        """Whether the connection is closed."""
        world.add(websocket, self)
        world.scheduler.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path} {'closed' if self.closed else 'open'}>"

    def __enter__(self) -> ClientWebSocket:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        error, self._error = self._error, None
        if error is not None and self._raises_view_errors:
            if exc is None:
                raise error
            if exc is not error:
                exc.add_note(f"The view of {self.path} raised {error!r}.")

    @property
    def close_code(self) -> int | None:
        """The code of the server's close frame; None while the connection is open.

        1005 stands for a frame without a code, 1006 for a connection that ended without one (RFC 6455, section 7.1.5).
        """
        code = self._protocol.close_code
        return 1006 if code is None and self.closed else code

    @property
    def close_reason(self) -> str:
        """The reason that came with :attr:`close_code`."""
        return self._protocol.close_reason

    # Sending

    def send(self, message: str | bytes) -> None:
        """Send a text (``str``) or binary message. Raises :exc:`.ConnectionClosed` if the connection is closed."""
        self._check_open()
        self._write(self._protocol.encode_message(message))
        self._run()

    def send_json(self, obj: Any) -> None:
        """Send ``obj`` as JSON."""
        self.send(json.dumps(obj, cls=DjangoJSONEncoder))

    def send_ticket(self, ticket: Any) -> None:
        """Send another ticket over a websocket that a ticket has opened: one of :func:`.tickets.issue`, or a user."""
        self.send(REFRESH + as_ticket(ticket))

    def ping(self) -> None:
        """Send a ping. Raises AssertionError unless the server answers it at once."""
        self._check_open()
        self._pings += 1
        payload = self._pings.to_bytes(4, "big")
        self._write(self._protocol.encode_ping(payload))
        self._run()
        if payload not in self._protocol.pongs:
            raise AssertionError(f"the server did not answer the ping of {self.path}")

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close the connection; does nothing if it is closed."""
        if self._sent_close is None and not self.closed:
            self._send_close(code, reason)
        self._run()

    def abort(self) -> None:
        """Vanish: reset the connection without a close frame."""
        if not self.closed:
            self._peer.reset()
            self._set_closed()
        self._run()

    def _send_close(self, code: int | None, reason: str = "") -> None:
        self._sent_close = 1005 if code is None else code
        self._write(self._protocol.encode_close(code, reason))

    def _write(self, data: bytes) -> None:
        """Send all of ``data``, letting the server read where it doesn't fit."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._peer.send(bytes(view)) :]
            except BlockingIOError:
                size = len(view)
                self._world.run(until=lambda: self._peer.is_writable)
                if not self._peer.is_writable:
                    raise ViewStuck(
                        f"{size} bytes could not be sent: the view takes no messages\n{self._describe()}"
                    ) from None
            except OSError:
                return  # the server has closed; what comes next says so

    # Receiving

    def receive(self, timeout: float = 0) -> Message:
        """Return the next message: ``str`` for text, ``bytes`` for binary.

        Up to ``timeout`` seconds pass on the test's clock until it comes. Raises :exc:`.NothingReceived` if it doesn't,
        and :exc:`.ConnectionClosed` if the connection is closed.
        """
        messages = self._protocol.messages
        self._world.run(timeout, until=lambda: messages or self.closed)
        if messages:
            return messages.popleft()
        self.raise_view_error()
        self._check_open()
        raise NothingReceived(self._explain_silence(timeout))

    def receive_json(self, timeout: float = 0) -> Any:
        """Return the next message, parsed as JSON. Raises what :meth:`receive` raises, and ValueError."""
        return json.loads(self.receive(timeout))

    def __iter__(self) -> Iterator[Message]:
        """Yield messages until the connection is closed. Raises what :meth:`receive` raises otherwise."""
        while True:
            try:
                message = self.receive()
            except ConnectionClosed:
                return
            yield message

    def assert_nothing_received(self, timeout: float = 0) -> None:
        """Raise AssertionError if there is a message, or one comes within ``timeout`` seconds of the test's clock."""
        messages = self._protocol.messages
        self._world.run(timeout, until=lambda: messages)
        if messages:
            raise AssertionError(f"{self.path}: received {messages[0]!r}")
        self.raise_view_error()

    def _explain_silence(self, timeout: float) -> str:
        waited = f"within {timeout:g} s" if timeout else "and none can come"
        text = f"{self.path}: no message came, {waited}\n{self._describe()}"
        if self._world.waits_for_time():
            text += "\nTime stands still in a test; it passes with client.advance(seconds) or receive(timeout=seconds)."
        return text

    def _describe(self) -> str:
        return "\n".join(describe_views(socket.websocket for socket in self._world))

    def _check_open(self) -> None:
        if self.closed or self._protocol.close_code is not None:
            self.raise_view_error()
            raise ConnectionClosed(self.close_code or 1006, self.close_reason, self._sent_close)

    # In the scheduler

    def call_watchers(self) -> bool:
        """Read what the server has sent, and answer it as a browser does."""
        if not self._peer.is_readable or len(self._protocol.messages) >= MAX_MESSAGES:
            return False
        try:
            data = self._peer.receive()
        except OSError:
            data = b""
        if not data:
            self._peer.close()
            self._set_closed()
            return True
        try:
            self._protocol.receive_data(data)
        except ProtocolError as error:
            raise AssertionError(f"{self.path}: {error}") from error
        pings, self._protocol.pings = self._protocol.pings, []
        if self.answers_pings:
            for payload in pings:
                self._write_nowait(self._protocol.encode_pong(payload))
        if self._protocol.close_code is not None and self._sent_close is None:
            code = self._protocol.close_code
            self._sent_close = code
            self._write_nowait(self._protocol.encode_close(None if code == 1005 else code))
        return True

    def _write_nowait(self, data: bytes) -> None:
        try:
            self._peer.send(data)
        except OSError:
            pass  # full, or closed: a browser's answer would be lost as well

    def view_failed(self, error: BaseException | None) -> None:
        """The view has raised ``error``."""
        self._error = error

    def _set_closed(self) -> None:
        self.closed = True
        self._world.scheduler.discard(self)

    # The end

    def _run(self) -> None:
        self._world.run()
        if not self._protocol.messages:
            self.raise_view_error()

    def raise_view_error(self) -> None:
        """Raise what the view has raised, once."""
        error, self._error = self._error, None
        if error is not None and self._raises_view_errors:
            raise error

    @property
    def _is_done(self) -> bool:
        handover = self.websocket.handover
        return self.closed and (handover is None or handover.state is State.ENDED)

    def end(self) -> None:
        """Close the connection and end the view, whatever it waits for."""
        if self._sent_close is None and not self.closed:
            self._send_close(1000)
        self._protocol.messages.clear()
        try:
            self._world.run()
            if not self._is_done:
                self._world.scheduler.call_later(0, self.websocket.kill)
                self._world.run()
            if not self._is_done:
                raise ViewStuck(f"the view goes on after its end, because it ignores GreenletExit\n{self._describe()}")
        finally:
            if not self._is_done:
                self._world.abandon(self.websocket)
            self._world.discard(self.websocket)


def as_ticket(ticket: Any) -> str:
    """``ticket`` itself, or one for the user that it is."""
    from ..tickets import issue  # a check asks whether the project imports it

    return ticket if isinstance(ticket, str) else issue(None, ticket)
