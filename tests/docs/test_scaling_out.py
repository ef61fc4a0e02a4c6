"""``docs/howto/scaling-out.rst``: with its settings, what one worker sends reaches the clients of another."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection

from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.groups.redis_servers import Redis
from tests.management.projects import RunningServer, environment, running
from tests.ports import free_port

from .pages import Page
from .projects import Project

PAGE = Page("howto/scaling-out")
[SETTINGS] = PAGE.code()
[COMMAND] = PAGE.code("sh")

VIEWS = """
import os
from django_websocket import Group, require_websocket

@require_websocket
def chat(request):
    request.websocket.join("chat")
    request.websocket.send(str(os.getpid()))
    for message in request.websocket:
        Group("chat").send(message)
"""

URLS = """
from django.urls import path
from mysite import views

urlpatterns = [path("chat/", views.chat)]
"""

IN_MEMORY = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
"""


@pytest.fixture(scope="module")
def project(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("mysite/views.py", VIEWS)
    project.write("mysite/urls.py", URLS)
    assert SETTINGS.count("redis://127.0.0.1:6379") == 2
    project.add_settings(SETTINGS.replace("redis://127.0.0.1:6379", redis.url.rpartition("/")[0]))
    return project


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[RunningServer]:
    program = Path(sys.executable).with_name("gunicorn")
    name, *arguments = COMMAND.split()
    assert (name, arguments[2:4]) == ("gunicorn", ["-w", "4"])
    port = free_port()
    command = [str(program), *arguments, "--bind", f"127.0.0.1:{port}"]
    env = environment(ROOT, PYTHONPATH=f"{ROOT}:{project.directory}")
    with running(command, project.directory, env) as server:
        server.port = port
        server.wait_for("Listening at: ")
        yield server
        assert "Traceback" not in server.output


def test_two_workers(server: RunningServer) -> None:
    with ExitStack() as stack:
        clients: dict[str, ClientConnection] = {}

        def are_two() -> bool:
            with ExitStack() as own:
                client = own.enter_context(server.connect("/chat/"))
                worker = str(client.recv(timeout=deadline(20)))
                if worker not in clients:
                    clients[worker] = client
                    stack.push(own.pop_all())
            return len(clients) == 2

        wait_until(are_two, 20, "websockets in two workers")
        one, other = clients.values()
        one.send("hello")
        assert other.recv(timeout=deadline(10)) == "hello"
        assert one.recv(timeout=deadline(10)) == "hello"


def test_what_the_checks_find(project: Project, tmp_path: Path) -> None:
    def found(project: Project) -> set[str]:
        return set(
            re.findall(r"django_websocket\.(W\d+)", project.manage("check", "--deploy", "--fail-level", "CRITICAL"))
        )

    alone = Project(tmp_path)
    alone.write("mysite/views.py", VIEWS)
    alone.write("mysite/urls.py", URLS)
    alone.add_settings(IN_MEMORY)
    assert {"W011", "W014"} <= found(alone)
    project.add_settings('SESSION_ENGINE = "django.contrib.sessions.backends.cache"')
    assert not {"W011", "W014"} & found(project)


def test_figures() -> None:
    """Those of the page that has them all."""
    table = (ROOT / "docs" / "explanation" / "scaling.rst").read_text()
    rows = dict(re.findall(r"^   \* - (\d+)\n     - ([\d ]+)$", table, re.MULTILINE))
    assert f"One Redis carries {rows['1']} messages a second" in PAGE.prose
    assert f"and {rows['20']} for groups with members in twenty" in PAGE.prose
