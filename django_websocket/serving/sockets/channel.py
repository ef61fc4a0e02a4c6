"""An open websocket on eventlet's hub.

Eventlet's own blocking ``recv`` registers the descriptor with epoll, and takes it out again, for every wait. Here each
websocket keeps one READ listener for its life. Its callback runs in the hub: it reads what there is, hands it to the
protocol, answers pings and closes, and switches to the view's greenlet if that waits for what has come.

Three rules keep this sound:

* No callback lets an exception out; the hub would print it and drop the descriptor.
* The listeners go before the descriptor is closed, so that a recycled number never reaches an old socket.
* Only the hub switches to a view. What happens in some greenlet wakes others through a timer of the hub's.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import greenlet

from ...exceptions import ConcurrencyError, KeepaliveTimeout, ProtocolError
from ...handover import State
from ...websocket import WebSocket
from ..patch import eventlet
from .outbox import Outbox
from .waiter import Waiter

if TYPE_CHECKING:
    from ..process.server import Server

__all__ = ["ClosedEntry", "EventletTransport", "abandon", "hand_over"]

logger = logging.getLogger("django_websocket")

hubs = eventlet.hubs
READ = hubs.hub.READ

#: Bytes that one callback reads at most: others get their turn after it.
RECV_SIZE = 65536

#: The same in the midst of a large message.
LARGE_RECV_SIZE = 4 * RECV_SIZE


def hand_over(sock: socket.socket, peer: Any, websocket: WebSocket, trailing: bytes, server: Server) -> None:
    """The ``101`` was written to ``sock``: open ``websocket`` on it, and let its view go on.

    ``trailing`` are bytes that came right behind the request. ``sock``, non-blocking, belongs to the transport from now
    on.
    Returns at once; the view goes on from the hub, on a stack of its own.
    """
    transport = EventletTransport(sock, peer, websocket, server)
    hubs.get_hub().schedule_call_global(0, transport.open, trailing)


def abandon(websocket: WebSocket) -> None:
    """The ``101`` of ``websocket`` was not sent: end its view. Returns at once."""
    hubs.get_hub().schedule_call_global(0, websocket.abort)


@dataclass(frozen=True, slots=True)
class ClosedEntry:
    """How a websocket went: for the log. ``duration`` is in seconds; ``code`` is 1006 where no close frame came."""

    path: str
    code: int
    duration: float
    messages_received: int
    messages_sent: int
    peer: str


class EventletTransport(Waiter):
    """Moves bytes between one socket and one websocket."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "_deadline",
        "_fd",
        "_listener",
        "_lost",
        "_messages",
        "_outbox",
        "_path",
        "_ping_id",
        "_ping_time",
        "_recv",
        "_send",
        "_server",
        "_shut",
        "_sock",
        "_view_ended",
        "bytes_received",
        "bytes_sent",
        "latency",
        "opened",
        "peer",
        "websocket",
    )

    def __init__(self, sock: socket.socket, peer: Any, websocket: WebSocket, server: Server) -> None:
        super().__init__()
        self.websocket = websocket
        self.peer = peer
        self.latency: float | None = None
        self.bytes_received = 0
        self.bytes_sent = 0
        self._connection = websocket.connection
        self._messages = self._connection.messages
        self._path = websocket.path
        self._server = server
        self._sock = sock
        self._fd = sock.fileno()
        self._recv = sock.recv
        self._send = sock.send
        self.opened: float = self._hub.clock()
        self._listener: Any = None
        self._outbox: Outbox | None = None
        self._deadline: Any = None
        self._lost = False
        self._shut = False
        self._view_ended = False
        self._ping_id = 0
        self._ping_time = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.peer} {getattr(self, 'websocket', 'ended')!r}>"

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._lost

    @property
    def is_paused(self) -> bool:
        """Whether reading waits for the view to take messages."""
        return self._connection.full

    # In the hub

    def open(self, trailing: bytes) -> None:
        """Start listening and let the view go on."""
        self._server.websocket_opened(self)
        websocket = self.websocket
        websocket.attach(self)
        self._listen()
        if trailing:
            self.bytes_received += len(trailing)
            self._connection.receive_data(trailing)
            self._after_input()
        handover = websocket.handover
        if handover is not None and websocket.waits_for_101:
            handover.resume()
        else:
            # It gave up since the 101 went out, by a time-out of its own, say.
            websocket.close(1011)
            if handover is None or handover.state is State.ENDED:
                self.view_ended()
            else:
                handover.abort(greenlet.GreenletExit())
        if self._server.stopping:
            self.shut_down()

    def _listen(self) -> None:
        if self._listener is None and not self._lost and not self._connection.full:
            self._listener = self._hub.add(READ, self._fd, self._on_readable, self._on_obsolete, None)

    def _unlisten(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            self._hub.remove(listener)

    def _on_obsolete(self, error: BaseException) -> None:
        """The hub says that somebody else closed the descriptor."""
        self._listener = None
        self._drop()

    def _on_readable(self, fd: int) -> None:
        connection = self._connection
        try:
            data = self._recv(RECV_SIZE if connection.remaining < RECV_SIZE else LARGE_RECV_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop()
            return
        self.bytes_received += len(data)
        try:
            connection.receive_data(data)
        except Exception as error:
            logger.exception("Reading from a websocket failed: %s", self._path)
            connection.fail(ProtocolError(f"internal error: {type(error).__name__}"))
        if connection.news:
            self._after_input()
        waiter = self._waiter
        if waiter is not None and (self._messages or connection.ended):
            self._waiter = None
            try:
                waiter.switch(True)
            except Exception:
                # A view lets none out. A greenlet that it spawned may, and the hub would go deaf on the descriptor.
                logger.exception("A greenlet that waited for a websocket failed: %s", self._path)

    def _after_input(self) -> None:
        """See to all that input may have brought beside messages."""
        connection = self._connection
        connection.news = False
        if connection.pongs:
            self._take_pongs()
        if connection.full:
            # Flow control: nothing is read while enough messages wait, so TCP pushes back.
            self._unlisten()
        if connection.pong is not None and self._outbox is None:
            # While earlier bytes wait, only the latest ping is kept: a flood of pings takes no memory.
            self.write_nowait(connection.take_output())
        if connection.ended:
            if connection.close_frame is not None and not connection.messages:
                self.write_nowait(connection.take_close_frame())
            self._see_close_through()

    def _look(self) -> bool:
        """Take in what the socket holds now, outside the hub's callback; whether there was anything."""
        if self._lost or self._connection.full:
            return False
        try:
            data = self._recv(RECV_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._drop()
            return False
        self.bytes_received += len(data)
        self._connection.receive_data(data)
        self._after_input()
        self._wake()
        return True

    # Waiting, in the view's greenlet

    def park(self, timeout: float | None) -> bool:
        if self._waiter is not None:
            raise ConcurrencyError("another greenlet waits for a message of this websocket already")
        if timeout is None:
            return self._park()
        if timeout <= 0:
            self.poll()
            return bool(self._messages)
        timer = self._hub.schedule_call_global(timeout, self._on_timeout)
        try:
            return self._park()
        finally:
            timer.cancel()

    def took_message(self) -> None:
        if self._connection.full and not self._messages:
            self._connection.resume()
            self._after_input()
            self._listen()
        self._spend()

    def poll(self) -> None:
        if self._connection.full and not self._messages:
            self.took_message()
        if not self._look():
            self.pause()
        else:
            self._spend()

    # Sending

    def write(self, data: bytes) -> None:
        if self._outbox is None and not self._lost:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._drop(error)
                raise
            self.bytes_sent += sent
            if sent == len(data):
                self._budget -= 1
                if self._budget <= 0:
                    self.pause()
                return
            data = data[sent:]
        self._enqueue(data)
        if self._outbox is not None:
            self._outbox.wait_empty()

    def write_nowait(self, data: bytes) -> None:
        """Send ``data`` without blocking; a client that takes too little for too long is closed with 1013."""
        if self._lost or not data:
            return
        if self._outbox is not None and self._outbox.size > self.websocket.options.max_outbox:
            data = self._connection.close(1013, "client is too slow")
            if not data:
                return
            self._wake()
            self._see_close_through()
        elif self._outbox is None:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._drop(error)
                return
            self.bytes_sent += sent
            if sent == len(data):
                return
            data = data[sent:]
        self._enqueue(data)

    def _enqueue(self, data: bytes) -> None:
        if self._lost:
            raise ConnectionResetError("the connection is lost")
        if self._outbox is None:
            self._outbox = Outbox(self._sock, self.websocket.options.send_timeout, self._on_outbox_empty, self._drop)
        self._outbox.append(data)

    def _on_outbox_empty(self, sent: int) -> None:
        self.bytes_sent += sent
        self._outbox = None
        self._after_input()

    @property
    def buffered_amount(self) -> int:
        return 0 if self._outbox is None else self._outbox.size

    def ping(self) -> None:
        self._ping_id += 1
        self._ping_time = self._hub.clock()
        self.write(self._connection.send_ping(self._ping_id.to_bytes(4, "big")))

    def ping_nowait(self) -> None:
        """Send a ping, unless something else is on its way already."""
        if self._outbox is None and self._connection.close_sent is None and not self._connection.ended:
            self._ping_id += 1
            self._ping_time = self._hub.clock()
            self.write_nowait(self._connection.send_ping(self._ping_id.to_bytes(4, "big")))

    def _take_pongs(self) -> None:
        pongs, self._connection.pongs = self._connection.pongs, []
        if self._ping_id and self._ping_id.to_bytes(4, "big") in pongs:
            self.latency = self._hub.clock() - self._ping_time

    # Ending

    def close(self, frame: bytes) -> None:
        if self._lost:
            return
        self.write_nowait(frame)
        self._wake()
        self._see_close_through()

    def finish(self) -> None:
        connection = self._connection
        if connection.close_frame is not None:
            self.write_nowait(connection.take_close_frame())
        self._see_close_through()

    def _see_close_through(self) -> None:
        """Set the deadline of the closing handshake, and end the TCP connection when both close frames have gone.

        RFC 6455, section 7.1.1: the server closes first. It stops sending, then reads until the client has closed too,
        so that no reset destroys what is still on its way.
        """
        connection = self._connection
        if self._lost or not (connection.ended or connection.close_sent is not None):
            return
        if self._deadline is None:
            self._deadline = self._hub.schedule_call_global(self.websocket.options.close_timeout, self._on_deadline)
        self._listen()  # where the queue was full: what it held back is discarded now, up to the client's close frame
        if connection.ended and connection.close_sent is not None and self._outbox is None and not self._shut:
            self._shut = True
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._drop()

    def _on_deadline(self) -> None:
        self._deadline = None
        frame = self._connection.take_close_frame()
        if frame and self._outbox is None:
            # The view was too busy to take the messages before the close.
            self.write_nowait(frame)
        self._drop()

    def _drop(self, error: BaseException | None = None) -> None:
        """Close the socket, now; whoever waits for it is told."""
        if self._lost:
            return
        self._lost = True
        self._unlisten()
        if self._outbox is not None:
            outbox, self._outbox = self._outbox, None
            self.bytes_sent += outbox.sent
            outbox.abort()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._connection.receive_eof()
        try:
            self._sock.close()
        except OSError:
            logger.exception("Closing a websocket's socket failed")
        self._wake()
        self._server.websocket_closed(self)
        self._look_whether_ended()

    def closed_entry(self) -> ClosedEntry:
        """What there is to log at the end of the socket."""
        connection = self._connection
        return ClosedEntry(
            self._path,
            connection.close_code or 1006,
            self._hub.clock() - self.opened,
            connection.messages_received,
            connection.messages_sent,
            self.peer,
        )

    def view_ended(self) -> None:
        self._view_ended = True
        self._look_whether_ended()

    def _look_whether_ended(self) -> None:
        if self._lost and self._view_ended:
            self._server.websocket_ended(self)
            del self.websocket  # which refers to this: thousands of them are not to wait for the garbage collector

    def time_out(self, reason: str) -> None:
        """The client is gone: say 1011 to whoever may still be there, and drop the socket."""
        self._connection.fail(KeepaliveTimeout(reason))
        if self._outbox is None:
            self.write_nowait(self._connection.take_close_frame())
        self._drop()

    # For the server that stops

    def shut_down(self) -> None:
        """Close with 1001: the client is to connect to another server, the view sees None."""
        if not self._view_ended:
            self.websocket.close(1001, "server is stopping")

    def kill(self) -> None:
        """End the view, wherever it is, and drop the socket; from the hub."""
        handover = None if self._view_ended else self.websocket.handover
        if handover is not None:
            handover.abort(greenlet.GreenletExit())
        self._drop()
