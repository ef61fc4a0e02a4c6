"""The interfaces between the view layer and the owner of the socket.

A server that can hand its socket over puts an :class:`Upgrade` into the WSGI environ under :data:`UPGRADE_KEY`. When a
view accepts, the view layer stores an :class:`Acceptance` there and lets a ``101`` response travel back through the
middleware. If the server finds both, it sends the response, wraps the socket in a :class:`Channel` and opens the
websocket on it. If it finds an acceptance without a ``101``, it aborts the acceptance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .exceptions import RefusalReason

__all__ = ["UPGRADE_KEY", "Acceptance", "Channel", "Timer", "Upgrade"]

UPGRADE_KEY = "django_websocket.upgrade"


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call; does nothing once it has run."""


class Channel(Protocol):
    """A connected byte stream that never blocks, and the scheduler that calls back and switches greenlets.

    The scheduler runs every callback in its own greenlet, so a callback must neither block nor raise. Only the
    scheduler switches to a view; other greenlets wake a view through :meth:`call_later`.

    All of it belongs to the scheduler's operating system thread. Others may only use :meth:`in_own_thread` and
    :meth:`call`.
    """

    receive: Callable[[int], bytes]
    """Return at most the given number of bytes, ``b""`` at the end of the stream.

    Raises BlockingIOError if none are available yet, any other OSError if the connection is lost.
    """

    send: Callable[[bytes | memoryview], int]
    """Send what fits and return the number of bytes sent. Raises like :attr:`receive`.

    The next call must begin with the bytes that were not sent.
    """

    def watch_readable(self, callback: Callable[[int], None], on_lost: Callable[[Exception], None]) -> None:
        """Call ``callback`` whenever :attr:`receive` would not raise BlockingIOError; its argument is meaningless.

        ``on_lost(error)`` is called instead if something else closed the descriptor.
        """

    def unwatch_readable(self) -> None:
        """Stop; does nothing where nothing is watched."""

    def watch_writable(self, callback: Callable[[int], None], on_lost: Callable[[Exception], None]) -> None:
        """Call ``callback`` whenever :attr:`send` would not raise BlockingIOError; see :meth:`watch_readable`."""

    def unwatch_writable(self) -> None:
        """Stop; does nothing where nothing is watched."""

    def shut_down(self) -> None:
        """End the outgoing stream after everything already sent; receiving continues. Raises OSError."""

    def close(self) -> None:
        """Close the stream and stop watching it. Raises nothing."""

    def clock(self) -> float:
        """Seconds on a monotonic clock, which may leave out time in which the process could not run."""

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call ``callback(*args)`` from the scheduler after ``seconds``; 0 means on its next iteration.

        Other deadlines count by :meth:`clock`, and input that has arrived before them is received first.
        """

    def call_in_turn(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` soon, for work that takes long: the calls run in order, a few in each iteration."""

    def park(self) -> Any:
        """Switch from the calling greenlet to the scheduler; return the value it is switched back with."""

    def pause(self, seconds: float = 0) -> None:
        """Let everything else that is ready run once, and whatever else for ``seconds``.

        Returns immediately in the scheduler's own greenlet.
        """

    def can_pause(self) -> bool:
        """Whether the caller is a greenlet that may wait, and not the scheduler's own."""

    def in_own_thread(self) -> bool:
        """Whether the caller runs in the scheduler's operating system thread."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """From another thread: call ``function(*args)`` in the scheduler's, in a greenlet, so that it may block.

        Blocks the calling thread; returns what the function returns, raises what it raises. Raises
        ConnectionAbortedError if the server has stopped, or stops before the function returns, and RuntimeError if the
        scheduler does not take the call.
        """


class Acceptance(Protocol):
    """A view that accepted its websocket and is parked until the ``101`` is sent."""

    @property
    def is_waiting(self) -> bool:
        """Whether the view is still parked; for example, a timeout of its own may have ended the wait."""

    def open(self, channel: Channel, peer: str, trailing: bytes, owner: object) -> None:
        """Open the websocket on ``channel``, which it now owns, and resume the view; called once the ``101`` is sent.

        ``peer`` is the client's address for the log, ``trailing`` the bytes that followed the request, and ``owner``
        becomes :attr:`.WebSocket.owner`, for the registry's observers. Called by the scheduler; returns when the view
        blocks or ends.
        """

    def abort(self) -> None:
        """End the view: its ``101`` will not be sent. Called by the scheduler; returns when the view blocks or ends."""


class Upgrade:
    """Marks an HTTP request that the server can upgrade to a websocket.

    ``new_loan()`` makes the view's loan, where that is not a :class:`~django_websocket.database.ConnectionLoan`.
    """

    __slots__ = ("acceptance", "new_loan", "refusal", "ticket")

    def __init__(self, new_loan: Callable[[], Any] | None = None) -> None:
        self.acceptance: Acceptance | None = None
        self.refusal: RefusalReason | None = None
        """Why the handshake is refused, where that is known."""
        self.new_loan = new_loan
        self.ticket: str | None = None
        """What the client has shown instead of a cookie, until it is read; nothing else may see it."""
