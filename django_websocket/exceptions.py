"""The exception hierarchy.

* :exc:`WebSocketException`

  * :exc:`ConnectionClosed`: the websocket is closed.

    * :exc:`HandshakeAborted`: it never opened, because the view's ``101`` response was replaced or could not be sent.

  * :exc:`ConcurrencyError`: two greenlets wait for messages of one websocket.
  * :exc:`GroupsUnavailable`: what carries the messages of groups doesn't answer.
  * :exc:`HandshakeError`: the opening handshake is refused; carries the HTTP status and headers.
  * :exc:`ProtocolError`: the peer broke the protocol; carries the close code.

    * :exc:`InvalidPayload` (1007), :exc:`PolicyViolation` (1008), :exc:`MessageTooBig` (1009),
      :exc:`KeepaliveTimeout` (1011), :exc:`InvalidTicket` (4401)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .close_codes import UNAUTHORIZED, CloseCode

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "GroupsUnavailable",
    "HandshakeAborted",
    "HandshakeError",
    "InvalidPayload",
    "InvalidTicket",
    "KeepaliveTimeout",
    "MessageTooBig",
    "PolicyViolation",
    "ProtocolError",
    "RefusalReason",
    "WebSocketException",
]


class WebSocketException(Exception):
    """Base of every exception of django_websocket."""


class ConnectionClosed(WebSocketException):
    """The websocket is closed.

    ``__cause__`` is what ended the connection, if not a close frame: a :exc:`.ProtocolError`, or an OSError.
    A view need not catch it: letting it propagate is a normal way to end.
    """

    def __init__(self, code: int = 1006, reason: str = "", sent_code: int | None = None) -> None:
        self.code = code
        """Of the client's close frame: 1005 if it had no code, 1006 if there was none (RFC 6455, section 7.1.5)."""
        self.reason = reason
        """Of the client's close frame."""
        self.sent_code = sent_code
        """Of the server's close frame; None if there was none."""
        super().__init__(code, reason, sent_code)

    def __str__(self) -> str:
        received = f"received {self.code}" if self.code != 1006 else "no close frame received"
        if self.reason:
            received += f" ({self.reason})"
        sent = f"sent {self.sent_code}" if self.sent_code is not None else "no close frame sent"
        return f"websocket closed: {received}, {sent}"


class HandshakeAborted(ConnectionClosed):
    """The view accepted, but its ``101`` never reached the client: a middleware replaced it, or the client left."""

    def __str__(self) -> str:
        return "websocket never opened: its 101 response was replaced, or could not be sent"


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two greenlets wait for a message of the same websocket."""


class GroupsUnavailable(WebSocketException):
    """Redis, or whatever else carries the messages of groups, can't be reached, doesn't answer, or refuses.

    ``__cause__`` is the backend's own exception. Whether a message was sent is not known: it was tried once.
    """


class RefusalReason(StrEnum):
    """Why a handshake got no websocket."""

    MALFORMED = "malformed"
    """It is no valid handshake (RFC 6455, section 4.2.1)."""
    ORIGIN = "origin"
    """The page's origin is not allowed."""
    TICKET = "ticket"
    """The client's ticket is not valid, or not any more."""
    NOT_ACCEPTED = "not_accepted"
    """The view of this URL takes no websockets."""
    LOGIN = "login"
    """The answer was a redirect to a login page."""
    RESPONSE = "response"
    """The view, a middleware or Django answered: 404, say, or 500 for an exception."""
    STOPPING = "stopping"
    """The server is stopping."""
    LEFT = "left"
    """The client left before it was answered."""
    BAD_REQUEST = "bad_request"
    """It is no valid HTTP request, or did not come in time; perhaps it was none for a websocket."""
    IP_LIMIT = "ip_limit"
    """The client's address has as many websockets as it may have."""
    USER_LIMIT = "user_limit"
    """The user has as many websockets as one may have."""
    HANDSHAKE_RATE = "handshake_rate"
    """The client's address has begun too many handshakes in too short a time."""
    FULL = "full"
    """There are as many connections as the server takes; perhaps it was none for a websocket."""


class HandshakeError(WebSocketException):
    """Refuses an opening handshake with HTTP ``status`` and ``headers`` (RFC 6455, section 4.2.2)."""

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Mapping[str, str] | None = None,
        *,
        kind: RefusalReason = RefusalReason.MALFORMED,
    ) -> None:
        self.status = status
        """The HTTP status."""
        self.reason = reason
        """What is wrong, for people."""
        self.headers = dict(headers or {})
        """Headers of the response."""
        self.kind = kind
        """The :class:`RefusalReason`."""
        super().__init__(status, reason)

    def __str__(self) -> str:
        return self.reason


class ProtocolError(WebSocketException):
    """The peer broke the protocol; the connection is failed with ``close_code`` (RFC 6455, section 7.1.7)."""

    close_code: int = CloseCode.PROTOCOL_ERROR
    """The code of the close frame that the server sends."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        """What the peer did, for people."""
        super().__init__(reason)


class InvalidPayload(ProtocolError):
    """A text message or a close reason is not UTF-8, or compressed data is invalid."""

    close_code = CloseCode.INVALID_DATA


class PolicyViolation(ProtocolError):
    """The peer does what no legitimate client does, such as sending a message in thousands of fragments."""

    close_code = CloseCode.POLICY_VIOLATION


class KeepaliveTimeout(ProtocolError):
    """The peer did not answer a ping in time and is presumed gone."""

    close_code = CloseCode.INTERNAL_ERROR


class MessageTooBig(ProtocolError):
    """A message is larger than ``WEBSOCKET_MAX_MESSAGE_SIZE``."""

    close_code = CloseCode.MESSAGE_TOO_BIG


class InvalidTicket(ProtocolError):
    """A ticket does not let its bearer in: it is forged, expired, used, revoked, or somebody else's."""

    close_code = UNAUTHORIZED
