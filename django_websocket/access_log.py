"""One line for each websocket, once it is closed: by the logger ``django_websocket.access``.

The message is a line for people; what it says, and more, is in the record's attributes, for formatters of any kind. If
``LOGGING`` sends these records nowhere, the server's own request log has the line.
"""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from typing import NamedTuple

from django.http import HttpRequest

from .addresses import client_address, parse_networks
from .close_codes import CloseCode
from .compat.django import known_user
from .conf import get_setting
from .websocket import WebSocket

__all__ = ["ClosedEntry", "Visitor", "closed_entry", "is_wanted", "log_closed", "visitor_of"]

logger = logging.getLogger("django_websocket.access")

_request_id = re.compile(r"[A-Za-z0-9._~:/+=@,-]{1,128}")
"""What may go into a log as it is."""


class Visitor(NamedTuple):
    """Who opened a websocket, as far as more is known than where its connection comes from."""

    client: str | None = None
    """The client's address, if a proxy that is trusted named it."""
    user: str | None = None
    """The primary key of the user, if the user was loaded."""
    request_id: str | None = None
    """The handshake's X-Request-ID."""


def visitor_of(request: HttpRequest, peer_host: str, before: object = None) -> Visitor | None:
    """Return what is known beside ``peer_host``, the address at the other end of the connection.

    None, which takes no memory, stands for nothing. ``before`` is what this returned earlier.
    Loads nothing: a user whom neither middleware nor the view asked for is not known.
    """
    user = known_user(request)
    name = str(user.pk) if user is not None and user.is_authenticated else None
    if isinstance(before, Visitor):
        return before._replace(user=name or before.user)  # who may have logged out since
    meta = request.META
    client = None
    peer, forwarded = meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded or peer != peer_host:  # which a middleware may have replaced
        address = client_address(peer, forwarded, parse_networks(get_setting("WEBSOCKET_TRUSTED_PROXIES")))
        client = None if address is None or str(address) == peer_host else str(address)
    found = meta.get("HTTP_X_REQUEST_ID", "")
    visitor = Visitor(client, name, found if _request_id.fullmatch(found) else None)
    return visitor if any(visitor) else None


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
        who = " ".join(filter(None, (self.client, "-", self.user or "-", now)))
        return (
            f'{who} "WEBSOCKET {self.path}" {self.code} {self.seconds:.3f}s'
            f" {self.messages_received}/{self.bytes_received} in {self.messages_sent}/{self.bytes_sent} out"
            f" {self.request_id or '-'}"
        )


def closed_entry(websocket: WebSocket) -> ClosedEntry:
    """What there is to say of a websocket that was open, and whose socket is closed."""
    connection, driver = websocket.connection, websocket.driver
    assert driver is not None, "a websocket that was open has a driver"
    visitor = websocket.visitor if isinstance(websocket.visitor, Visitor) else Visitor()
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
        client=visitor.client or driver.peer_host,
        user=visitor.user,
        request_id=visitor.request_id,
    )


def is_wanted() -> bool:
    """Whether ``LOGGING`` sends the records anywhere."""
    return logger.isEnabledFor(logging.INFO) and logger.hasHandlers()


def log_closed(entry: ClosedEntry) -> None:
    """Log it."""
    logger.info("%s", entry.line(), extra=asdict(entry))
