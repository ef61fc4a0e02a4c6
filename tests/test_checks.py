"""Each check finds what it is for, and nothing where nothing is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import types
from typing import Any

import pytest
from django.core.checks import CheckMessage, registry, run_checks
from django.test import override_settings

from django_websocket import accept_websocket, checks
from django_websocket.conf import SETTINGS
from django_websocket.middleware import WebSocketMiddleware
from tests.conftest import ROOT

OURS = "django_websocket.middleware.WebSocketMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"


class AsyncOnly:
    sync_capable = False
    async_capable = True


class Descendant(WebSocketMiddleware):
    pass


def ids(messages: list[CheckMessage]) -> list[str]:
    assert all(message.hint for message in messages)
    return [str(message.id).removeprefix("django_websocket.") for message in messages]


def test_all_are_registered() -> None:
    registered = {getattr(check, "__name__", "") for check in registry.registry.get_checks()}
    ours = {
        "check_settings",
        "check_groups",
        "check_environment",
        "check_middleware",
        "check_sessions",
        "check_databases",
    }
    assert ours <= registered


REDIS = {"BACKEND": "django_websocket.groups.redis.RedisBackend"}

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


@pytest.mark.parametrize(
    ("backend", "middleware", "found"),
    [
        ("signed_cookies", [COMMON, SESSIONS], ["W006"]),
        ("signed_cookies", [COMMON], []),
        ("db", [COMMON, SESSIONS], []),
        ("cached_db", [COMMON, SESSIONS], []),
    ],
)
def test_sessions_that_a_log_out_can_not_end(backend: str, middleware: list[str], found: list[str]) -> None:
    with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{backend}", MIDDLEWARE=middleware):
        assert ids(checks.check_sessions(None)) == found


def test_a_good_project_passes() -> None:
    assert run_checks(tags=["django_websocket"]) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_value_is_found(name: str) -> None:
    wrong = object()
    with override_settings(**{name: wrong}):
        [message] = checks.check_settings(None)
    assert message.id == "django_websocket.E001"
    assert message.msg == f"{name} must be {SETTINGS[name].expects}, not {wrong!r}."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBSOCKET_ACCEPT_ALL", 1),
        ("WEBSOCKET_ALLOWED_ORIGINS", "https://example.com"),
        ("WEBSOCKET_SUBPROTOCOLS", [""]),
        ("WEBSOCKET_COMPRESSION", "yes"),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", 0),
        ("WEBSOCKET_MAX_QUEUE", True),
        ("WEBSOCKET_SEND_TIMEOUT", None),
        ("WEBSOCKET_PING_TIMEOUT", 0),
        ("WEBSOCKET_RELEASE_DB_AFTER", -1),
    ],
)
def test_a_near_miss_is_wrong_too(name: str, value: object) -> None:
    with override_settings(**{name: value}):
        assert ids(checks.check_settings(None)) == ["E001"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"BACKEND": "nowhere.Backend"}, "no backend nowhere.Backend: No module named 'nowhere'"),
        ({"BACKEND": "redis.Redis", "PLACE": "x"}, "unknown key 'PLACE'"),
        ({**REDIS, "LOCATION": "localhost:6379"}, "Redis URL must specify one of the following schemes"),
        ({**REDIS, "LOCATION": ["redis://a", "redis://b"]}, "several LOCATIONs are for CLUSTER or SENTINEL"),
        ({"HISTORY": {"*": "ten"}}, "a history has a positive number of messages, not 'ten'"),
    ],
)
def test_groups_that_can_not_be(setting: dict[str, Any], says: str) -> None:
    with override_settings(WEBSOCKET_GROUPS=setting):
        [message] = checks.check_groups(None)
    assert message.id == "django_websocket.E004"
    assert message.msg.startswith(f"WEBSOCKET_GROUPS: {says}")


def test_redis_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("django_websocket.groups.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hiredis", None)
    backend = {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": "redis://localhost"}
    with override_settings(WEBSOCKET_GROUPS=backend):
        [message] = checks.check_groups(None)
    assert "pip install 'django-websocket[redis]'" in message.msg


@pytest.mark.parametrize("setting", [{}, {**REDIS, "LOCATION": "redis://nowhere.invalid", "CLUSTER": True}])
def test_groups_are_checked_without_a_connection(setting: dict[str, Any]) -> None:
    with override_settings(WEBSOCKET_GROUPS=setting):
        assert checks.check_groups(None) == []


RIGHT_ORIGINS = [
    "*",
    "null",
    "https://x.org",
    "HTTPS://X.org",
    "https://*.x.org",
    "http://localhost:3000",
    "http://[::1]:8000",
    "https://bücher.example",
    "chrome-extension://abcdef",
]
WRONG_ORIGINS = [
    "x.org",
    "*.x.org",
    "x.org:443",
    "//x.org",
    "https://",
    "https://x.org/",
    "https://x.org/page",
    "https://*",
    "https://a.*.x.org",
    "https://x.org:port",
    "https://user@x.org",
    "https://x.org, https://y.org",
]


def test_right_origins_pass() -> None:
    with override_settings(WEBSOCKET_ALLOWED_ORIGINS=RIGHT_ORIGINS):
        assert checks.check_settings(None) == []
    accept_websocket(origins=RIGHT_ORIGINS)


@pytest.mark.parametrize("origin", WRONG_ORIGINS)
def test_a_wrong_origin_is_found_and_the_right_form_shown(origin: str) -> None:
    with override_settings(WEBSOCKET_ALLOWED_ORIGINS=["https://x.org", origin]):
        [message] = checks.check_settings(None)
    assert message.id == "django_websocket.E001"
    assert 'such as "https://example.com"' in message.msg
    with pytest.raises(ValueError, match="with their scheme"):
        accept_websocket(origins=[origin])


@override_settings(WEBSOCKET_PING_INTERVALL=5, WEBSOCKET_ADDRESS="wss://example.com", WEBSOCKET_PING_INTERVAL=None)
def test_a_misspelt_setting_is_found() -> None:
    [message] = checks.check_settings(None)
    assert message.id == "django_websocket.W005"
    assert message.hint == "Did you mean WEBSOCKET_PING_INTERVAL?"


@pytest.mark.parametrize(
    ("value", "found"),
    [("asyncio", ["E002"]), ("eventlet.hubs.asyncio:Hub", ["E002"]), ("epolls", []), ("", [])],
)
def test_the_asyncio_hub_is_found(monkeypatch: pytest.MonkeyPatch, value: str, found: list[str]) -> None:
    monkeypatch.setenv("EVENTLET_HUB", value)
    assert ids(checks.check_environment(None)) == found


class LoopInC(asyncio.AbstractEventLoop):
    """Like uvloop's, not based on a selector."""

    closed = False

    def close(self) -> None:
        type(self).closed = True


@pytest.mark.parametrize(("loop", "found"), [(LoopInC, ["W007"]), (asyncio.SelectorEventLoop, [])])
def test_event_loops_that_wait_in_c_are_found(
    monkeypatch: pytest.MonkeyPatch, loop: type[asyncio.AbstractEventLoop], found: list[str]
) -> None:
    class Policy:
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return loop()

    monkeypatch.setattr(LoopInC, "closed", False)
    monkeypatch.setattr(asyncio.events, "_event_loop_policy", Policy())
    messages = checks.check_environment(None)
    assert ids(messages) == found
    assert all("Policy makes event loops" in message.msg for message in messages)
    assert LoopInC.closed is bool(found)


@pytest.mark.filterwarnings("ignore:.*event_loop_policy:DeprecationWarning")
def test_asyncios_own_policy_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.events, "_event_loop_policy", None)
    assert checks.check_environment(None) == []
    assert asyncio.get_event_loop_policy() is not None, "it is set now"
    assert checks.check_environment(None) == []


@pytest.mark.filterwarnings("ignore:.*event_loop_policy:DeprecationWarning")
def test_a_policy_is_where_we_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``uvloop.install()`` calls."""
    monkeypatch.setattr(asyncio.events, "_event_loop_policy", None)

    class Policy(type(asyncio.get_event_loop_policy())):  # type: ignore[misc]  # depends on the platform
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return LoopInC()  # type: ignore[abstract]  # nothing else is called

    asyncio.set_event_loop_policy(Policy())
    assert ids(checks.check_environment(None)) == ["W007"]


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        ([], []),
        ([COMMON], []),
        ([COMMON, OURS], []),
        ([OURS, COMMON], ["W001"]),
        ([f"{__name__}.Descendant", COMMON], ["W001"]),
        ([f"{__name__}.AsyncOnly", OURS], []),
        (["not.to.be.found", OURS], []),
    ],
)
def test_the_middleware_is_looked_at(middleware: list[str], found: list[str]) -> None:
    with override_settings(MIDDLEWARE=middleware):
        assert ids(checks.check_middleware(None)) == found


def connections_of(monkeypatch: pytest.MonkeyPatch, driver: str, **options: Any) -> None:
    """One database whose driver is the module ``driver``."""

    class Connections(dict[str, Any]):
        settings = {"default": {"CONN_MAX_AGE": 0, **options}}

    backend = types.SimpleNamespace(Database=types.ModuleType(driver))
    monkeypatch.setattr(checks, "connections", Connections(default=backend))


@pytest.mark.parametrize(
    ("driver", "age", "found"),
    [
        ("sqlite3.dbapi2", 60, []),
        ("psycopg", 0, []),
        ("psycopg", 60, ["W004"]),
        ("psycopg", None, ["W004"]),
        ("pymysql", 0, []),
        ("MySQLdb", 0, ["W002"]),
        ("MySQLdb", 60, ["W002", "W004"]),
        ("oracledb", 0, []),
        ("cx_Oracle", 0, ["W002"]),
    ],
)
def test_databases_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, driver: str, age: int | None, found: list[str]
) -> None:
    connections_of(monkeypatch, driver, CONN_MAX_AGE=age)
    assert ids(checks.check_databases(None)) == found


def test_the_mode_of_oracledb_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thin mode uses Python's sockets, its thick one waits in C."""
    connections_of(monkeypatch, "oracledb", CONN_MAX_AGE=0)
    thin = True
    monkeypatch.setitem(sys.modules, "oracledb", types.SimpleNamespace(is_thin_mode=lambda: thin))
    assert ids(checks.check_databases(None)) == []
    thin = False
    [warning] = checks.check_databases(None)
    assert warning.hint is not None
    assert "django_websocket.blocking.to_thread" in warning.hint


@pytest.mark.parametrize("before", [True, False])
def test_a_psycopg_that_was_loaded_before_the_patch_is_found(before: bool) -> None:
    program = f"""
if {before}: import psycopg
from django_websocket.serving.patch import patch
patch()
from django.conf import settings
settings.configure(DATABASES={{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "none"}}}})
import django
django.setup()
from django_websocket.checks import check_databases
print([message.id for message in check_databases(None)])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == ("['django_websocket.W003']" if before else "[]")


def test_the_driver_of_pymysql_is_known_from_mysqlclient() -> None:
    """Django's MySQL backend imports "MySQLdb" for both."""
    program = """
import pymysql
pymysql.version_info = (2, 2, 4, "final", 0)
pymysql.install_as_MySQLdb()
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.mysql", "NAME": "none"}})
import django
django.setup()
from django_websocket.checks import check_databases
print([message.id for message in check_databases(None)])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "[]"
