"""``docs/howto/migrating-from-flask-socketio.rst``: before and after, by the tests that the page has for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import path

from django_websocket import Group
from django_websocket.testing import WebSocketClient, WebSocketRejected
from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.groups.redis_servers import Redis
from tests.management.projects import environment

from .pages import Modules, Page, require, run_tests

PAGE = Page("howto/migrating-from-flask-socketio")
APP, VIEWS, ANNOUNCES_BEFORE, ANNOUNCES_AFTER, TESTS_BEFORE, TESTS_AFTER = PAGE.code()


@pytest.fixture
def ours(modules: Modules, project: Any) -> Any:
    views = modules.add("views", VIEWS)
    project.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("chat/", views.chat)])
    return views


MORE = """

def test_a_stranger():
    assert not socketio.test_client(app).is_connected()


def test_entering():
    clients = []
    for name in ("alice", "bob"):
        browser = app.test_client()
        with browser.session_transaction() as session:
            session["name"] = name
        clients.append(socketio.test_client(app, flask_test_client=browser))
        clients[-1].emit("enter", {"room": "lobby"})
    alice, bob = clients
    assert [event["args"] for event in alice.get_received()] == [[{"name": "bob"}]]
    assert bob.get_received() == []
"""


def test_flask_socketio(tmp_path: Path) -> None:
    require("flask_socketio")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_app.py").write_text(TESTS_BEFORE + MORE)
    (tmp_path / "announcing.py").write_text(ANNOUNCES_BEFORE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:django_websocket", "."]
    env = environment(ROOT)
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=deadline(60))
    assert "3 passed" in run.stdout, run.stdout + run.stderr


def test_flask_socketio_announces(tmp_path: Path, redis: Redis) -> None:
    """By Redis, to which it publishes."""
    require("flask_socketio")
    code = f"{ANNOUNCES_BEFORE}\nannounce('hello', {redis.url!r})\n"
    with redis.client() as client, client.pubsub() as subscriber:
        subscriber.psubscribe("*")
        assert subscriber.get_message(timeout=deadline(10))["type"] == "psubscribe"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=deadline(60))
        assert b"hello" in subscriber.get_message(timeout=deadline(10))["data"]


@pytest.mark.django_db
@pytest.mark.usefixtures("ours")
def test_the_pages_test(modules: Modules) -> None:
    assert run_tests(modules.add("tests", TESTS_AFTER)) == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("ours")
def test_entering_and_nonsense(ws_client: WebSocketClient, modules: Modules) -> None:
    with pytest.raises(WebSocketRejected):
        ws_client.websocket("/chat/")
    clients = []
    for name in ("alice", "bob"):
        client = WebSocketClient()
        client.force_login(User.objects.create(username=name))
        clients.append(client)
    with clients[0].websocket("/chat/") as alice, clients[1].websocket("/chat/") as bob:
        for socket in (alice, bob):
            socket.send_json({"event": "enter", "room": "lobby"})
        assert alice.receive_json() == {"event": "entered", "name": "bob"}
        bob.assert_nothing_received()
        modules.add("announcing", ANNOUNCES_AFTER).announce("hello")
        assert Group("room.lobby").count() == 2
        for socket in (alice, bob):
            assert socket.receive_json() == {"event": "said", "name": "system", "text": "hello"}
        bob.send_json({"event": "dance"})
        assert bob.close_code == 1003
