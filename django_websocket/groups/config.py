"""``WEBSOCKET_GROUPS``: which backend, and which groups keep a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from django.core.exceptions import ImproperlyConfigured

__all__ = ["DEFAULT_TTL", "KEYS", "GroupsConfig", "History"]

DEFAULT_TTL = 24 * 3600.0
"""Seconds after the last message that a history is kept."""

MEMORY = "django_websocket.groups.memory.MemoryBackend"

KEYS = {
    "BACKEND": "The class that carries messages: ``django_websocket.groups.memory.MemoryBackend``, for groups of one"
    " process, ``django_websocket.groups.redis.RedisBackend``, or one of your own.",
    "LOCATION": "Where Redis or Valkey is, as redis-py takes it: ``redis://``, ``rediss://`` (TLS) or ``unix://``. For"
    " a Cluster or Sentinels, it may be a list.",
    "PREFIX": 'What all keys and channels begin with: ``"django-websocket"``. Projects that share a Redis each need'
    " their own.",
    "TIMEOUT": "Seconds that a call may wait for Redis: 2.",
    "HISTORY": "How many messages groups keep, by patterns of their names: ``{pattern: size}``, or ``{pattern:"
    ' {"SIZE": size, "TTL": seconds}}``. The first pattern that matches counts. Works in memory, too.',
    "CLUSTER": "True for a Redis Cluster: messages go by sharded channels, each through one node.",
    "SENTINEL": "The name of the master; ``LOCATION`` are then the Sentinels.",
    "OPTIONS": 'Keyword arguments for redis-py\'s connections, such as ``{"ssl_ca_certs": "/etc/ssl/redis.pem"}``.',
}
"""The keys of the setting, and what they mean."""


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and value != "" and not set(value) & set("{} \n")


@dataclass(frozen=True)
class History:
    """Keep the last ``size`` messages, until none has come for ``ttl`` seconds."""

    size: int
    """Messages."""
    ttl: float = DEFAULT_TTL
    """Seconds."""

    def __post_init__(self) -> None:
        if not (_is_positive(self.size) and isinstance(self.size, int)):
            raise ValueError(f"a history has a positive number of messages, not {self.size!r}")
        if not _is_positive(self.ttl):
            raise ValueError(f"a history is kept for a positive number of seconds, not {self.ttl!r}")


def _history(value: Any) -> History:
    if isinstance(value, Mapping):
        if unknown := set(value) - {"SIZE", "TTL"}:
            raise ValueError(f"a history has SIZE and TTL, not {', '.join(map(str, sorted(unknown)))}")
        return History(value.get("SIZE", 0), value.get("TTL", DEFAULT_TTL))
    return History(value)


@dataclass(frozen=True)
class GroupsConfig:
    """``WEBSOCKET_GROUPS``, read and checked: the keys in lower case, and their defaults.

    ``histories`` has the patterns of HISTORY, and what they keep, in their order.
    """

    backend: str = MEMORY
    location: str | tuple[str, ...] = ""
    prefix: str = "django-websocket"
    timeout: float = 2.0
    cluster: bool = False
    sentinel: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    histories: tuple[tuple[str, History], ...] = ()

    @classmethod
    def of(cls, setting: Mapping[str, Any]) -> GroupsConfig:
        """Read the setting. Raises ImproperlyConfigured."""
        try:
            return cls._read(dict(setting))
        except ValueError as error:
            raise ImproperlyConfigured(f"WEBSOCKET_GROUPS: {error}") from None

    @classmethod
    def _read(cls, setting: dict[str, Any]) -> GroupsConfig:
        location = setting.pop("LOCATION", "")
        config = cls(
            backend=setting.pop("BACKEND", MEMORY),
            location=location if isinstance(location, str) else tuple(location),
            prefix=setting.pop("PREFIX", cls.prefix),
            timeout=setting.pop("TIMEOUT", cls.timeout),
            cluster=setting.pop("CLUSTER", False),
            sentinel=setting.pop("SENTINEL", None),
            options=dict(setting.pop("OPTIONS", {})),
            histories=tuple((pattern, _history(value)) for pattern, value in setting.pop("HISTORY", {}).items()),
        )
        if setting:
            raise ValueError(f"unknown key {', '.join(map(repr, sorted(setting)))}")
        if not _is_prefix(config.prefix):
            raise ValueError(f"PREFIX is a string without braces and spaces, not {config.prefix!r}")
        if not _is_positive(config.timeout):
            raise ValueError(f"TIMEOUT is a positive number of seconds, not {config.timeout!r}")
        if config.cluster and config.sentinel:
            raise ValueError("CLUSTER and SENTINEL exclude each other")
        return config

    def history_of(self, name: str) -> History | None:
        """That of the first pattern in HISTORY, in the style of the shell, that ``name`` matches."""
        for pattern, history in self.histories:
            if fnmatchcase(name, pattern):
                return history
        return None
