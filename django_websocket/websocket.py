"""The object that views hold: ``request.websocket``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from .channel import Transport
from .exceptions import ConnectionClosed, HandshakeAborted
from .handover import Handover, State
from .options import Options
from .protocol.assembly import Message
from .protocol.connection import Connection
from .protocol.frames import close_payload
from .protocol.handshake import Handshake

__all__ = ["WebSocket"]

#: A view that waits on after it was told so often that the socket is closed gets an exception instead: it would
#: loop for ever otherwise.
_NONES_AFTER_CLOSE = 1000


class WebSocket:
    """One websocket, server side, for plain blocking code.

    The first use of it accepts the connection: until then the view may still return an ordinary response. Any greenlet
    may send; only one at a time may wait.
    """

    __slots__ = (
        "__weakref__",
        "_accept",
        "_connection",
        "_messages",
        "_nones",
        "_transport",
        "handover",
        "handshake",
        "on_idle",
        "options",
        "path",
        "session_key",
        "subprotocol",
    )

    def __init__(self, handshake: Handshake, options: Options, path: str = "") -> None:
        self.handshake: Handshake | None = handshake
        self.handover: Handover | None = None
        """The run of its view."""
        self.options = options
        self.path = path
        self.session_key: str | None = None
        """The session that opened it, if one is watched for it."""
        self.subprotocol: str | None = None
        """The agreed subprotocol, None without one; known from the accept on."""
        self.on_idle: Callable[[], None] | None = None
        """Called once in the view's greenlet when one wait has lasted ``options.release_db_after`` seconds."""
        self._accept: Callable[[str | None, Mapping[str, str] | None], None] | None = None
        self._transport: Transport | None = None
        self._connection = Connection(max_message_size=options.max_message_size, max_queue=options.max_queue)
        self._messages = self._connection.messages
        self._nones = 0

    def __repr__(self) -> str:
        state = "connecting" if self._transport is None else "closed" if self.closed else "open"
        return f"<{type(self).__name__} {self.path} {state}>"

    # Opening

    def accept(self, subprotocol: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Accept the connection now, rather than at the first use of the socket.

        ``subprotocol`` must be one that the client offered; without it the first of ``WEBSOCKET_SUBPROTOCOLS`` that the
        client offered is taken. ``headers`` are added to the ``101`` response. Returns once the response is sent.

        Raises ValueError for a subprotocol that was not offered or a header that is not the view's to set,
        RuntimeError if the connection was accepted before or this isn't the view's own greenlet, and
        :exc:`HandshakeAborted` if the response never reached the client.
        """
        accept = self._accept
        if self._transport is not None or accept is None:
            if self._connection.ended and self._transport is None:
                raise HandshakeAborted(1006, "", None)
            raise RuntimeError("the websocket was accepted before, or its view has answered the request already")
        accept(subprotocol, headers)

    def _open_transport(self) -> Transport:
        """The transport, after an accept if need be."""
        if self._transport is None:
            self.accept()
            assert self._transport is not None, "accept() returns when the socket is open"
        return self._transport

    # Receiving

    def wait(self, timeout: float | None = None) -> Message | None:
        """The next message: ``str`` for text, ``bytes`` for binary; None once the connection is closed.

        Raises TimeoutError if none comes within ``timeout`` seconds, :exc:`ConcurrencyError` if another greenlet waits.
        """
        messages = self._messages
        if messages:
            message = messages.pop(0)
            transport = self._transport
            assert transport is not None, "messages come through a transport"
            transport.took_message()
            return message
        transport = self._transport or self._open_transport()
        connection = self._connection
        if (
            timeout is None
            and self.on_idle is None
            and not (messages or connection.ended)  # an accept may have brought some
            and connection.close_sent is None
        ):
            # What nearly every wait is: one switch to the hub and back.
            transport.park(None)
            if messages and not connection.full:
                return messages.pop(0)
        end = None if timeout is None else monotonic() + timeout
        idle_after = None if self.on_idle is None else self.options.release_db_after
        while not messages:
            if connection.ended or connection.close_sent is not None:
                self._closed_while_waiting(transport)
                return None
            left = None if end is None else max(0.0, end - monotonic())
            if idle_after is not None and (left is None or left > idle_after):
                if not transport.park(idle_after) and not messages and not connection.ended:
                    self._call_on_idle()
                idle_after = None
            elif not transport.park(left) and not messages and not connection.ended:
                raise TimeoutError(f"no message within {timeout} seconds")
        message = messages.pop(0)
        if connection.full and not messages:
            transport.took_message()
        return message

    def _call_on_idle(self) -> None:
        on_idle, self.on_idle = self.on_idle, None
        if on_idle is not None:
            on_idle()

    def _closed_while_waiting(self, transport: Transport) -> None:
        transport.finish()
        self._nones += 1
        if self._nones > 1:
            transport.pause()
        if self._nones > _NONES_AFTER_CLOSE:
            raise self._closed_error()

    def read(self, fallback: Any = None) -> Any:
        """A message that has arrived, or ``fallback``; never blocks, but lets others run when there is none."""
        if self._messages or self.has_messages():
            return self.wait()
        return fallback

    def count_messages(self) -> int:
        """How many messages have arrived that were not taken yet."""
        transport = self._open_transport()
        transport.poll()
        if not self._messages and self._connection.close_frame is not None:
            transport.finish()
        return len(self._messages)

    def has_messages(self) -> bool:
        """Whether a message has arrived that was not taken yet."""
        return self.count_messages() > 0

    def __iter__(self) -> Iterator[Message]:
        """Messages until the client has closed."""
        while (message := self.wait()) is not None:
            yield message

    def wait_json(self, timeout: float | None = None) -> Any:
        """The next message, parsed as JSON; None once the connection is closed.

        Raises :exc:`json.JSONDecodeError` (a ValueError) if it isn't JSON, and what :meth:`wait` raises.
        """
        message = self.wait(timeout)
        return None if message is None else json.loads(message)

    # Sending

    def send(self, message: object, *, compress: bool | None = None) -> None:
        """Send a message; return when the kernel has it.

        ``str`` goes out as text, bytes-like as binary, anything else as the text ``str(message)``. ``compress=False``
        sends it as it is though compression was agreed on.

        Raises :exc:`ConnectionClosed` if the connection is closed, or the client takes nothing for
        ``WEBSOCKET_SEND_TIMEOUT`` seconds.
        """
        transport = self._transport or self._open_transport()
        connection = self._connection
        if connection.close_sent is not None or (connection.ended and connection.close_frame is None):
            transport.pause()
            raise self._closed_error()
        if isinstance(message, str):
            frame = connection.send_text(message, compress)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            frame = connection.send_binary(bytes(message), compress)
        else:
            frame = connection.send_text(str(message), compress)
        try:
            transport.write(frame)
        except OSError as error:
            raise self._closed_error() from error

    def send_json(self, obj: Any, *, compress: bool | None = None) -> None:
        """Send ``obj`` as JSON text, with Django's encoder for dates, decimals, UUIDs and lazy strings.

        Raises TypeError if it can't be encoded, and what :meth:`send` raises.
        """
        self.send(json.dumps(obj, cls=DjangoJSONEncoder), compress=compress)

    def ping(self) -> None:
        """Send a ping now; the answer updates :attr:`latency`. Raises what :meth:`send` raises."""
        transport = self._open_transport()
        if self._connection.close_sent is not None or self._connection.ended:
            raise self._closed_error()
        try:
            transport.ping()
        except OSError as error:
            raise self._closed_error() from error

    # Closing

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2); the server sees it through.

        A second call does nothing. Before the accept it accepts and then closes, so that the browser sees the code.
        Raises ValueError for a code that may not be sent (section 7.4) or a reason over 123 bytes of UTF-8.
        """
        if self._transport is None and not self._connection.ended:
            close_payload(code, reason)  # raises now, rather than after the accept
            self._open_transport()
        frame = self._connection.close(code, reason)
        if self._transport is not None:
            self._transport.close(frame)

    def _closed_error(self) -> ConnectionClosed:
        connection = self._connection
        return ConnectionClosed(*connection.close_received, connection.close_sent)

    @property
    def latency(self) -> float | None:
        """Seconds between the latest answered ping and its pong; None before the first."""
        return None if self._transport is None else self._transport.latency

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        connection = self._connection
        return connection.close_sent is not None or (connection.ended and connection.close_frame is None)

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came first, the client's or ours; None while the connection is open.

        1005 stands for a frame without a code, 1006 for a connection that was lost (RFC 6455, section 7.1.5).
        """
        return self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason that came with :attr:`close_code`, often empty."""
        return self._connection.close_reason

    @property
    def buffered_amount(self) -> int:
        """Bytes sent that the kernel didn't take yet."""
        return 0 if self._transport is None else self._transport.buffered_amount

    # For the opening handshake and the server

    @property
    def connection(self) -> Connection:
        """The protocol's state."""
        return self._connection

    @property
    def transport(self) -> Transport | None:
        """What moves its bytes; None before the accept."""
        return self._transport

    @property
    def accepted(self) -> bool:
        """Whether the connection is, or was, open."""
        return self._transport is not None

    @property
    def waits_for_101(self) -> bool:
        """Whether its view has accepted it and waits to be resumed."""
        return self.handover is not None and self.handover.state is State.PARKED

    def prepare(
        self, accept: Callable[[str | None, Mapping[str, str] | None], None] | None, handover: Handover | None
    ) -> None:
        """Set what accepts the connection and runs its view; None when nothing may any more."""
        self._accept = accept
        self.handover = handover

    def configure(self, options: Options) -> None:
        """Replace the options; only before the accept."""
        assert self._transport is None
        self.options = options
        self._connection = Connection(max_message_size=options.max_message_size, max_queue=options.max_queue)
        self._messages = self._connection.messages

    def attach(self, transport: Transport) -> None:
        """The ``101`` is on the wire: from now on bytes go through ``transport``."""
        self._transport = transport
        self._accept = None
        self.handshake = None

    def abort(self) -> None:
        """The ``101`` never reached the client: end the parked view with :exc:`HandshakeAborted`."""
        self._accept = None
        self._connection.receive_eof()
        if self.handover is not None:
            self.handover.abort(HandshakeAborted(1006, "", None))
