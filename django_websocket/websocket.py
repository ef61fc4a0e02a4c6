"""``request.websocket``, the object that views use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, NoReturn, Protocol, cast

from django.core.serializers.json import DjangoJSONEncoder
from greenlet import GreenletExit, getcurrent, greenlet

from .channel import Channel
from .driver import Driver
from .endless_loops import UsesSinceClose
from .exceptions import ConnectionClosed, HandshakeAborted
from .handover import Handover
from .options import Options
from .protocol.assembly import Message
from .protocol.connection import Connection, State
from .protocol.frames import close_payload
from .protocol.handshake import Handshake
from .rated_driver import RatedDriver
from .visitor import NOBODY

__all__ = ["WebSocket"]


class Joinable(Protocol):
    """A :class:`~django_websocket.groups.group.Group`."""

    def add(self, websocket: WebSocket, info: Any, since: str | None) -> Any:
        """Make an open websocket a member."""

    def discard(self, websocket: WebSocket) -> None:
        """Make it no member."""


class Admitted(Protocol):
    """A ticket that was found valid."""

    def takes(self, message: Message) -> bool:
        """Whether ``message`` is not for the view, but another ticket. Raises :exc:`.InvalidTicket`."""


class WebSocket:
    """A server-side websocket for plain blocking code.

    The first use accepts the connection; until then the view may still return an ordinary response. Any greenlet may
    send; only one at a time may wait.

    Once the view has accepted, native threads may use it, too: those of :func:`~django_websocket.blocking.to_thread`,
    of ``eventlet.tpool``, or any other. The server's thread makes their calls while they wait. A call raises
    RuntimeError if that thread is blocked for half a minute, for example by a view that joins the very thread that
    calls (waiting for ``to_thread`` does not block it), and :exc:`.ConnectionClosed` once the server has stopped.
    """

    __slots__ = (
        "__weakref__",
        "_accept",
        "_closed_uses",
        "_connection",
        "_driver",
        "_greenlet",
        "_messages",
        "groups",
        "handover",
        "handshake",
        "number",
        "options",
        "owner",
        "path",
        "release_database",
        "route",
        "session_key",
        "subprotocol",
        "ticket",
        "view_name",
        "visitor",
    )

    group_class: ClassVar[type[Any]]
    """Set by :mod:`.groups`."""

    def __init__(self, handshake: Handshake, options: Options, path: str = "") -> None:
        self.handshake: Handshake | None = handshake
        """The client's handshake; None once the websocket is open."""
        self.handover: Handover | None = None
        """The run of its view; None before the view starts, or if it returned without accepting."""
        self.groups: tuple[str, ...] = ()
        """The names of the groups that it has joined, in that order."""
        self.number = 0
        """Tells it apart from all others of the process; 0 until it is needed."""
        self.owner: object = None
        """The server, or the test client, that opened it."""
        self.options = options
        self.path = path
        """The target of its handshake, with the query string."""
        self.route: str | None = None
        """The URL pattern that led to its view: ``request.resolver_match.route``, None if there is none."""
        self.session_key: str | None = None
        """The key of the session that opened it, once that session is watched; else None."""
        self.view_name = ""
        """``request.resolver_match.view_name``: the name of its URL with the namespaces, or the view's path."""
        self.subprotocol: str | None = None
        """The negotiated subprotocol, or None; known after the accept."""
        self.ticket: Admitted | None = None
        """What its client has been let in with instead of a cookie; None without a ticket."""
        self.visitor = NOBODY
        """Who opened it, once it is open."""
        self.release_database: Callable[[], None] | None = None
        """Called once in the view's greenlet when a wait has lasted ``options.release_db_after`` seconds."""
        self._accept: Callable[[str | None, Mapping[str, str] | None], None] | None = None
        self._driver: Driver | None = None
        self._connection = Connection(max_message_size=options.max_message_size, max_queue=options.max_queue)
        self._messages = self._connection.messages
        self._greenlet: greenlet | None = None  # the view's, since it accepted
        self._closed_uses: UsesSinceClose | None = None

    def __repr__(self) -> str:
        state = "connecting" if self._driver is None else "closed" if self.closed else "open"
        return f"<{type(self).__name__} {self.path} {state}>"

    # Opening

    def accept(self, subprotocol: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Accept the connection now, rather than on the first use of the socket (RFC 6455, section 4.2.2).

        ``subprotocol`` must be one that the client offered; by default it is the first of ``WEBSOCKET_SUBPROTOCOLS``
        that the client offered. ``headers`` are added to the ``101`` response. Returns once the response is sent.

        Raises ValueError for a subprotocol that was not offered or a header that a view may not set,
        RuntimeError if the connection was already accepted or the caller isn't the view's own greenlet,
        TransactionManagementError inside an atomic block nested in that of ATOMIC_REQUESTS, and
        :exc:`.HandshakeAborted` if the response could not be sent.
        """
        accept = self._accept
        if self._driver is not None or accept is None:
            if self._connection.ended and self._driver is None:
                raise HandshakeAborted()
            raise RuntimeError("the websocket was already accepted, or its view has already answered the request")
        accept(subprotocol, headers)
        self._greenlet = getcurrent()

    def _accepted_driver(self) -> Driver:
        """Return the driver; accept first if necessary."""
        if self._driver is None:
            self.accept()
            assert self._driver is not None, "accept() returns when the socket is open"
        return self._driver

    # Native threads. Before a method touches any state it compares the current greenlet with the view's, which costs a
    # third of asking for the thread's identity: 20 ns.

    def _is_elsewhere(self) -> bool:
        """Whether the caller runs in another thread than the scheduler."""
        return self._driver is not None and not self._driver.channel.in_own_thread()

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call ``function(*args)`` in the scheduler's thread."""
        assert self._driver is not None, "only an open websocket has a scheduler"
        try:
            return self._driver.channel.call(function, *args)
        except ConnectionAbortedError as error:
            self._raise_closed(error)

    # Receiving

    def wait(self, timeout: float | None = None) -> Message | None:
        """Return the next message: ``str`` for text, ``bytes`` for binary; None once the connection is closed.

        Raises TimeoutError if none arrives within ``timeout`` seconds, :exc:`.ConcurrencyError` if another greenlet is
        waiting, :exc:`.ConnectionClosed` after returning None a thousand times, and what :meth:`accept` raises.
        """
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            return cast(Message | None, self._call(self.wait, timeout))
        messages = self._messages
        driver = self._driver
        if messages:
            message = messages.pop(0)
            assert driver is not None, "messages come through a driver"
            driver.took_message()
            return message
        if driver is None:
            driver = self._accepted_driver()
        connection = self._connection
        if (
            timeout is None
            and self.release_database is None
            and not (messages or connection.ended)  # an accept may have brought some
            and connection.close_sent is None
        ):
            # The common case: one switch to the scheduler and back.
            driver.park(None)
            if messages and not connection.full:
                return messages.pop(0)
        end = None if timeout is None else driver.channel.clock() + timeout
        idle_after = None if self.release_database is None else self.options.release_db_after
        while not messages:
            if connection.ended or connection.close_sent is not None:
                self._closed_while_waiting(driver)
                return None
            left = None if end is None else end - driver.channel.clock()
            if left is not None and left <= 0:
                driver.check_alone()
                driver.poll()
                if not messages and not connection.ended:
                    raise TimeoutError(f"no message within {timeout} seconds")
            elif idle_after is not None and (left is None or left > idle_after):
                if not driver.park(idle_after) and not messages and not connection.ended:
                    self._release_database()
                idle_after = None
            elif not driver.park(left) and not messages and not connection.ended:
                raise TimeoutError(f"no message within {timeout} seconds")
        message = messages.pop(0)
        if connection.full and not messages:
            driver.took_message()
        return message

    def wait_until(self, is_ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until a message has arrived, the connection is closed, or ``is_ready()`` when the driver is woken.

        Returns False if ``timeout`` seconds pass first. For :func:`.wait_any`; raises what :meth:`wait` raises.
        """
        driver = self._accepted_driver()
        connection = self._connection

        def is_over() -> bool:
            return bool(self._messages) or connection.ended or connection.close_sent is not None or is_ready()

        end = None if timeout is None else driver.channel.clock() + timeout
        idle_after = None if self.release_database is None else self.options.release_db_after
        while not is_over():
            left = None if end is None else end - driver.channel.clock()
            if left is not None and left <= 0:
                driver.check_alone()
                driver.poll()
                return is_over()
            if idle_after is not None and (left is None or left > idle_after):
                if not driver.park(idle_after) and not is_over():
                    self._release_database()
                idle_after = None
            elif not driver.park(left):
                return is_over()
        return True

    def _release_database(self) -> None:
        release, self.release_database = self.release_database, None
        if release is not None:
            release()

    def _closed_while_waiting(self, driver: Driver) -> None:
        driver.finish()
        uses = self._uses_since_close()
        if uses.count_wait(driver):
            uses.count_error(driver, self.handover)
            self._raise_closed()

    def _uses_since_close(self) -> UsesSinceClose:
        if self._closed_uses is None:
            self._closed_uses = UsesSinceClose(self.path)
        return self._closed_uses

    def read(self, fallback: Any = None) -> Any:
        """Return a message that has already arrived, or ``fallback``.

        Never blocks after the accept, but lets others run if there is none. Raises what :meth:`accept` raises.
        """
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            return self._call(self.read, fallback)
        if self._messages or self.has_messages():
            return self.wait()
        return fallback

    def count_messages(self) -> int:
        """Return the number of messages that have arrived and not been taken yet. Raises what :meth:`accept` raises."""
        driver = self._accepted_driver()
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            return cast(int, self._call(self.count_messages))
        driver.poll()
        if not self._messages and self._connection.close_frame is not None:
            driver.finish()
        return len(self._messages)

    def has_messages(self) -> bool:
        """Whether a message has arrived and not been taken yet. Raises what :meth:`accept` raises."""
        return self.count_messages() > 0

    def __iter__(self) -> Iterator[Message]:
        """Yield messages until the connection is closed. Raises what :meth:`wait` raises, except TimeoutError."""
        while (message := self.wait()) is not None:
            yield message

    def wait_json(self, timeout: float | None = None) -> Any:
        """Return the next message, parsed as JSON; None once the connection is closed.

        Raises :exc:`json.JSONDecodeError` (a ValueError) if it isn't JSON, and what :meth:`wait` raises.
        """
        message = self.wait(timeout)
        return None if message is None else json.loads(message)

    # Sending

    def send(self, message: object, *, compress: bool | None = None) -> None:
        """Send a message; block until the kernel has accepted it.

        ``str`` is sent as text, bytes-like objects as binary (RFC 6455, section 5.6), anything else as the text
        ``str(message)``.
        ``compress=False`` sends it uncompressed even if compression was negotiated; True compresses even short ones.

        Raises :exc:`.ConnectionClosed` if the connection is closed, or the client accepts no data for
        ``WEBSOCKET_SEND_TIMEOUT`` seconds.
        """
        driver = self._driver or self._accepted_driver()
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            self._send_from_elsewhere(message, compress)
            return
        if driver.pending is not None:
            driver.send_pending()
        connection = self._connection
        if not connection.can_send:
            driver.pause()
            if self.handover is not None and self.handover.is_current:
                self._uses_since_close().count_error(driver, self.handover)
            self._raise_closed()
        if isinstance(message, str):
            frame = connection.encode_text(message, compress)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            frame = connection.encode_binary(bytes(message), compress)
        else:
            frame = connection.encode_text(str(message), compress)
        connection.messages_sent += 1
        try:
            driver.write(frame)
        except OSError as error:
            self._raise_closed(error)

    def _send_from_elsewhere(self, message: object, compress: bool | None) -> None:
        # What the caller may change, or its __str__ may do, is no matter for the scheduler's thread.
        if isinstance(message, (bytes, bytearray, memoryview)):
            message = bytes(message)
        elif not isinstance(message, str):
            message = str(message)
        self._call(partial(self.send, message, compress=compress))

    def send_json(self, obj: Any, *, compress: bool | None = None) -> None:
        """Send ``obj`` as JSON text, with Django's encoder for dates, decimals, UUIDs and lazy strings.

        Raises TypeError if it can't be encoded, and what :meth:`send` raises.
        """
        self.send(json.dumps(obj, cls=DjangoJSONEncoder), compress=compress)

    def ping(self) -> None:
        """Send a ping now (RFC 6455, section 5.5.2); its pong updates :attr:`latency`. Raises as :meth:`send` does."""
        driver = self._accepted_driver()
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            self._call(self.ping)
            return
        if self._connection.state is not State.OPEN:
            self._raise_closed()
        try:
            driver.ping()
        except OSError as error:
            self._raise_closed(error)

    # Groups

    def join(self, group: Joinable | str, *, info: Any = None, since: str | None = None) -> Any:
        """Become a member of ``group``, a :class:`.Group` or its name: what is sent to it is sent to this client.

        It is a member until :meth:`leave`, or until the websocket is closed or its view ends. ``info`` is for
        :meth:`.Group.members`: a small object that JSON can hold. Joining again replaces it.

        ``since`` is the position of the last message that the client has got, or "0": in a group with history, those
        behind it are sent first, none missing and none twice. Returns a :class:`.Joined`, which says whether the
        history reaches back so far, and the group's position.

        Raises ValueError for a name that no group can have, :exc:`.ConnectionClosed` if the connection is closed,
        :exc:`.GroupsUnavailable`, and what :meth:`accept` raises.
        """
        joined: Joinable = self.group_class(group) if isinstance(group, str) else group
        self._accepted_driver()
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            return self._call(joined.add, self, info, since)
        return joined.add(self, info, since)

    def leave(self, group: Joinable | str) -> None:
        """Be no member of ``group`` any more; does nothing if it is none. Raises ValueError as :meth:`join` does."""
        left: Joinable = self.group_class(group) if isinstance(group, str) else group
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            self._call(left.discard, self)
        else:
            left.discard(self)

    # Closing

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2); the server completes it.

        A second call does nothing. If not accepted yet, accepts and then closes, so that the browser gets the code.
        Raises ValueError for a code that may not be sent (section 7.4) or a reason over 123 bytes of UTF-8.
        """
        if self._driver is None and not self._connection.ended:
            close_payload(code, reason)  # raises now, rather than after the accept
            self._accepted_driver()
        if getcurrent() is not self._greenlet and self._is_elsewhere():
            self._close_from_elsewhere(code, reason)
            return
        driver = self._driver
        if driver is None:
            self._connection.close(code, reason)
            return
        driver.send_pending()
        driver.close(self._connection.close(code, reason))

    def _close_from_elsewhere(self, code: int, reason: str) -> None:
        close_payload(code, reason)
        try:
            if self._connection.can_send:
                self._call(self.close, code, reason)
        except ConnectionClosed:
            pass  # the server has stopped

    def _raise_closed(self, error: OSError | None = None) -> NoReturn:
        connection = self._connection
        if error is not None:
            error.__traceback__ = None  # its frames refer to this object
        closed = ConnectionClosed(*connection.close_received, connection.close_sent)
        raise closed from connection.failure or error

    @property
    def latency(self) -> float | None:
        """Seconds between the latest answered ping and its pong; None before the first."""
        return None if self._driver is None else self._driver.latency

    @property
    def closed(self) -> bool:
        """Whether the websocket can no longer send."""
        return not self._connection.can_send

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
        """Bytes passed to :meth:`send` that the kernel has not accepted yet."""
        return 0 if self._driver is None else self._driver.buffered_amount

    # For the opening handshake and the server

    @property
    def connection(self) -> Connection:
        """The protocol's state."""
        return self._connection

    @property
    def driver(self) -> Driver | None:
        """The driver that moves its bytes; None before the accept."""
        return self._driver

    @property
    def accepted(self) -> bool:
        """Whether the connection is, or was, open."""
        return self._driver is not None

    def bind(
        self, accept: Callable[[str | None, Mapping[str, str] | None], None] | None, handover: Handover | None
    ) -> None:
        """Set the function that accepts the connection and the run of its view; None once it can't be accepted."""
        self._accept = accept
        self.handover = handover

    def configure(self, options: Options) -> None:
        """Replace the options; only before the accept."""
        assert self._driver is None
        self.options = options
        self._connection = Connection(max_message_size=options.max_message_size, max_queue=options.max_queue)
        self._take_queue()

    def admit(self, ticket: Admitted) -> None:
        """Note what the client has been let in with; only before the view runs."""
        self.ticket = ticket
        self._take_queue()

    def _take_queue(self) -> None:
        if self.ticket is not None:
            self._connection.divert_messages(self.ticket.takes)
        self._messages = self._connection.messages

    def attach(self, channel: Channel, peer: str, owner: object, on_closed: Callable[[WebSocket], None]) -> Driver:
        """Connect to ``channel`` once the ``101`` is sent; return the driver, which has not been started yet."""
        make = Driver if self.options.rate is None else RatedDriver
        self._driver = make(channel, self._connection, self.options, on_closed, self, path=self.path, peer=peer)
        self._accept = None
        self.handshake = None
        self.owner = owner
        return self._driver

    def abort(self) -> None:
        """End the parked view with :exc:`.HandshakeAborted`, because the ``101`` could not be sent."""
        self._accept = None
        self._connection.receive_eof()
        if self.handover is not None:
            self.handover.abort(HandshakeAborted())

    def disown(self, on_end: Callable[[Any, BaseException | None], None]) -> None:
        """In a forked child: the websocket is closed here, and ``on_end`` is called when a view ends."""
        if self._driver is not None:
            self._driver.disown()
        if self.handover is not None:
            self.handover.divert(on_end)

    def kill(self) -> None:
        """End the view, whatever it is doing, and drop the socket; called by the scheduler."""
        if self.handover is not None:
            self.handover.abort(GreenletExit())
        if self._driver is not None:
            self._driver.drop()
