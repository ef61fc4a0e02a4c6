"""System checks: what ``manage.py check`` can see before anything runs. Ids are never used again.

* ``E001``: a setting of ours has a wrong value.
* ``E002``: EVENTLET_HUB=asyncio, below which Django's ORM refuses to work.
* ``E003``: a middleware that is only async, so that Django would run views in other threads.
* ``W001``: :class:`~django_websocket.middleware.WebSocketMiddleware` is not the last middleware.
* ``W002``: a database driver that blocks all green threads with each query (mysqlclient).
* ``W003``: psycopg was loaded before the process was patched, and blocks likewise.
* ``W004``: CONN_MAX_AGE is set, and each green thread would keep a connection of its own.
* ``W005``: a setting that looks like one of ours, misspelt.
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

from .conf import SETTINGS, get_setting
from .hub_choice import asks_for_asyncio_hub
from .middleware import WebSocketMiddleware

__all__ = ["check_databases", "check_environment", "check_middleware", "check_settings", "register_checks"]

PREFIX = "WEBSOCKET_"

Apps = Sequence[AppConfig] | None


def check_settings(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The types and values of our settings (E001), and misspelt ones (W005)."""
    messages: list[CheckMessage] = []
    for name, setting in SETTINGS.items():
        value = get_setting(name)
        if not setting.is_valid(value):
            messages.append(
                Error(f"{name} must be {setting.expects}, not {value!r}.", hint=setting.doc, id="django_websocket.E001")
            )
    for name in dir(settings):
        if name.startswith(PREFIX) and name not in SETTINGS:
            for meant in get_close_matches(name, SETTINGS, n=1, cutoff=0.9):
                messages.append(
                    Warning(f"There is no setting {name}.", hint=f"Is {meant} meant?", id="django_websocket.W005")
                )
    return messages


def check_environment(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The hub that eventlet is told to use (E002)."""
    if not asks_for_asyncio_hub():
        return []
    return [
        Error(
            "EVENTLET_HUB=asyncio: Django's ORM refuses to work below an asyncio event loop.",
            hint="Unset EVENTLET_HUB.",
            id="django_websocket.E002",
        )
    ]


def check_middleware(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The order of MIDDLEWARE (W001), and what in it can't work here (E003)."""
    messages: list[CheckMessage] = []
    names = list(settings.MIDDLEWARE)
    found = [_import(name) for name in names]
    ours = [isinstance(each, type) and issubclass(each, WebSocketMiddleware) for each in found]
    if True in ours and not ours[-1]:
        behind = ", ".join(names[ours.index(True) + 1 :])
        messages.append(
            Warning(
                f"{names[ours.index(True)]} is not the last of MIDDLEWARE.",
                hint=f"It runs views that only carry the attribute itself, so these would not see them: {behind}.",
                id="django_websocket.W001",
            )
        )
    messages.extend(
        Error(
            f"The middleware {name} is only async: Django would run all behind it in another thread.",
            hint="Use one that can also be sync.",
            id="django_websocket.E003",
        )
        for name, middleware in zip(names, found, strict=True)
        if not getattr(middleware, "sync_capable", True)
    )
    return messages


def _import(name: str) -> Any:
    try:
        return import_string(name)
    except ImportError:
        return None  # Django says so itself, and better


def check_databases(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Drivers that block (W002, W003), and connections that are kept for too many (W004)."""
    messages: list[CheckMessage] = []
    for alias, driver in _drivers():
        if driver == "MySQLdb":
            messages.append(
                Warning(
                    f"mysqlclient, the driver of the database {alias!r}, blocks all views with each query.",
                    hint="Use PyMySQL: import pymysql; pymysql.install_as_MySQLdb() in the settings.",
                    id="django_websocket.W002",
                )
            )
        elif driver == "psycopg" and _psycopg_blocks():
            messages.append(
                Warning(
                    f"psycopg, the driver of the database {alias!r}, was imported before the process was patched, and"
                    " blocks all views with each query.",
                    hint="Call django_websocket.serving.patch.patch() first, or set PSYCOPG_WAIT_FUNC=wait_select.",
                    id="django_websocket.W003",
                )
            )
        if driver != "sqlite3" and connections.settings[alias]["CONN_MAX_AGE"] != 0:
            messages.append(
                Warning(
                    f"CONN_MAX_AGE of the database {alias!r} is not 0: each green thread would keep a connection of its"
                    " own.",
                    hint='Set it to 0. To reuse connections, with psycopg: "OPTIONS": {"pool": True}.',
                    id="django_websocket.W004",
                )
            )
    return messages


def _drivers() -> Iterator[tuple[str, str]]:
    """Each database's alias, and the name of its driver's module."""
    for alias in connections:
        try:
            driver = getattr(connections[alias], "Database", None)
        except ImproperlyConfigured:
            continue  # Django says so itself
        # sqlite3 is pysqlite's dbapi2 in the standard library
        yield alias, getattr(driver, "__name__", "").removesuffix(".dbapi2")


def _psycopg_blocks() -> bool:
    """Whether this process is patched, and psycopg waits in C nevertheless."""
    patcher = sys.modules.get("eventlet.patcher")
    waiting = sys.modules.get("psycopg.waiting")
    if patcher is None or waiting is None or not patcher.is_monkey_patched("select"):
        return False
    return getattr(waiting.wait, "__name__", "") == "wait_c"


def register_checks() -> None:
    """Have ``manage.py check`` run them all; called when the application is ready."""
    for check in (check_settings, check_environment, check_middleware, check_databases):
        register(check, "django_websocket")
