"""Drives an open websocket: the protocol on one side, a channel on the other.

Received bytes go to the protocol, pings and closes are answered immediately, and the view's greenlet is woken if it is
waiting for input. All limits in bytes and time are enforced here. The driver knows no event loop and no socket: those
belong to the channel.

* :meth:`Driver.start` watches the channel; :meth:`Driver._on_readable` is called whenever there is input.
* A view calls :meth:`Driver.park`, :meth:`Driver.poll` and :meth:`Driver.write`, through its WebSocket.
* The closing handshake (RFC 6455, section 7.1) begins in :meth:`Driver.close` or with the client's close frame;
  :meth:`Driver.drop` finally closes the channel.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .channel import Channel, Timer
from .close_codes import CloseCode
from .exceptions import KeepaliveTimeout, PolicyViolation, ProtocolError
from .options import Options
from .outbox import Outbox
from .pacing import Pacer
from .protocol.connection import Connection
from .protocol.shared import SharedMessage
from .waiter import Waiter

__all__ = ["Driver"]

logger = logging.getLogger("django_websocket")

RECEIVE_SIZE = 65536
"""Maximum bytes that one callback reads, so that other sockets are not starved."""

LARGE_RECEIVE_SIZE = 4 * RECEIVE_SIZE
"""The same in the middle of a large message."""

FLOODED_RECEIVE_SIZE = 1024
"""The same from a client that has sent more than :data:`MAX_UNQUEUED_FRAMES` within one callback. A full queue stops
messages, but neither control frames nor fragments, and 64 KiB hold ten thousand: tens of milliseconds of work."""

MAX_UNQUEUED_FRAMES = 256
"""More than a client needs: it answers our pings, may send its own now and then, and has no use for tiny fragments."""


class Driver(Waiter):
    """Moves bytes between one channel and one protocol connection.

    ``on_closed(subject)`` is called once, when the channel is closed: by the scheduler, or by a greenlet that found the
    connection lost. ``path`` and ``peer`` (the client's address) are for the log.
    """

    __slots__ = (
        "_connection",
        "_deadline",
        "_is_lost",
        "_is_reading",
        "_is_shut",
        "_large_receive_size",
        "_messages",
        "_on_closed",
        "_options",
        "_outbox",
        "_pacer",
        "_path",
        "_ping_id",
        "_ping_time",
        "_receive",
        "_receive_size",
        "_send",
        "_subject",
        "_unqueued_frames",
        "bytes_received",
        "bytes_sent",
        "latency",
        "opened",
        "peer",
        "pending",
    )

    def __init__(
        self,
        channel: Channel,
        connection: Connection,
        options: Options,
        on_closed: Callable[[Any], None],
        subject: Any = None,
        *,
        path: str = "",
        peer: str = "",
    ) -> None:
        super().__init__(channel)
        self.bytes_received = 0
        self.bytes_sent = 0
        self.latency: float | None = None
        """Seconds between the latest answered ping and its pong; None before the first."""
        self.opened = channel.clock()
        self.peer = peer
        self.pending: list[SharedMessage] | None = None
        """What :meth:`write_shared` took and :meth:`send_pending` will send, before anything else is encoded."""
        self._connection = connection
        self._messages = connection.messages
        self._options = options
        self._on_closed = on_closed
        self._subject = subject
        self._path = path
        self._receive = channel.receive
        self._receive_size = RECEIVE_SIZE
        self._large_receive_size = LARGE_RECEIVE_SIZE
        self._unqueued_frames = 0  # as counted by the connection at the last event
        self._send = channel.send
        self._outbox: Outbox | None = None
        self._pacer: Pacer | None = None
        self._deadline: Timer | None = None
        self._is_reading = False
        self._is_shut = False
        self._is_lost = False
        self._ping_id = 0
        self._ping_time = 0.0

    @property
    def channel(self) -> Channel:
        """What the bytes go through."""
        return self._channel

    @property
    def is_lost(self) -> bool:
        """Whether the channel is closed."""
        return self._is_lost

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused, until the view takes messages or more may be inflated."""
        return self._connection.full or self._connection.inflating

    @property
    def place(self) -> str:
        """The path and the client's address, for what is logged once for all that are the same."""
        return f"{self._path.partition('?')[0]} of {self.peer_host}"

    @property
    def peer_host(self) -> str:
        """The address at the other end without its port; "unix" for a unix socket."""
        return (self.peer.rpartition(":")[0] or self.peer).strip("[]")

    @property
    def buffered_amount(self) -> int:
        """Bytes that the channel has not accepted yet."""
        outbox = self._outbox  # another thread may ask
        return 0 if outbox is None else outbox.size

    @property
    def seconds_open(self) -> float:
        """Seconds since the websocket was opened."""
        return self._channel.clock() - self.opened

    # Receiving, in the scheduler

    def start(self, trailing: bytes) -> None:
        """Start reading; ``trailing`` are the bytes that followed the handshake."""
        self._watch()
        if trailing:
            self.bytes_received += len(trailing)
            self._connection.receive_data(trailing)
            self._handle_events()

    def _watch(self) -> None:
        if not (self._is_reading or self._is_lost or self._connection.full or self._connection.inflating):
            self._is_reading = True
            self._channel.watch_readable(self._on_readable, self.drop)

    def _unwatch(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._channel.unwatch_readable()

    def _on_readable(self, _: int) -> None:
        if not self._feed():
            return
        waiter = self._waiter
        if waiter is not None and (self._messages or self._connection.ended):
            self._waiter = None
            try:
                waiter.switch(True)
            except Exception:
                # A view never raises here, but a greenlet that it spawned may.
                logger.exception("Greenlet waiting for a websocket failed: %s", self._path)

    def _feed(self) -> bool:
        """Read once and feed the protocol; False if there was no data."""
        connection = self._connection
        try:
            data = self._receive(
                self._receive_size if connection.remaining < RECEIVE_SIZE else self._large_receive_size
            )
        except BlockingIOError:
            return False
        except OSError as error:
            self.drop(error)
            return False
        if not data:
            self.drop()
            return False
        self.bytes_received += len(data)
        try:
            connection.receive_data(data)
        except Exception as error:
            logger.exception("Receiving from a websocket failed: %s", self._path)
            connection.fail(ProtocolError(f"internal error: {type(error).__name__}"))
        if connection.has_events:
            self._handle_events()
        return True

    def _handle_events(self) -> None:
        """Handle all input except messages: pongs, flow control, pings, the close."""
        connection = self._connection
        connection.has_events = False
        unqueued_frames, self._unqueued_frames = self._unqueued_frames, connection.unqueued_frames_received
        if self._unqueued_frames - unqueued_frames > MAX_UNQUEUED_FRAMES:
            self._receive_size = self._large_receive_size = FLOODED_RECEIVE_SIZE
        if connection.pongs:
            self._take_pongs()
        if connection.inflating:
            self._unwatch()
            self._pace()
        elif connection.full:
            # Flow control: reading stops while the queue is full, so TCP applies back-pressure.
            self._unwatch()
        if connection.ended:
            self.send_pending()  # before a close frame
        if connection.pong is not None and self._outbox is None:
            # While the outbox drains, the protocol bounds the pending pongs: a flood of pings can't exhaust memory.
            self._push(connection.take_output())
        if connection.ended:
            if connection.close_frame is not None and not connection.messages:
                self._push(connection.take_close_frame())
            self._continue_closing()

    def _pace(self) -> None:
        """Schedule the next slice to be inflated; fail the connection if that is abuse."""
        connection, deflate = self._connection, self._connection.deflate
        assert deflate is not None, "compression was negotiated"
        if self._pacer is None:
            self._pacer = Pacer(self._channel, self._options.max_message_size, self._inflate)
        if not self._pacer.schedule(deflate.compressed_size, deflate.inflated_size):
            connection.fail(PolicyViolation("compressed messages inflate to too much"))

    def _inflate(self) -> None:
        """Inflate the next slice and resume the view if it waits for the message."""
        connection = self._connection
        if self._is_lost or not connection.inflating:
            return
        connection.inflate()
        if connection.has_events:
            self._handle_events()
        self._watch()
        if self._messages or connection.ended:
            try:
                self._on_wake()
            except Exception:
                logger.exception("Greenlet waiting for a websocket failed: %s", self._path)

    # Receiving, in the view's greenlet

    def took_message(self) -> None:
        """The view took a message: resume reading if it was paused, and let others run if the budget is spent."""
        if self._connection.full and not self._messages:
            self._connection.resume()
            self._handle_events()
            self._watch()
        self._consume_budget()

    def poll(self) -> None:
        """Check for input without blocking; let others run if there is none."""
        if self._connection.full and not self._messages:
            self.took_message()
        if not (self._is_lost or self.is_paused) and self._feed():
            self.wake()
            self._consume_budget()
        else:
            self.pause()

    # Sending

    def write(self, data: bytes) -> None:
        """Send ``data`` after everything sent before; block until the channel has accepted it.

        Raises OSError if the connection is lost, or makes no progress for ``WEBSOCKET_SEND_TIMEOUT`` seconds.
        """
        if self._outbox is None and not self._is_lost:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.drop(error)
                raise
            self.bytes_sent += sent
            if sent == len(data):
                self._budget -= 1
                if self._budget <= 0:
                    self.pause()
                return
            data = data[sent:]
        if self._is_lost:
            raise ConnectionResetError("the connection is lost")
        self._enqueue(data)
        if self._outbox is not None:
            self._outbox.wait_empty()

    def write_nowait(self, data: bytes) -> None:
        """Send a data frame without blocking or raising; what the channel doesn't accept goes to the outbox.

        For frames that do not come from the socket's own view, which waits in :meth:`write` instead.

        If the outbox already holds more than ``WEBSOCKET_MAX_OUTBOX`` bytes, close with 1013 instead.
        """
        if self._outbox is not None and self._outbox.size > self._options.max_outbox:
            self.close(self._connection.close(CloseCode.TRY_AGAIN_LATER, "client is too slow"))
        else:
            self._push(data)

    def write_shared(self, message: SharedMessage) -> bool:
        """Send ``message`` with the next :meth:`send_pending`; never blocks or raises.

        Returns whether the caller must have that called, soon: for a message that others join meanwhile, once.
        """
        pending = self.pending
        if pending is not None:
            pending.append(message)
            return False
        if self._is_lost:
            return False
        self.pending = [message]
        return True

    def send_pending(self) -> None:
        """Send the pending messages now; does nothing if there are none. See :meth:`write_nowait` for a slow client."""
        pending, self.pending = self.pending, None
        if pending is not None and not self._is_lost and self._connection.can_send:
            self.write_nowait(self._encode(pending))

    def write_messages(self, messages: list[SharedMessage]) -> None:
        """Send ``messages`` as :meth:`write` does, if the connection is not closing."""
        self.send_pending()
        if self._connection.can_send:
            self.write(self._encode(messages))

    def _encode(self, messages: list[SharedMessage]) -> bytes:
        deflate = self._connection.deflate
        frames = [message.plain if deflate is None else message.frame(deflate) for message in messages]
        self._connection.messages_sent += len(frames)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _push(self, data: bytes) -> None:
        """Send ``data`` without blocking or raising, however full the outbox is: control frames don't count."""
        if self._is_lost or not data:
            return
        if self._outbox is None:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.drop(error)
                return
            self.bytes_sent += sent
            if sent == len(data):
                return
            data = data[sent:]
        self._enqueue(data)

    def _enqueue(self, data: bytes) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self._channel, self._options.send_timeout, self._on_outbox_empty, self.drop)
        self._outbox.append(data)

    def _on_outbox_empty(self, sent: int) -> None:
        self.bytes_sent += sent
        self._outbox = None
        self._handle_events()

    # Pings

    def ping(self) -> None:
        """Send a ping; its pong updates :attr:`latency`. Raises what :meth:`write` raises."""
        self.write(self._next_ping())

    def ping_nowait(self) -> None:
        """Send a ping without blocking or raising; does nothing if bytes are buffered or the connection is closing."""
        if self._outbox is None and self._connection.can_send and not self._connection.ended:
            self._push(self._next_ping())

    def _next_ping(self) -> bytes:
        self._ping_id += 1
        self._ping_time = self._channel.clock()
        return self._connection.encode_ping(self._ping_id.to_bytes(4, "big"))

    def _take_pongs(self) -> None:
        pongs, self._connection.pongs = self._connection.pongs, []
        if self._ping_id and self._ping_id.to_bytes(4, "big") in pongs:
            self.latency = self._channel.clock() - self._ping_time

    # Closing

    def close(self, frame: bytes) -> None:
        """Send the close ``frame`` (empty if already sent) and continue the closing handshake."""
        self._push(frame)
        self.wake()
        self._continue_closing()

    def finish(self) -> None:
        """Send the pending close frame; called once the view has taken all messages and seen the end."""
        self.send_pending()
        self._push(self._connection.take_close_frame())
        self._continue_closing()

    def _continue_closing(self) -> None:
        """Advance the closing handshake as far as possible; it may take ``WEBSOCKET_CLOSE_TIMEOUT`` seconds in all.

        RFC 6455, section 7.1.1: the server closes first. It stops sending, then reads until the client has closed too,
        so that no reset destroys data in flight.
        """
        connection = self._connection
        if self._is_lost or (connection.can_send and not connection.ended):
            return
        if self._deadline is None:
            self._deadline = self._channel.call_later(self._options.close_timeout, self._on_deadline)
        self._watch()  # reading was paused if the queue was full; now discard input up to the client's close frame
        if connection.ended and connection.close_sent is not None and self._outbox is None and not self._is_shut:
            self._is_shut = True
            try:
                self._channel.shut_down()
            except OSError as error:
                self.drop(error)

    def _on_deadline(self) -> None:
        self._deadline = None
        if self._outbox is None:
            # The view did not take the messages before the close in time.
            self._push(self._connection.take_close_frame())
        self.drop()

    def time_out(self, reason: str) -> None:
        """Drop a client that stopped responding: send 1011 in case it still reads, then close the channel."""
        self._connection.fail(KeepaliveTimeout(reason))
        if self._outbox is None:
            self._push(self._connection.take_close_frame())
        self.drop()

    def disown(self) -> None:
        """In a forked child: the channel is the parent's, and the connection is closed here. Nothing is sent."""
        if not self._is_lost:
            self._is_lost = True
            self._connection.receive_eof()

    def drop(self, error: Exception | None = None) -> None:
        """Close the channel now and wake all waiting greenlets. ``error`` is the cause of an abnormal close."""
        if self._is_lost:
            return
        self._is_lost = True
        self._is_reading = False
        if self._outbox is not None:
            outbox, self._outbox = self._outbox, None
            self.bytes_sent += outbox.sent
            outbox.abort()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._connection.receive_eof(error)
        self._channel.close()
        self.wake()
        subject, self._subject = self._subject, None  # which refers to this
        self._on_closed(subject)
