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
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    """Never sent: stands for a close frame without a code."""
    ABNORMAL_CLOSURE = 1006
    """Never sent: stands for a connection that ended without a close frame."""
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
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
