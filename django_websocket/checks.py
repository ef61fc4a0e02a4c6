"""System checks, run by ``manage.py check`` and before the server starts. Ids are never reused.

* ``E001``: one of our settings has an invalid value.
* ``E002``: EVENTLET_HUB=asyncio; Django's ORM refuses to run inside an asyncio event loop.
* ``E003``: no longer used; async-only middleware works.
* ``E004``: ``WEBSOCKET_GROUPS`` names what doesn't exist, or what can't be used.
* ``W001``: :class:`~django_websocket.middleware.WebSocketMiddleware` is not the last middleware.
* ``W002``: a database driver (mysqlclient, Oracle's C client) blocks all green threads during each query.
* ``W003``: psycopg was imported before the process was patched, and blocks in the same way.
* ``W004``: CONN_MAX_AGE is set, so each green thread would keep its own connection.
* ``W005``: a setting looks like a misspelling of one of ours.
* ``W006``: sessions are signed cookies, so a log-out closes no websockets.
* ``W007``: the event loop policy is uvloop's or the like, whose loops block the process.

Those from ``W008`` on are in :mod:`.deployment_checks`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from .compat.event_loops import blocking_loop_policy
from .conf import SETTINGS, get_setting
from .groups.backend import load_backend
from .groups.config import GroupsConfig
from .hub_choice import asks_for_asyncio_hub
from .middleware import WebSocketMiddleware

__all__ = [
    "check_databases",
    "check_environment",
    "check_groups",
    "check_middleware",
    "check_sessions",
    "check_settings",
    "drivers",
    "has_middleware",
    "register_checks",
]

PREFIX = "WEBSOCKET_"

SESSION_MIDDLEWARE = ".SessionMiddleware"

IN_THREAD = "run long queries in a native thread: django_websocket.blocking.to_thread()."

Apps = Sequence[AppConfig] | None


def check_settings(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check the values of our settings (E001) and look for misspelt ones (W005)."""
    messages: list[CheckMessage] = []
    for name, setting in SETTINGS.items():
        value = get_setting(name)
        if not setting.is_valid(value):
            messages.append(
                Error(f"{name} must be {setting.expects}, not {value!r}.", hint=setting.doc, id="django_websocket.E001")
            )
    for name in dir(settings):
        if name.startswith(PREFIX) and name not in SETTINGS:
            for suggestion in get_close_matches(name, SETTINGS, n=1, cutoff=0.9):
                messages.append(
                    Warning(f"Unknown setting {name}.", hint=f"Did you mean {suggestion}?", id="django_websocket.W005")
                )
    return messages


def check_groups(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check WEBSOCKET_GROUPS, without connecting to anything (E004)."""
    setting = get_setting("WEBSOCKET_GROUPS")
    if not SETTINGS["WEBSOCKET_GROUPS"].is_valid(setting):
        return []  # E001
    try:
        load_backend(GroupsConfig.of(setting))
    except ImproperlyConfigured as error:
        return [Error(f"{error}.", hint="See docs/howto/groups.rst.", id="django_websocket.E004")]
    return []


def check_environment(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check which hub eventlet is configured to use (E002), and which event loops asyncio makes (W007)."""
    messages: list[CheckMessage] = []
    if asks_for_asyncio_hub():
        messages.append(
            Error(
                "EVENTLET_HUB=asyncio: Django's ORM refuses to run inside an asyncio event loop.",
                hint="Unset EVENTLET_HUB.",
                id="django_websocket.E002",
            )
        )
    policy = blocking_loop_policy()
    if policy is not None:
        messages.append(
            Warning(
                f"{policy} makes event loops that wait in C: async code blocks the whole process, for ever if it calls"
                " sync_to_async().",
                hint="Keep asyncio's own event loop policy: call uvloop.install() in asgi.py, for example, rather than"
                " in the settings.",
                id="django_websocket.W007",
            )
        )
    return messages


def check_middleware(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that ours is last in MIDDLEWARE (W001)."""
    messages: list[CheckMessage] = []
    names = list(settings.MIDDLEWARE)
    found = [_import(name) for name in names]
    ours = [isinstance(each, type) and issubclass(each, WebSocketMiddleware) for each in found]
    if True in ours and not ours[-1]:
        following = ", ".join(names[ours.index(True) + 1 :])
        messages.append(
            Warning(
                f"{names[ours.index(True)]} is not the last entry in MIDDLEWARE.",
                hint=f"It runs views marked by an attribute itself, so these never see those views: {following}.",
                id="django_websocket.W001",
            )
        )
    return messages


def _import(name: str) -> Any:
    try:
        return import_string(name)
    except ImportError:
        return None  # Django reports this itself, and better


def check_sessions(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that a log-out can be seen from the server (W006)."""
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.signed_cookies":
        return []
    if not has_middleware(SESSION_MIDDLEWARE):
        return []
    return [
        Warning(
            "Sessions are signed cookies, which only the browser holds: websockets stay open after a log-out.",
            hint="To have a log-out close them, keep sessions on the server: SESSION_ENGINE ="
            ' "django.contrib.sessions.backends.db" or "django.contrib.sessions.backends.cached_db".',
            id="django_websocket.W006",
        )
    ]


def has_middleware(name: str) -> bool:
    """Whether a class of this name, whose module may be anybody's, is in MIDDLEWARE."""
    return any(each.endswith(name) for each in settings.MIDDLEWARE)


def check_databases(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check for drivers that block (W002, W003) and for persistent connections (W004)."""
    messages: list[CheckMessage] = []
    for alias, driver in drivers():
        if driver == "MySQLdb":
            messages.append(
                Warning(
                    f"mysqlclient, the driver of database {alias!r}, blocks all views during each query.",
                    hint="Use PyMySQL: import pymysql; pymysql.install_as_MySQLdb() in the settings. Or keep it and"
                    f" {IN_THREAD}",
                    id="django_websocket.W002",
                )
            )
        elif driver == "cx_Oracle" or (driver == "oracledb" and _oracledb_blocks()):
            messages.append(
                Warning(
                    f"Oracle's C client, which database {alias!r} uses, blocks all views during each query.",
                    hint="Use python-oracledb without init_oracle_client(): its thin mode uses Python's sockets."
                    f" Or keep it and {IN_THREAD}",
                    id="django_websocket.W002",
                )
            )
        elif driver == "psycopg" and _psycopg_blocks():
            messages.append(
                Warning(
                    f"psycopg, the driver of database {alias!r}, was imported before the process was patched, and"
                    " blocks all views during each query.",
                    hint="Call django_websocket.serving.patch.patch() first, or set PSYCOPG_WAIT_FUNC=wait_select.",
                    id="django_websocket.W003",
                )
            )
        if driver != "sqlite3" and connections.settings[alias]["CONN_MAX_AGE"] != 0:
            messages.append(
                Warning(
                    f"CONN_MAX_AGE of database {alias!r} is not 0: each green thread would keep its own connection.",
                    hint='Set it to 0. To reuse connections, with psycopg: "OPTIONS": {"pool": True}.',
                    id="django_websocket.W004",
                )
            )
    return messages


def drivers() -> Iterator[tuple[str, str]]:
    """Yield each database's alias and the name of its driver's module."""
    for alias in connections:
        try:
            driver = getattr(connections[alias], "Database", None)
        except ImproperlyConfigured:
            continue  # Django reports this itself
        # The driver module is named sqlite3.dbapi2.
        yield alias, getattr(driver, "__name__", "").removesuffix(".dbapi2")


def _oracledb_blocks() -> bool:
    """Whether python-oracledb was told to use the C client."""
    is_thin_mode = getattr(sys.modules.get("oracledb"), "is_thin_mode", None)
    return is_thin_mode is not None and not is_thin_mode()


def _psycopg_blocks() -> bool:
    """Whether this process is patched but psycopg still waits in C."""
    patcher = sys.modules.get("eventlet.patcher")
    waiting = sys.modules.get("psycopg.waiting")
    if patcher is None or waiting is None or not patcher.is_monkey_patched("select"):
        return False
    return getattr(waiting.wait, "__name__", "") == "wait_c"


def register_checks() -> None:
    """Register all checks; called when the application is ready."""
    for check in (
        check_settings,
        check_groups,
        check_environment,
        check_middleware,
        check_sessions,
        check_databases,
    ):
        register(check, "django_websocket")
