"""The settings. Each is declared once, with its default, its type and a line of documentation.

The checks, the decorators' options and the documentation derive from these declarations. Values are cached until
``setting_changed`` is sent, so ``override_settings`` works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from .addresses import parse_networks
from .rates import parse_rate

__all__ = ["OPTIONS", "SETTINGS", "Setting", "check_options", "get_setting"]


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_compression(value: object) -> bool:
    return isinstance(value, bool) or value == "context-takeover"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_seconds_or_none(value: object) -> bool:
    return value is None or (_is_number(value) and float(value) >= 0)  # type: ignore[arg-type]  # _is_number says so


def _is_limit(value: object) -> bool:
    return value is None or _is_seconds(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_count_or_none(value: object) -> bool:
    return value is None or _is_count(value)


def _is_restart_code(value: object) -> bool:
    return value in (1001, 1012)


def _is_strings(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) and v for v in value)


#: RFC 6454, section 6.2: a scheme, "://", a host and a port perhaps; "null" is what pages without an origin send.
_origin = re.compile(
    r"\*|null|[a-z][a-z0-9+.-]*://(\*\.)?([^\s/?#@:*\[\]]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE
)


def _is_origins_or_none(value: object) -> bool:
    return value is None or (_is_strings(value) and all(_origin.fullmatch(origin) for origin in value))  # type: ignore[attr-defined]  # _is_strings says so


_address = re.compile(r"([^\s:/\[\]]*|\[[0-9a-f:.]+\]):[0-9]{1,5}", re.IGNORECASE)


def _is_address_or_none(value: object) -> bool:
    return value is None or (isinstance(value, str) and _address.fullmatch(value) is not None)


def _is_networks(value: object) -> bool:
    if not _is_strings(value):
        return False
    try:
        parse_networks(value)  # type: ignore[arg-type]  # _is_strings says so
    except ValueError:
        return False
    return True


def _is_rate_or_none(value: object) -> bool:
    if not isinstance(value, str):
        return value is None
    try:
        parse_rate(value)
    except ValueError:
        return False
    return True


def _is_handshake_rate(value: object) -> bool:
    return _is_rate_or_none(value) and (value is None or parse_rate(str(value)).bytes is None)


def _is_rate_action(value: object) -> bool:
    return value in ("pause", "close")


def _is_groups(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("BACKEND", ""), str)


@dataclass(frozen=True)
class Setting:
    """One setting: its default, what makes a value valid (as a test and in words), and its documentation."""

    name: str
    default: Any
    is_valid: Callable[[object], bool]
    expects: str
    doc: str
    option: str | None = None
    """The keyword of ``accept_websocket`` and ``require_websocket`` that overrides the setting for one view."""


_STRINGS = "a list of non-empty strings"
_COUNT = "a positive integer"
_SECONDS = "a positive number of seconds"

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "WEBSOCKET_ACCEPT_ALL",
            False,
            _is_bool,
            "True or False",
            "Let the middleware pass websockets to every view, not only to views marked for them.",
        ),
        Setting(
            "WEBSOCKET_ALLOWED_ORIGINS",
            None,
            _is_origins_or_none,
            'None or a list of origins with their scheme and without a path, such as "https://example.com",'
            ' "https://*.example.com" or "http://localhost:3000"; "null" and "*" are right, too',
            "Origins (scheme://host[:port]) whose pages may connect. None: the request's own host and"
            ' CSRF_TRUSTED_ORIGINS; ["*"]: any.',
            option="origins",
        ),
        Setting(
            "WEBSOCKET_SUBPROTOCOLS",
            [],
            _is_strings,
            _STRINGS,
            "Subprotocols that the views support, in order of preference.",
            option="subprotocols",
        ),
        Setting(
            "WEBSOCKET_COMPRESSION",
            False,
            _is_compression,
            'True, False or "context-takeover"',
            'Negotiate permessage-deflate with clients that offer it. "context-takeover" compresses better, at about'
            " 300 KiB of memory per socket.",
            option="compression",
        ),
        Setting(
            "WEBSOCKET_MAX_MESSAGE_SIZE",
            1024 * 1024,
            _is_count,
            _COUNT,
            "Maximum message size in bytes, all fragments together, after decompression; larger ones close with 1009.",
            option="max_message_size",
        ),
        Setting(
            "WEBSOCKET_MAX_QUEUE",
            64,
            _is_count,
            _COUNT,
            "Messages that may queue up for the view before reading from the client pauses.",
            option="max_queue",
        ),
        Setting(
            "WEBSOCKET_MAX_OUTBOX",
            1024 * 1024,
            _is_count,
            _COUNT,
            "Bytes that may be buffered for a slow client before the websocket is closed with 1013.",
            option="max_outbox",
        ),
        Setting(
            "WEBSOCKET_SEND_TIMEOUT",
            10,
            _is_seconds,
            _SECONDS,
            "Seconds without progress after which a client that doesn't read is dropped.",
            option="send_timeout",
        ),
        Setting(
            "WEBSOCKET_RATE",
            None,
            _is_rate_or_none,
            'None or a rate such as "50/s", "100KiB/s" or "50/s, 100KiB/s"',
            'Messages, bytes or both that a client may send, such as "50/s, 100KiB/s": so many at once, and then as'
            " many a second (m: minute, h: hour).",
            option="rate",
        ),
        Setting(
            "WEBSOCKET_RATE_ACTION",
            "pause",
            _is_rate_action,
            '"pause" or "close"',
            "What happens past it: reading pauses, so that the client has to wait, or the websocket is closed (1008).",
            option="rate_action",
        ),
        Setting(
            "WEBSOCKET_PING_INTERVAL",
            20,
            _is_seconds_or_none,
            "None or a number of seconds",
            "Seconds between the server's pings; None or 0 disables them.",
        ),
        Setting(
            "WEBSOCKET_PING_TIMEOUT",
            20,
            _is_seconds,
            _SECONDS,
            "Seconds that a client has to answer a ping before it is dropped (1011).",
        ),
        Setting(
            "WEBSOCKET_CLOSE_TIMEOUT",
            10,
            _is_seconds,
            _SECONDS,
            "Seconds that the closing handshake may take before the connection is dropped.",
            option="close_timeout",
        ),
        Setting(
            "WEBSOCKET_RELEASE_DB_AFTER",
            1,
            _is_seconds_or_none,
            "None or a number of seconds",
            "Seconds that a view waits before its database connections are released; None keeps them.",
        ),
        Setting(
            "WEBSOCKET_SESSION_CHECK_INTERVAL",
            3,
            _is_seconds_or_none,
            "None or a number of seconds",
            "Seconds between checks that the sessions and the tickets that opened sockets are still valid (4401 if"
            " not); None or 0 disables them.",
        ),
        Setting(
            "WEBSOCKET_TICKET_AGE",
            60,
            _is_seconds,
            _SECONDS,
            "Seconds for which a ticket may open a websocket.",
        ),
        Setting(
            "WEBSOCKET_TICKET_REFRESH",
            3600,
            _is_limit,
            "None or a positive number of seconds",
            "Seconds within which the client of a websocket that a ticket opened must send another one, or it is closed"
            " with 4401; None: never. Tickets that come from a session end with it instead.",
        ),
        Setting(
            "WEBSOCKET_GROUPS",
            {"BACKEND": "django_websocket.groups.memory.MemoryBackend"},
            _is_groups,
            "a dictionary such as"
            ' {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": "redis://localhost:6379/0"}',
            "What carries the messages of groups between processes, and which groups keep a history.",
        ),
        Setting(
            "WEBSOCKET_MAX_CONNECTIONS",
            20_000,
            _is_count,
            _COUNT,
            "Maximum number of connections per process; further ones get a 503.",
        ),
        Setting(
            "WEBSOCKET_MAX_CONNECTIONS_PER_IP",
            None,
            _is_count_or_none,
            "None or a positive integer",
            "Maximum number of open websockets of one address, or one IPv6 network (/64); further ones get a 429."
            " With groups over Redis, those of all processes count.",
        ),
        Setting(
            "WEBSOCKET_MAX_CONNECTIONS_PER_USER",
            None,
            _is_count_or_none,
            "None or a positive integer",
            "The same for each user who is logged in.",
        ),
        Setting(
            "WEBSOCKET_HANDSHAKE_RATE",
            None,
            _is_handshake_rate,
            'None or a rate such as "10/s" or "300/m"',
            'Handshakes that one address may begin with each process, such as "300/m": 300 at once, then five a second.'
            " Further ones get a 429 before anything else happens.",
        ),
        Setting(
            "WEBSOCKET_TRUSTED_PROXIES",
            [],
            _is_networks,
            'a list of addresses and networks, such as "127.0.0.1" or "10.0.0.0/8"',
            "Proxies whose X-Forwarded-For tells a client's address. Whoever connects over a unix socket is one.",
        ),
        Setting(
            "WEBSOCKET_REQUEST_TIMEOUT",
            10,
            _is_seconds,
            _SECONDS,
            "Seconds that a client has to send a complete request head.",
        ),
        Setting(
            "WEBSOCKET_DRAIN_TIMEOUT",
            30,
            _is_seconds_or_none,
            "a number of seconds",
            "Seconds that views and requests have to finish when the server stops.",
        ),
        Setting(
            "WEBSOCKET_RESTART_CODE",
            1012,
            _is_restart_code,
            "1012 or 1001",
            "Close code with which a worker of gunicorn's sends its websockets away: service restart or going away.",
        ),
        Setting(
            "WEBSOCKET_BLOCKING_WARNING",
            0.25,
            _is_limit,
            "None or a positive number of seconds",
            "Seconds that one call may block the whole process before the log names it; None: never.",
        ),
        Setting(
            "WEBSOCKET_METRICS_ADDRESS",
            None,
            _is_address_or_none,
            'None or an address with a port, such as "127.0.0.1:9464"',
            "Where Prometheus finds the metrics, at /metrics; None: only in a view that the project mounts, if at all.",
        ),
    )
}

OPTIONS: dict[str, Setting] = {s.option: s for s in SETTINGS.values() if s.option is not None}


@cache
def get_setting(name: str) -> Any:
    """Return the value of ``name`` in Django's settings, or its default."""
    return getattr(django_settings, name, SETTINGS[name].default)


def _clear_cache(*, setting: str, **kwargs: Any) -> None:
    if setting in SETTINGS:
        get_setting.cache_clear()


# Looking up a setting that a project doesn't define takes some microseconds, and a handshake looks up ten.
setting_changed.connect(_clear_cache, dispatch_uid="django_websocket.conf")


def check_options(overrides: Mapping[str, Any]) -> None:
    """Check a decorator's options. Raises TypeError for an unknown one, ValueError for an invalid value."""
    for option, value in overrides.items():
        setting = OPTIONS.get(option)
        if setting is None:
            raise TypeError(f"unknown option {option!r}; choose from {', '.join(sorted(OPTIONS))}")
        if not setting.is_valid(value):
            raise ValueError(f"{option} must be {setting.expects}, not {value!r}")
