"""System checks, run by ``manage.py check`` and before the server starts; :mod:`.findings` lists what they may find.

Those of ``check --deploy`` are in :mod:`.deployment_checks`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from .compat.event_loops import blocking_loop_policy
from .conf import SETTINGS, get_setting
from .findings import FINDINGS
from .groups.backend import Backend, load_backend
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

PYMYSQL = "Use PyMySQL: import pymysql; pymysql.install_as_MySQLdb() in the settings."

THIN_MODE = "Use python-oracledb without init_oracle_client(): its thin mode uses Python's sockets."

Apps = Sequence[AppConfig] | None


def check_settings(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check the values of our settings (E001) and look for misspelt ones (W005)."""
    messages: list[CheckMessage] = []
    for name, setting in SETTINGS.items():
        value = get_setting(name)
        if not setting.is_valid(value):
            words = {"name": name, "value": value, "expects": setting.expects, "meaning": setting.doc}
            messages.append(FINDINGS["E001"].message(**words))
    for name in dir(settings):
        if name.startswith(PREFIX) and name not in SETTINGS:
            for suggestion in get_close_matches(name, SETTINGS, n=1, cutoff=0.9):
                messages.append(FINDINGS["W005"].message(name=name, suggestion=suggestion))
    return messages


def check_groups(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check WEBSOCKET_GROUPS, without connecting to anything (E004)."""
    setting = get_setting("WEBSOCKET_GROUPS")
    if not SETTINGS["WEBSOCKET_GROUPS"].is_valid(setting):
        return []  # E001
    try:
        config = GroupsConfig.of(setting)
        backend: Any = load_backend(config)
        if isinstance(backend, type) and issubclass(backend, Backend):
            backend.check(config)
    except ImproperlyConfigured as error:
        return [FINDINGS["E004"].message(error=error)]
    return []


def check_environment(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check which hub eventlet is configured to use (E002), and which event loops asyncio makes (W007)."""
    messages: list[CheckMessage] = []
    if asks_for_asyncio_hub():
        messages.append(FINDINGS["E002"].message())
    policy = blocking_loop_policy()
    if policy is not None:
        messages.append(FINDINGS["W007"].message(policy=policy))
    return messages


def check_middleware(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that ours is last in MIDDLEWARE (W001)."""
    messages: list[CheckMessage] = []
    names = list(settings.MIDDLEWARE)
    found = [_import(name) for name in names]
    ours = [isinstance(each, type) and issubclass(each, WebSocketMiddleware) for each in found]
    if True in ours and not ours[-1]:
        following = ", ".join(names[ours.index(True) + 1 :])
        messages.append(FINDINGS["W001"].message(name=names[ours.index(True)], following=following))
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
    return [FINDINGS["W006"].message()]


def has_middleware(name: str) -> bool:
    """Whether a class of this name, whose module may be anybody's, is in MIDDLEWARE."""
    return any(each.endswith(name) for each in settings.MIDDLEWARE)


def check_databases(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check for drivers that block (W002, W003) and for persistent connections (W004)."""
    messages: list[CheckMessage] = []
    for alias, driver in drivers():
        if driver == "MySQLdb":
            messages.append(FINDINGS["W002"].message(driver="mysqlclient", alias=alias, replacement=PYMYSQL))
        elif driver == "cx_Oracle" or (driver == "oracledb" and _oracledb_blocks()):
            messages.append(FINDINGS["W002"].message(driver="Oracle's C client", alias=alias, replacement=THIN_MODE))
        elif driver == "psycopg" and _psycopg_blocks():
            messages.append(FINDINGS["W003"].message(alias=alias))
        if driver != "sqlite3" and connections.settings[alias]["CONN_MAX_AGE"] != 0:
            messages.append(FINDINGS["W004"].message(alias=alias))
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
