"""What ``manage.py check --deploy`` says of websockets, beside what Django says of the project.

:mod:`.findings` lists what they may find.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.urls import get_resolver

import django_websocket

from .checks import SESSION_MIDDLEWARE, Apps, drivers, has_middleware
from .conf import SETTINGS, get_setting
from .descriptor_limit import SPARE_DESCRIPTORS, cap_to_descriptors, hard_limit
from .findings import FINDINGS
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


def check_origins(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check who counts as the site's own page (W008, W009)."""
    allowed = _valid("WEBSOCKET_ALLOWED_ORIGINS")
    if allowed is not None and "*" in allowed:
        return [FINDINGS["W008"].message()]
    if allowed is None and "*" in settings.ALLOWED_HOSTS:
        return [FINDINGS["W009"].message()]
    return []


def check_tls(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that the server knows of the TLS in front of it (W010)."""
    header: object = settings.SECURE_PROXY_SSL_HEADER
    if header is not None:
        return []
    if settings.SECURE_SSL_REDIRECT and has_middleware(SECURITY_MIDDLEWARE):
        setting, consequence = "SECURE_SSL_REDIRECT", "every handshake is redirected, and browsers don't follow"
    elif settings.SESSION_COOKIE_SECURE and _valid("WEBSOCKET_ALLOWED_ORIGINS") is None:
        setting = "SESSION_COOKIE_SECURE"
        consequence = "pages of the site's host that came over plain http may open websockets, too"
    else:
        return []
    return [FINDINGS["W010"].message(setting=setting, consequence=consequence)]


def check_shared_groups(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that groups reach all processes, in a project that uses any (W011)."""
    try:
        config = GroupsConfig.of(_valid("WEBSOCKET_GROUPS"))
        in_memory = issubclass(load_backend(config), MemoryBackend)
    except ImproperlyConfigured:
        return []  # E004
    if not in_memory or not (config.histories or _imports_from_views("Group")):
        return []
    return [FINDINGS["W011"].message()]


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
    return [FINDINGS["W012"].message(limit=limit, possible=possible, wanted=wanted, needed=needed)]


def check_pools(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that requests share connections to PostgreSQL (W013)."""
    return [
        FINDINGS["W013"].message(alias=alias)
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
    return [FINDINGS["W014"].message(consequence=consequence, alias=settings.SESSION_CACHE_ALIAS)]


def check_ticket_cache(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that all processes know which tickets were used or revoked (W016)."""
    try:
        cache = caches[DEFAULT_CACHE_ALIAS]
    except InvalidCacheBackendError:
        return []
    if not isinstance(cache, (LocMemCache, DummyCache)) or not _imports_from_views("tickets"):
        return []
    return [FINDINGS["W016"].message()]


def check_pings(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that no websocket is silent for as long as proxies tolerate (W015)."""
    interval = _valid("WEBSOCKET_PING_INTERVAL")
    if interval and interval < PROXY_SECONDS:
        return []
    default = SETTINGS["WEBSOCKET_PING_INTERVAL"].default
    return [FINDINGS["W015"].message(interval=interval, default=default)]


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
