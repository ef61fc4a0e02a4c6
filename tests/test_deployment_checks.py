"""What ``check --deploy`` finds, that its hints are enough, and that a good project hears nothing."""

from __future__ import annotations

import importlib
import re
import resource
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import registry
from django.test import override_settings

import django_websocket
from django_websocket import checks, deployment_checks
from tests.management.projects import environment, start_project
from tests.test_checks import COMMON, SESSIONS, ids

SECURITY = "django.middleware.security.SecurityMiddleware"


def test_all_are_registered_for_deployments_only() -> None:
    ours = {name for name in deployment_checks.__all__ if name.startswith("check_")}
    everywhere = {getattr(check, "__name__", "") for check in registry.registry.get_checks()}
    deployed = {
        getattr(check, "__name__", "") for check in registry.registry.get_checks(include_deployment_checks=True)
    }
    assert ours <= deployed - everywhere


@pytest.mark.parametrize("module", [checks, deployment_checks])
def test_the_list_of_ids_is_complete(module: types.ModuleType) -> None:
    assert module.__doc__ is not None
    assert module.__file__ is not None
    used = set(re.findall(r'id="django_websocket\.(\w+)"', Path(module.__file__).read_text()))
    listed = re.findall(r"^\* ``(\w+)``", module.__doc__, re.MULTILINE)
    assert used == set(listed) - {"E003"}


def test_no_id_is_used_twice() -> None:
    every = re.findall(r"^\* ``(\w+)``", f"{checks.__doc__}{deployment_checks.__doc__}", re.MULTILINE)
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("origins", "hosts", "found"),
    [
        (None, ["example.com"], []),
        (["https://example.com"], ["*"], []),
        (["https://example.com", "*"], ["example.com"], ["W008"]),
        (["*"], ["*"], ["W008"]),
        (None, ["*"], ["W009"]),
        (None, [".example.com"], []),
        ("*", ["example.com"], []),  # E001
    ],
)
def test_whose_pages_may_connect(origins: Any, hosts: list[str], found: list[str]) -> None:
    with override_settings(WEBSOCKET_ALLOWED_ORIGINS=origins, ALLOWED_HOSTS=hosts):
        assert ids(deployment_checks.check_origins(None)) == found


HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, None),
        ({"SECURE_SSL_REDIRECT": True, "MIDDLEWARE": [SECURITY]}, "every handshake is redirected"),
        ({"SECURE_SSL_REDIRECT": True, "MIDDLEWARE": [SECURITY], "SECURE_PROXY_SSL_HEADER": HEADER}, None),
        ({"SECURE_SSL_REDIRECT": True, "MIDDLEWARE": [COMMON]}, None),
        ({"SESSION_COOKIE_SECURE": True}, "came over plain http"),
        ({"SESSION_COOKIE_SECURE": True, "WEBSOCKET_ALLOWED_ORIGINS": ["https://example.com"]}, None),
        ({"SESSION_COOKIE_SECURE": True, "SECURE_PROXY_SSL_HEADER": HEADER}, None),
    ],
)
def test_whether_the_server_knows_of_tls(settings: dict[str, Any], says: str | None) -> None:
    with override_settings(**settings):
        messages = deployment_checks.check_tls(None)
    assert ids(messages) == ([] if says is None else ["W010"])
    assert says is None or says in messages[0].msg


class TestGroups:
    @pytest.fixture(autouse=True)
    def untouched(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        """As in a process in which nobody has asked for groups yet."""
        monkeypatch.delitem(vars(django_websocket), "Group", raising=False)
        settings.ROOT_URLCONF = types.ModuleType("urls")
        settings.ROOT_URLCONF.urlpatterns = []

    def test_a_project_without_groups_hears_nothing(self) -> None:
        assert deployment_checks.check_shared_groups(None) == []

    def test_a_project_that_imports_group_is_warned(self) -> None:
        from django_websocket import Group  # noqa: F401  that is the point

        assert ids(deployment_checks.check_shared_groups(None)) == ["W011"]

    def test_a_history_is_kept_for_groups(self, settings: Any) -> None:
        settings.WEBSOCKET_GROUPS = {"HISTORY": {"chat.*": 10}}
        assert ids(deployment_checks.check_shared_groups(None)) == ["W011"]

    @pytest.mark.parametrize(
        "groups",
        [
            {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": "redis://x", "HISTORY": {"*": 10}},
            {"BACKEND": "nowhere.Backend", "HISTORY": {"*": 10}},  # E004
        ],
    )
    def test_other_backends_are_no_business_of_its(self, groups: dict[str, Any], settings: Any) -> None:
        settings.WEBSOCKET_GROUPS = groups
        assert deployment_checks.check_shared_groups(None) == []


@pytest.mark.parametrize(
    ("limit", "found"),
    [(1000, ["W012"]), (1127, ["W012"]), (1128, []), (resource.RLIM_INFINITY, [])],
)
def test_descriptors_are_counted(monkeypatch: pytest.MonkeyPatch, settings: Any, limit: int, found: list[str]) -> None:
    settings.WEBSOCKET_MAX_CONNECTIONS = 1000
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, limit))
    messages = deployment_checks.check_descriptors(None)
    assert ids(messages) == found
    for message in messages:
        assert "LimitNOFILE=1128" in str(message.hint)
        settings.WEBSOCKET_MAX_CONNECTIONS = int(str(message.hint).rpartition("= ")[2].rstrip("."))
        assert deployment_checks.check_descriptors(None) == [], "the hint's number is small enough"


@pytest.mark.parametrize(
    ("driver", "options", "found"),
    [
        ("psycopg", {}, ["W013"]),
        ("psycopg2", {}, ["W013"]),
        ("psycopg", {"pool": False}, ["W013"]),
        ("psycopg", {"pool": True}, []),
        ("psycopg", {"pool": {"max_size": 20}}, []),
        ("pymysql", {}, []),
        ("sqlite3.dbapi2", {}, []),
    ],
)
def test_pools(monkeypatch: pytest.MonkeyPatch, driver: str, options: dict[str, Any], found: list[str]) -> None:
    monkeypatch.setattr(checks, "connections", {"default": types.SimpleNamespace(Database=types.ModuleType(driver))})
    known = types.SimpleNamespace(settings={"default": {"OPTIONS": options}})
    monkeypatch.setattr(deployment_checks, "connections", known)
    assert ids(deployment_checks.check_pools(None)) == found


LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
SHARED = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/nowhere"}


@pytest.mark.parametrize(
    ("engine", "cache", "says"),
    [
        ("cache", LOCAL, "don't know them"),
        ("cached_db", LOCAL, "don't notice a log-out"),
        ("db", LOCAL, None),
        ("cache", SHARED, None),
        ("cached_db", SHARED, None),
        ("cache", {"BACKEND": "nowhere.Cache"}, None),
    ],
)
def test_sessions_of_one_process(engine: str, cache: dict[str, str], says: str | None, settings: Any) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = {"default": LOCAL, "sessions": cache}
    settings.MIDDLEWARE = [COMMON]
    assert deployment_checks.check_session_cache(None) == []
    settings.MIDDLEWARE = [COMMON, SESSIONS]
    messages = deployment_checks.check_session_cache(None)
    assert ids(messages) == ([] if says is None else ["W014"])
    assert says is None or says in messages[0].msg


@pytest.mark.parametrize(
    ("backend", "found"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", ["W016"]),
        ("django.core.cache.backends.dummy.DummyCache", ["W016"]),
        ("django.core.cache.backends.db.DatabaseCache", []),
        ("nowhere.Cache", []),
    ],
)
def test_tickets_need_a_shared_cache(
    monkeypatch: pytest.MonkeyPatch, settings: Any, backend: str, found: list[str]
) -> None:
    settings.CACHES = {"default": {"BACKEND": backend}}
    settings.ROOT_URLCONF = types.ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = []
    monkeypatch.delitem(vars(django_websocket), "tickets", raising=False)
    assert ids(deployment_checks.check_ticket_cache(None)) == []
    importlib.import_module("django_websocket.tickets")
    monkeypatch.setitem(vars(django_websocket), "tickets", sys.modules["django_websocket.tickets"])
    assert ids(deployment_checks.check_ticket_cache(None)) == found


@pytest.mark.parametrize(
    ("interval", "found"), [(20, []), (59.5, []), (60, ["W015"]), (None, ["W015"]), (0, ["W015"]), ("often", [])]
)
def test_pings_come_in_time(interval: Any, found: list[str]) -> None:
    with override_settings(WEBSOCKET_PING_INTERVAL=interval):
        assert ids(deployment_checks.check_pings(None)) == found


BAD = """
ALLOWED_HOSTS = ["*"]
SECURE_SSL_REDIRECT = True
WEBSOCKET_MAX_CONNECTIONS = 10**30  # more than any machine allows
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "mysite"}}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
WEBSOCKET_PING_INTERVAL = None
"""

# What the hints say.
FOLLOWED = """
ALLOWED_HOSTS = ["example.com"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
WEBSOCKET_GROUPS = {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": "redis://localhost:6379/0"}
WEBSOCKET_MAX_CONNECTIONS = 100
DATABASES["default"] |= {"OPTIONS": {"pool": {"max_size": 20}}}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
WEBSOCKET_PING_INTERVAL = 20
"""


def check(project: Path, settings: str, env: dict[str, str]) -> list[str]:
    """Our ids in the output of ``check --deploy`` with ``settings`` added."""
    path = project / "mysite" / "settings.py"
    before = path.read_text()
    path.write_text(before + settings)
    try:
        # Django 6.1 finds an error in a fresh project.
        command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "CRITICAL"]
        run = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    finally:
        path.write_text(before)
    assert run.returncode == 0, run.stderr
    assert "System check identified" in run.stderr + run.stdout
    return sorted(re.findall(r"django_websocket\.(\w\d+)\)", run.stderr))


def test_a_deployment_is_told_what_is_missing_and_then_nothing(tmp_path: Path, installed: Path) -> None:
    project, env = start_project(tmp_path), environment(installed)
    assert check(project, "", env) in (["W012"], []), "a fresh project lacks nothing but descriptors, perhaps"
    assert check(project, BAD, env) == ["W009", "W010", "W012", "W013", "W014", "W015"]
    views = project / "mysite" / "views.py"
    views.write_text(f"from django_websocket import Group\n{views.read_text()}")
    assert check(project, BAD, env) == ["W009", "W010", "W011", "W012", "W013", "W014", "W015"]
    views.write_text(f"from django_websocket import tickets\n{views.read_text()}")
    assert check(project, BAD, env)[-1] == "W016"
    assert check(project, BAD + 'WEBSOCKET_ALLOWED_ORIGINS = ["*"]\n', env)[0] == "W008"
    assert check(project, BAD + FOLLOWED, env) == []
