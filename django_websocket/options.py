"""Per-connection options: the settings at the time of the handshake, with the view's overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .conf import get_setting
from .rates import Rate, parse_rate

__all__ = ["Options", "resolve_options"]


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes in bytes, times in seconds; each is documented with its setting in :mod:`django_websocket.conf`."""

    max_message_size: int
    max_queue: int
    max_outbox: int
    send_timeout: float
    close_timeout: float
    rate: Rate | None
    rate_action: str
    compression: bool | str
    subprotocols: tuple[str, ...]
    origins: tuple[str, ...] | None
    release_db_after: float | None


def resolve_options(overrides: Mapping[str, Any]) -> Options:
    """Return the settings with ``overrides``, the keyword options of a decorator, applied."""

    def value(name: str, option: str | None = None) -> Any:
        return overrides[option] if option is not None and option in overrides else get_setting(name)

    origins = value("WEBSOCKET_ALLOWED_ORIGINS", "origins")
    rate = value("WEBSOCKET_RATE", "rate")
    return _cached_options(
        value("WEBSOCKET_MAX_MESSAGE_SIZE", "max_message_size"),
        value("WEBSOCKET_MAX_QUEUE", "max_queue"),
        value("WEBSOCKET_MAX_OUTBOX", "max_outbox"),
        value("WEBSOCKET_SEND_TIMEOUT", "send_timeout"),
        value("WEBSOCKET_CLOSE_TIMEOUT", "close_timeout"),
        None if rate is None else parse_rate(rate),
        value("WEBSOCKET_RATE_ACTION", "rate_action"),
        value("WEBSOCKET_COMPRESSION", "compression"),
        tuple(value("WEBSOCKET_SUBPROTOCOLS", "subprotocols")),
        None if origins is None else tuple(origins),
        get_setting("WEBSOCKET_RELEASE_DB_AFTER"),
    )


@lru_cache(maxsize=256)
def _cached_options(*values: Any) -> Options:
    # Thousands of sockets of one view share one object.
    return Options(*values)
