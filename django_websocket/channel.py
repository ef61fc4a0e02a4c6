"""The seams between the view layer and whoever owns the socket.

A server that can hand its socket over puts an :class:`Upgrade` into the WSGI environ under :data:`UPGRADE_KEY`.
When a view accepts, the view layer stores its :class:`~django_websocket.websocket.WebSocket` there and lets a
``101`` response travel back through the middleware. A server that finds both writes the response and opens the
websocket on a :class:`Transport`; one that finds a websocket without a ``101`` aborts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .websocket import WebSocket

UPGRADE_KEY = "django_websocket.upgrade"


class Upgrade:
    """One HTTP request's chance to become a websocket."""

    __slots__ = ("websocket",)

    def __init__(self) -> None:
        self.websocket: WebSocket | None = None


class Transport(Protocol):
    """What a :class:`~django_websocket.websocket.WebSocket` needs of the socket below it.

    Whoever implements it feeds received bytes to the websocket's protocol connection, sends what that has to
    answer, and wakes the view when there is a message or none will come any more.
    """

    bytes_received: int
    bytes_sent: int
    latency: float | None
    """Seconds between the latest answered ping and its pong."""

    def write(self, data: bytes) -> None:
        """Send ``data``, in order with all that was sent before; return when the kernel has it.

        Raises OSError if the connection is lost, or takes nothing for ``WEBSOCKET_SEND_TIMEOUT`` seconds.
        """

    def write_nowait(self, data: bytes) -> None:
        """Send ``data`` in order without blocking or raising; what the kernel doesn't take waits in the outbox."""

    def poll(self) -> None:
        """Look for input now; let others run when there is none."""

    def park(self, timeout: float | None) -> bool:
        """Block the calling view until there is something to see; False if ``timeout`` seconds pass first."""

    def pause(self) -> None:
        """Let others run."""

    def took_message(self) -> None:
        """The view took a message from the queue: reading may go on, and others may want to run."""

    def ping(self) -> None:
        """Send a ping whose pong updates :attr:`latency`; raises what :meth:`write` raises."""

    def close(self, frame: bytes) -> None:
        """Send the close frame, without blocking, and see the closing handshake through."""

    def finish(self) -> None:
        """The view has taken all messages and seen the end: send the close frame that waited for that."""

    def view_ended(self) -> None:
        """The view has ended, all that follows it too."""

    @property
    def buffered_amount(self) -> int:
        """Bytes that wait for the kernel."""
