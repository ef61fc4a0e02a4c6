"""The seams between the view layer and whoever owns the socket.

A server that can hand its socket over puts an :class:`Upgrade` into the WSGI environ under :data:`UPGRADE_KEY`. When a
view accepts, the view layer stores an :class:`Acceptance` there and lets a ``101`` response travel back through the
middleware. A server that finds both sends the response, makes a :class:`Channel` of the socket and opens the websocket
on it; one that finds an acceptance without a ``101`` aborts it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["UPGRADE_KEY", "Acceptance", "Channel", "Timer", "Upgrade"]

UPGRADE_KEY = "django_websocket.upgrade"


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Drop the call; does nothing once it was made."""


class Channel(Protocol):
    """A connected byte stream that never blocks, and the scheduler that calls back and switches greenlets.

    The scheduler has a greenlet of its own, in which every callback runs: a callback must neither block nor raise. Only
    the scheduler switches to a view. What happens elsewhere wakes one by :meth:`call_later`.
    """

    receive: Callable[[int], bytes]
    """At most so many bytes, ``b""`` at the end of the stream.

    Raises BlockingIOError when there are none now, any other OSError when the connection is lost.
    """

    send: Callable[[bytes | memoryview], int]
    """Send what fits; returns the number of bytes. Raises like :attr:`receive`.

    What it did not take must be what the next call begins with.
    """

    def watch_readable(self, callback: Callable[[int], None], on_lost: Callable[[], None]) -> None:
        """Call ``callback`` whenever :attr:`receive` would not raise BlockingIOError; its argument means nothing.

        ``on_lost`` is called instead if the descriptor was closed by somebody else.
        """

    def unwatch_readable(self) -> None:
        """Stop; does nothing where nothing is watched."""

    def watch_writable(self, callback: Callable[[int], None], on_lost: Callable[[], None]) -> None:
        """Call ``callback`` whenever :attr:`send` would take something, likewise."""

    def unwatch_writable(self) -> None:
        """Stop; does nothing where nothing is watched."""

    def shut_down(self) -> None:
        """Send the end of the stream behind all that was sent; receiving goes on. Raises OSError."""

    def close(self) -> None:
        """Close the stream and watch nothing any more. Raises nothing."""

    def clock(self) -> float:
        """Seconds on a clock that only goes forward."""

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call ``callback(*args)`` from the scheduler after ``seconds``; 0 means in its next turn."""

    def park(self) -> Any:
        """Switch from the calling greenlet to the scheduler; returns what it is switched back with."""

    def pause(self) -> None:
        """Let everything else that is ready run once. Returns at once in the scheduler's own greenlet."""


class Acceptance(Protocol):
    """A view that accepted its websocket and is parked until the ``101`` is sent."""

    @property
    def is_waiting(self) -> bool:
        """Whether it still waits; a time-out of its own, say, may have ended it."""

    def open(self, channel: Channel, peer: str, trailing: bytes, owner: object) -> None:
        """The ``101`` is sent: open the websocket on ``channel``, which is its own from now on, and resume the view.

        ``peer`` is the client's address for the log, ``trailing`` what came right behind the request, and ``owner``
        becomes :attr:`.WebSocket.owner`, for the registry's observers. Called by the scheduler; returns when the view
        blocks or ends.
        """

    def abort(self) -> None:
        """The ``101`` will not be sent: end the view. Called by the scheduler; returns when it blocks or ends."""


class Upgrade:
    """One HTTP request's chance to become a websocket."""

    __slots__ = ("acceptance",)

    def __init__(self) -> None:
        self.acceptance: Acceptance | None = None
