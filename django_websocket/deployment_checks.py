"""What ``manage.py check --deploy`` says of websockets, beside what Django says of the project. Ids are never reused.

* ``W008``: WEBSOCKET_ALLOWED_ORIGINS lets pages of any site open websockets.
* ``W009``: ALLOWED_HOSTS is ``*``, so a page's own host is whatever its handshake says.
* ``W010``: the site is behind TLS, but SECURE_PROXY_SSL_HEADER is not set.
* ``W011``: the project uses groups, which are kept in the memory of one process.
* ``W012``: the limit on file descriptors is too low for WEBSOCKET_MAX_CONNECTIONS.
* ``W013``: a PostgreSQL database has no connection pool.
* ``W014``: sessions are cached in the memory of one process.
* ``W015``: the server pings less often than proxies cut silent connections.
* ``W016``: the project uses tickets, and its cache is in the memory of one process, or nowhere.

Those before these are in :mod:`.checks`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.urls import get_resolver

import django_websocket

from .checks import SESSION_MIDDLEWARE, Apps, drivers, has_middleware
from .conf import SETTINGS, get_setting
from .descriptor_limit import SPARE_DESCRIPTORS, cap_to_descriptors, hard_limit
from .groups.backend import load_backend
from .groups.config import GroupsConfig
from .groups.memory import MemoryBackend

__all__ = [
    "check_descriptors",
    "check_origins",
    "check_pings",
    "check_pools",
    "check_session_cache",
    "check_shared_groups",
    "check_ticket_cache",
    "check_tls",
    "register_deployment_checks",
]

SECURITY_MIDDLEWARE = ".SecurityMiddleware"

PROXY_SECONDS = 60
"""Seconds of silence after which nginx, and most others, cut a connection."""

#: Session engines, and what comes of it if their cache belongs to one process.
CACHED_SESSIONS = {
    "django.contrib.sessions.backends.cache": "the other processes don't know them",
    "django.contrib.sessions.backends.cached_db": "the other processes don't notice a log-out",
}


def _silence(check: str) -> str:
    """The end of a hint: how to say that the operator knows better."""
    return f'SILENCED_SYSTEM_CHECKS = ["django_websocket.{check}"].'


def check_origins(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check who counts as the site's own page (W008, W009)."""
    allowed = _valid("WEBSOCKET_ALLOWED_ORIGINS")
    if allowed is not None and "*" in allowed:
        return [
            Warning(
                'WEBSOCKET_ALLOWED_ORIGINS contains "*": pages of any site may open websockets.',
                hint='List the origins of your pages, such as "https://example.com". Without the setting, pages of the'
                " site's own host may open them.",
                id="django_websocket.W008",
            )
        ]
    if allowed is None and "*" in settings.ALLOWED_HOSTS:
        return [
            Warning(
                'ALLOWED_HOSTS contains "*": pages of any host name that leads to this server may open websockets.',
                hint="List the site's host names in ALLOWED_HOSTS, or the origins of its pages in"
                ' WEBSOCKET_ALLOWED_ORIGINS, such as "https://example.com".',
                id="django_websocket.W009",
            )
        ]
    return []


def check_tls(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that the server knows of the TLS in front of it (W010)."""
    header: object = settings.SECURE_PROXY_SSL_HEADER
    if header is not None:
        return []
    if settings.SECURE_SSL_REDIRECT and has_middleware(SECURITY_MIDDLEWARE):
        problem = (
            "SECURE_SSL_REDIRECT is on and SECURE_PROXY_SSL_HEADER is not set: behind a proxy that ends TLS, every"
            " handshake is redirected, and browsers don't follow."
        )
    elif settings.SESSION_COOKIE_SECURE and _valid("WEBSOCKET_ALLOWED_ORIGINS") is None:
        problem = (
            "SESSION_COOKIE_SECURE is on and SECURE_PROXY_SSL_HEADER is not set: behind a proxy that ends TLS, pages"
            " of the site's host that came over plain http may open websockets, too."
        )
    else:
        return []
    return [
        Warning(
            problem,
            hint='SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"), with a proxy that sets this header'
            f" whatever the client sent. If the server itself sees that a request came over TLS, {_silence('W010')}",
            id="django_websocket.W010",
        )
    ]


def check_shared_groups(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that groups reach all processes, in a project that uses any (W011)."""
    try:
        config = GroupsConfig.of(_valid("WEBSOCKET_GROUPS"))
        in_memory = issubclass(load_backend(config), MemoryBackend)
    except ImproperlyConfigured:
        return []  # E004
    if not in_memory or not (config.histories or _imports_from_views("Group")):
        return []
    return [
        Warning(
            "Groups are kept in memory: a message reaches only the websockets of the process that sends it.",
            hint='WEBSOCKET_GROUPS = {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION":'
            f' "redis://localhost:6379/0"}}. If a single process both sends and serves, {_silence("W011")}',
            id="django_websocket.W011",
        )
    ]


def _imports_from_views(name: str) -> bool:
    """Whether the code that the URLs lead to has imported ``name``, which the package has only once it is asked."""
    if getattr(settings, "ROOT_URLCONF", None):
        get_resolver().url_patterns  # noqa: B018  imports the views
    return name in vars(django_websocket)


def check_descriptors(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that every connection can have its file descriptor (W012)."""
    wanted, limit = _valid("WEBSOCKET_MAX_CONNECTIONS"), hard_limit()
    possible = cap_to_descriptors(wanted, limit)
    if possible == wanted:
        return []
    needed = wanted + SPARE_DESCRIPTORS
    return [
        Warning(
            f"A process may have {limit} file descriptors, which is enough for {possible} of the {wanted} connections"
            " of WEBSOCKET_MAX_CONNECTIONS.",
            hint=f"Where the server starts, allow {needed} (LimitNOFILE={needed} in a unit of systemd, --ulimit"
            f" nofile={needed} for Docker), or set WEBSOCKET_MAX_CONNECTIONS = {possible}.",
            id="django_websocket.W012",
        )
    ]


def check_pools(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that requests share connections to PostgreSQL (W013)."""
    return [
        Warning(
            f"Database {alias!r} has no connection pool: each request in progress has a connection of its own, and"
            " PostgreSQL refuses more than 100 unless it is told otherwise.",
            hint='"OPTIONS": {"pool": {"max_size": 20}}, for each process (pip install "psycopg[pool]"). If PgBouncer'
            f" or the like is in between, {_silence('W013')}",
            id="django_websocket.W013",
        )
        for alias, driver in drivers()
        if driver in ("psycopg", "psycopg2") and not connections.settings[alias]["OPTIONS"].get("pool")
    ]


def check_session_cache(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that all processes see the same sessions (W014)."""
    consequence = CACHED_SESSIONS.get(settings.SESSION_ENGINE)
    if consequence is None or not has_middleware(SESSION_MIDDLEWARE):
        return []
    try:
        cache = caches[settings.SESSION_CACHE_ALIAS]
    except InvalidCacheBackendError:
        return []  # nothing works then, and Django says why
    if not isinstance(cache, LocMemCache):
        return []
    return [
        Warning(
            f"Sessions are cached in the memory of one process: {consequence}.",
            hint=f'Let all processes share the cache {settings.SESSION_CACHE_ALIAS!r} (in CACHES, "BACKEND":'
            ' "django.core.cache.backends.redis.RedisCache"), or use SESSION_ENGINE ='
            ' "django.contrib.sessions.backends.db".',
            id="django_websocket.W014",
        )
    ]


def check_ticket_cache(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that all processes know which tickets were used or revoked (W016)."""
    try:
        cache = caches[DEFAULT_CACHE_ALIAS]
    except InvalidCacheBackendError:
        return []
    if not isinstance(cache, (LocMemCache, DummyCache)) or not _imports_from_views("tickets"):
        return []
    return [
        Warning(
            f"The cache {DEFAULT_CACHE_ALIAS!r} is not shared: other processes don't know which tickets were used or"
            " revoked.",
            hint='In CACHES, "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION":'
            f' "redis://localhost:6379/1"}}, or DatabaseCache. If there is a single process, {_silence("W016")}',
            id="django_websocket.W016",
        )
    ]


def check_pings(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that no websocket is silent for as long as proxies tolerate (W015)."""
    interval = _valid("WEBSOCKET_PING_INTERVAL")
    if interval and interval < PROXY_SECONDS:
        return []
    return [
        Warning(
            f"WEBSOCKET_PING_INTERVAL is {interval!r}: most proxies cut a websocket that is silent for a minute.",
            hint="Make it shorter than the proxy's patience (proxy_read_timeout of nginx: 60 seconds), or leave it at"
            f" its default of {SETTINGS['WEBSOCKET_PING_INTERVAL'].default} seconds.",
            id="django_websocket.W015",
        )
    ]


def _valid(name: str) -> Any:
    """The setting, or its default if its value is wrong, which E001 says."""
    value, setting = get_setting(name), SETTINGS[name]
    return value if setting.is_valid(value) else setting.default


def register_deployment_checks() -> None:
    """Register all of them; called when the application is ready."""
    for check in (
        check_origins,
        check_tls,
        check_shared_groups,
        check_descriptors,
        check_pools,
        check_session_cache,
        check_ticket_cache,
        check_pings,
    ):
        register(check, "django_websocket", deploy=True)
