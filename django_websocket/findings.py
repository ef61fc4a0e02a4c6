"""What the system checks may find. Each is declared once; the reference lists them. Ids are never reused.

``E003`` (async-only middleware) is no longer used: such middleware works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage, Error, Warning

from .groups.config import KEYS

__all__ = ["FINDINGS", "Finding"]

PREFIX = "django_websocket."


@dataclass(frozen=True)
class Finding:
    """An id, when it is found, and what is said then; words in braces are filled in."""

    id: str
    meaning: str
    text: str
    hint: str
    deploy: bool = False
    """Whether it is looked for by ``check --deploy`` only."""

    @property
    def is_error(self) -> bool:
        """An error keeps the server from starting; a warning doesn't."""
        return self.id.startswith("E")

    def message(self, **words: Any) -> CheckMessage:
        """The message, with ``words`` filled in."""
        kind = Error if self.is_error else Warning
        return kind(self.text.format(**words), hint=self.hint.format(**words), id=f"{PREFIX}{self.id}")


_SILENCE = 'SILENCED_SYSTEM_CHECKS = ["django_websocket.{id}"].'
"""The end of a hint: how to say that the operator knows better."""

FINDINGS: dict[str, Finding] = {
    finding.id: finding
    for finding in (
        Finding(
            "E001",
            "A setting of this package has a value that it can't have.",
            "{name} must be {expects}, not {value!r}.",
            "{meaning}",
        ),
        Finding(
            "E002",
            "Eventlet is told to run on asyncio, where the ORM doesn't work.",
            "EVENTLET_HUB=asyncio: Django's ORM refuses to run inside an asyncio event loop.",
            "Unset EVENTLET_HUB.",
        ),
        Finding(
            "E004",
            "``WEBSOCKET_GROUPS`` names something that doesn't exist, or that can't be used.",
            "{error}.",
            "Its keys are " + ", ".join(KEYS) + "; the documentation's reference tells what they mean.",
        ),
        Finding(
            "W001",
            "``WebSocketMiddleware`` is not the last middleware.",
            "{name} is not the last entry in MIDDLEWARE.",
            "It runs views marked by an attribute itself, so these never see those views: {following}.",
        ),
        Finding(
            "W002",
            "The driver of a database (mysqlclient, Oracle's C client) blocks all green threads during each query.",
            "{driver}, the driver of database {alias!r}, blocks all views during each query.",
            "{replacement} Or keep it and run long queries in a native thread: django_websocket.blocking.to_thread().",
        ),
        Finding(
            "W003",
            "psycopg was imported before the process was patched for green threads, and blocks in the same way.",
            "psycopg, the driver of database {alias!r}, was imported before the process was patched, and blocks all"
            " views during each query.",
            "Call django_websocket.serving.patch.patch() first, or set PSYCOPG_WAIT_FUNC=wait_select.",
        ),
        Finding(
            "W004",
            "``CONN_MAX_AGE`` is set for a database.",
            "CONN_MAX_AGE of database {alias!r} is not 0: each green thread would keep its own connection.",
            'Set it to 0. To reuse connections, with psycopg: "OPTIONS": {{"pool": True}}.',
        ),
        Finding(
            "W005",
            "A setting looks like a misspelling of one of this package's.",
            "Unknown setting {name}.",
            "Did you mean {suggestion}?",
        ),
        Finding(
            "W006",
            "Sessions are signed cookies, so that a log-out closes no websockets.",
            "Sessions are signed cookies, which only the browser holds: websockets stay open after a log-out.",
            "To have a log-out close them, keep sessions on the server: SESSION_ENGINE ="
            ' "django.contrib.sessions.backends.db" or "django.contrib.sessions.backends.cached_db".',
        ),
        Finding(
            "W007",
            "The event loop policy is uvloop's or the like, whose loops block the process.",
            "{policy} makes event loops that wait in C: async code blocks the whole process, for ever if it calls"
            " sync_to_async().",
            "Keep asyncio's own event loop policy: call uvloop.install() in asgi.py, for example, rather than in the"
            " settings.",
        ),
        Finding(
            "W008",
            "Pages of any site may open websockets, by ``WEBSOCKET_ALLOWED_ORIGINS``.",
            'WEBSOCKET_ALLOWED_ORIGINS contains "*": pages of any site may open websockets.',
            'List the origins of your pages, such as "https://example.com". Without the setting, pages of the site\'s'
            " own host may open them.",
            deploy=True,
        ),
        Finding(
            "W009",
            "Every host name counts as the site's own, by ``ALLOWED_HOSTS``, so pages of any site may open websockets.",
            'ALLOWED_HOSTS contains "*": pages of any host name that leads to this server may open websockets.',
            "List the site's host names in ALLOWED_HOSTS, or the origins of its pages in WEBSOCKET_ALLOWED_ORIGINS,"
            ' such as "https://example.com".',
            deploy=True,
        ),
        Finding(
            "W010",
            "The site is behind TLS, and the server doesn't know: ``SECURE_PROXY_SSL_HEADER`` is not set.",
            "{setting} is on and SECURE_PROXY_SSL_HEADER is not set: behind a proxy that ends TLS, {consequence}.",
            'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"), with a proxy that sets this header whatever'
            " the client sent. If the server itself sees that a request came over TLS, " + _SILENCE.format(id="W010"),
            deploy=True,
        ),
        Finding(
            "W011",
            "The project uses groups, which are kept in the memory of one process.",
            "Groups are kept in memory: a message reaches only the websockets of the process that sends it.",
            'WEBSOCKET_GROUPS = {{"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION":'
            ' "redis://localhost:6379/0"}}. If a single process both sends and serves, ' + _SILENCE.format(id="W011"),
            deploy=True,
        ),
        Finding(
            "W012",
            "The process may not open as many files as ``WEBSOCKET_MAX_CONNECTIONS`` needs.",
            "A process may have {limit} file descriptors, which is enough for {possible} of the {wanted} connections of"
            " WEBSOCKET_MAX_CONNECTIONS.",
            "Where the server starts, allow {needed} (LimitNOFILE={needed} in a unit of systemd, --ulimit"
            " nofile={needed} for Docker), or set WEBSOCKET_MAX_CONNECTIONS = {possible}.",
            deploy=True,
        ),
        Finding(
            "W013",
            "A PostgreSQL database has no connection pool.",
            "Database {alias!r} has no connection pool: each request in progress has a connection of its own, and"
            " PostgreSQL refuses more than 100 unless it is told otherwise.",
            '"OPTIONS": {{"pool": {{"max_size": 20}}}}, for each process (pip install "psycopg[pool]"). If PgBouncer or'
            " the like is in between, " + _SILENCE.format(id="W013"),
            deploy=True,
        ),
        Finding(
            "W014",
            "Sessions are cached in the memory of one process.",
            "Sessions are cached in the memory of one process: {consequence}.",
            'Let all processes share the cache {alias!r} (in CACHES, "BACKEND":'
            ' "django.core.cache.backends.redis.RedisCache"), or use SESSION_ENGINE ='
            ' "django.contrib.sessions.backends.db".',
            deploy=True,
        ),
        Finding(
            "W015",
            "The server pings less often than proxies tolerate silence.",
            "WEBSOCKET_PING_INTERVAL is {interval!r}: most proxies cut a websocket that is silent for a minute.",
            "Make it shorter than the proxy's patience (proxy_read_timeout of nginx: 60 seconds), or leave it at its"
            " default of {default} seconds.",
            deploy=True,
        ),
        Finding(
            "W016",
            "The project uses tickets, and its default cache is in the memory of one process, or nowhere.",
            "The default cache is not shared: other processes don't know which tickets were used or revoked.",
            'In CACHES, "default": {{"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION":'
            ' "redis://localhost:6379/1"}}, or DatabaseCache. If there is a single process, '
            + _SILENCE.format(id="W016"),
            deploy=True,
        ),
    )
}
