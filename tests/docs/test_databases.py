"""``docs/howto/databases.rst``: its views, its settings, and the checks and defaults that it names."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import CheckMessage
from django.db import connection
from django.db.utils import ConnectionHandler
from django.test import RequestFactory
from django.urls import path

from django_websocket import Group, checks, deployment_checks
from django_websocket.conf import SETTINGS
from django_websocket.testing import WebSocketClient
from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.faults.postgres import postgres

from .pages import Modules, Page, require

PAGE = Page("howto/databases")
RENAMES, SIGNS_UP, DATABASES, REPORTS = PAGE.code()


@pytest.mark.django_db
def test_a_transaction_for_each_message(
    modules: Modules, project: Any, ws_client: WebSocketClient, django_assert_num_queries: Any
) -> None:
    views = modules.add("views", RENAMES)
    project.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("rename/", views.rename)])
    user = User.objects.create(username="alice")
    ws_client.force_login(user)
    depth = len(connection.atomic_blocks)
    with ws_client.websocket("/rename/") as socket:
        for name in ("Ann", "Zoë"):
            with django_assert_num_queries(4):  # a savepoint, and its release
                socket.send(name)
            assert socket.receive() == f"Your name is {name}"
            assert len(connection.atomic_blocks) == depth
    user.refresh_from_db()
    assert user.first_name == "Zoë"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("ws_client")
def test_the_message_waits_for_the_commit(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    views = modules.add("views", SIGNS_UP)
    before_the_commit: list[object] = []

    def respond(text: str) -> str:
        before_the_commit.append(messages.read())
        if User.objects.count() == 2:
            raise ValueError("on purpose: roll back")
        return text

    monkeypatch.setattr(views, "HttpResponse", respond)
    with Group("staff").subscribe() as messages:
        views.sign_up(RequestFactory().post("/", {"name": "alice"}))
        assert messages.read() == '{"joined": "alice"}'
        with pytest.raises(ValueError, match="on purpose"):
            views.sign_up(RequestFactory().post("/", {"name": "bob"}))
        assert messages.read() is None
    assert before_the_commit == [None, None]


def found_in(databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The ids of what the checks find in these settings."""
    handler = ConnectionHandler(databases)
    for module in (checks, deployment_checks):
        monkeypatch.setattr(module, "connections", handler)
    found: list[CheckMessage] = [*checks.check_databases(None), *deployment_checks.check_pools(None)]
    return {str(message.id).rpartition(".")[2] for message in found}


def test_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(DATABASES, names)
    databases = names["DATABASES"]
    assert found_in(databases, monkeypatch) == set()
    assert found_in({"default": {**databases["default"], "OPTIONS": {}}}, monkeypatch) == {"W013"}
    assert found_in({"default": {**databases["default"], "CONN_MAX_AGE": 60}}, monkeypatch) == {"W004"}


@pytest.mark.django_db
def test_a_query_in_a_thread(modules: Modules, project: Any, ws_client: WebSocketClient) -> None:
    """In a test it runs in the test's own thread; see the tests of :mod:`django_websocket.blocking` for the server."""
    views = modules.add("views", REPORTS)
    project.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("reports/", views.reports)])
    User.objects.create(username="alice", date_joined="2025-05-05T00:00:00Z")
    with ws_client.websocket("/reports/") as socket:
        for year, names in (("2025", ["alice"]), ("2024", [])):
            socket.send(year)
            assert socket.receive_json() == names


WAITS = """
from django_websocket.serving.patch import eventlet, patch
patch()
import {driver}

def connect():
    connection = {driver}.connect(host="127.0.0.1", port={port}, user="django", dbname="postgres")
    connection.autocommit = True
    return connection.cursor()

def wait():
    cursor = connect()
    cursor.execute("SET lock_timeout = '{seconds}s'")
    cursor.execute("SELECT pg_advisory_lock(1)")
    return "locked"

def is_waited_for():
    watcher.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return watcher.fetchone()[0]

holder, watcher = connect(), connect()
holder.execute("SELECT pg_advisory_lock(1)")
waiting = eventlet.spawn(wait)
while not is_waited_for() and not waiting.dead:
    eventlet.sleep(0.01)
holder.execute("SELECT pg_advisory_unlock(1)")
print(waiting.wait())
"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_others_run_while_it_waits(driver: str) -> None:
    """One green thread waits for what another one has: a driver that blocks would wait until the time-out."""
    require(driver)
    with postgres() as server:
        program = WAITS.format(driver=driver, port=server.port, seconds=int(deadline(10)))
        command = [sys.executable, "-c", program]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=deadline(60))
    assert (run.returncode, run.stdout) == (0, "locked\n"), run.stderr


def test_the_default() -> None:
    assert f"``WEBSOCKET_RELEASE_DB_AFTER`` seconds ({SETTINGS['WEBSOCKET_RELEASE_DB_AFTER'].default})" in PAGE.prose
