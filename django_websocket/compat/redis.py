"""What is private in redis-py."""

from __future__ import annotations

from typing import Any

__all__ = ["socket_of"]


def socket_of(connection: Any) -> Any:
    """The socket of a connection that is connected, and on which nothing is under way."""
    return connection._sock
