"""Close codes of RFC 6455, section 7.4.1, and of the IANA registry that section 11.7 sets up."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["UNAUTHORIZED", "CloseCode"]

UNAUTHORIZED = 4401
"""Who opened the websocket may no longer have it: the session ended, or the ticket.

In the range that section 7.4.2 reserves for applications; modelled on HTTP's 401.
"""


class CloseCode(IntEnum):
    """Registered close codes. 4000 to 4999 are for applications; libraries register 3000 to 3999 (section 7.4.2)."""

    NORMAL_CLOSURE = 1000
    """All was said. Sent when a view returns."""
    GOING_AWAY = 1001
    """The server is stopping. Browsers send it when the user leaves the page."""
    PROTOCOL_ERROR = 1002
    """The peer has broken the protocol."""
    UNSUPPORTED_DATA = 1003
    """The peer takes no messages of this type, such as binary ones. For views: never sent otherwise."""
    NO_STATUS_RCVD = 1005
    """Never sent: stands for a close frame without a code."""
    ABNORMAL_CLOSURE = 1006
    """Never sent: stands for a connection that ended without a close frame."""
    INVALID_DATA = 1007
    """A text message or a close reason is not UTF-8, or a compressed message can't be decompressed."""
    POLICY_VIOLATION = 1008
    """Sent to a client that does what no legitimate client does, such as sending a message in thousands of fragments;
    that sends more than ``WEBSOCKET_RATE``, if ``WEBSOCKET_RATE_ACTION`` is to close; or that an operator closes on the
    live page."""
    MESSAGE_TOO_BIG = 1009
    """A message is larger than ``WEBSOCKET_MAX_MESSAGE_SIZE``."""
    MANDATORY_EXTENSION = 1010
    """Clients send it if the server has not negotiated an extension that they need."""
    INTERNAL_ERROR = 1011
    """The view has raised an exception, or returned an error response after its accept; or the client didn't answer a
    ping within ``WEBSOCKET_PING_TIMEOUT``."""
    SERVICE_RESTART = 1012
    """The client may come back at once, after a random delay. Sent by a worker of gunicorn's that is replaced, unless
    ``WEBSOCKET_RESTART_CODE`` is 1001."""
    TRY_AGAIN_LATER = 1013
    """The client doesn't read: more than ``WEBSOCKET_MAX_OUTBOX`` bytes wait for it."""
    BAD_GATEWAY = 1014
    """A proxy got an invalid response. For views that are proxies: never sent otherwise."""
    TLS_HANDSHAKE = 1015
    """Never sent: stands for a TLS handshake that failed."""

    @property
    def is_sendable(self) -> bool:
        """Whether it may appear in a close frame (section 7.4.1)."""
        return self not in _RESERVED


_RESERVED = frozenset(
    {
        CloseCode.NO_STATUS_RCVD,
        CloseCode.ABNORMAL_CLOSURE,
        CloseCode.TLS_HANDSHAKE,
    }
)
