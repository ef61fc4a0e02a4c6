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

    Whoever implements it feeds received bytes to the websocket's protocol connection, and calls
    :meth:`~django_websocket.websocket.WebSocket.notify` when there is something to see.
    """

    def write(self, data: bytes) -> None:
        """Send ``data`` in order; return when the kernel has it.

        Raises OSError if the connection is lost, or makes no progress for ``WEBSOCKET_SEND_TIMEOUT`` seconds.
        """

    def write_nowait(self, data: bytes) -> None:
        """Send ``data`` in order without blocking; what the kernel doesn't take is queued."""

    def poll(self) -> None:
        """Look for input now; let others run when there is none."""

    def park(self, timeout: float | None) -> bool:
        """Block the calling view until :meth:`wake`; False when ``timeout`` seconds pass first."""

    def wake(self) -> None:
        """Make the parked view, if there is one, go on."""

    def pause(self) -> None:
        """Let others run; a busy view calls it from time to time."""

    def resume_reading(self) -> None:
        """The queue has room again: go on reading."""

    def close(self, timeout: float) -> None:
        """End the connection: flush, wait at most ``timeout`` seconds for the peer's close, drop the socket."""

    @property
    def buffered_amount(self) -> int:
        """Bytes that wait for the kernel."""
