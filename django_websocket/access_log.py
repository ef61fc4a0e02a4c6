"""One line for each websocket, once it is closed: by the logger ``django_websocket.access``.

The message is a line for people; what it says, and more, is in the record's attributes, for formatters of any kind. If
``LOGGING`` sends these records nowhere, the server's own request log has the line.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

from .close_codes import CloseCode
from .visitor import one_line
from .websocket import WebSocket

__all__ = ["ClosedEntry", "closed_entry", "is_wanted", "log_closed"]

logger = logging.getLogger("django_websocket.access")


@dataclass(frozen=True, slots=True)
class ClosedEntry:
    """A closed websocket. The names are those of the record's attributes."""

    path: str
    """The handshake's target, with its query string."""
    route: str | None
    code: int
    """1006 if no close frame came."""
    seconds: float
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    peer: str
    """Address and port at the other end of the connection: the proxy's, behind one; "unix" for a unix socket."""
    client: str
    """The client's address."""
    user: str | None
    request_id: str | None

    def line(self, now: str = "") -> str:
        """A line that begins as those of Apache's common log format do, with the time if it is given."""
        who = " ".join(filter(None, (self.client, "-", one_line(self.user or "-"), now)))
        return (
            f'{who} "WEBSOCKET {self.path}" {self.code} {self.seconds:.3f}s'
            f" {self.messages_received}/{self.bytes_received} in {self.messages_sent}/{self.bytes_sent} out"
            f" {self.request_id or '-'}"
        )


def closed_entry(websocket: WebSocket) -> ClosedEntry:
    """What there is to say of a websocket that was open, and whose socket is closed."""
    connection, driver = websocket.connection, websocket.driver
    assert driver is not None, "a websocket that was open has a driver"
    visitor = websocket.visitor
    return ClosedEntry(
        path=websocket.path,
        route=websocket.route,
        code=connection.close_code or CloseCode.ABNORMAL_CLOSURE.value,
        seconds=round(driver.seconds_open, 6),
        messages_received=connection.messages_received,
        messages_sent=connection.messages_sent,
        bytes_received=driver.bytes_received,
        bytes_sent=driver.bytes_sent,
        peer=driver.peer,
        client=visitor.address or driver.peer_host,
        user=visitor.user_name or None if visitor.user_id is None else str(visitor.user_id),
        request_id=visitor.request_id,
    )


def is_wanted() -> bool:
    """Whether ``LOGGING`` sends the records anywhere."""
    return logger.isEnabledFor(logging.INFO) and logger.hasHandlers()


def log_closed(entry: ClosedEntry) -> None:
    """Log it."""
    logger.info("%s", entry.line(), extra=asdict(entry))
