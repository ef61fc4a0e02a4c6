"""``docs/howto/async.rst``: its views, served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.urls import path

from django_websocket import require_websocket
from django_websocket.testing import WebSocketClient
from tests.deadlines import deadline
from tests.management.projects import RunningServer

from .pages import Modules, Page
from .projects import Project
from .served import served

PAGE = Page("howto/async")
PRICES, CHAT, CLOCK = PAGE.code()

URLS = """
from django.urls import path
from mysite import chat, clock, prices

urlpatterns = [path("prices/", prices.prices), path("chat/", chat.chat), path("clock/", clock.clock)]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory: Path = tmp_path_factory.mktemp("project")
    project = Project(directory)
    for name, code in {"prices": PRICES, "chat": CHAT, "clock": CLOCK, "urls": URLS}.items():
        project.write(f"mysite/{name}.py", code)
    with served(project) as server:
        yield server
        assert "Traceback" not in server.output


def test_many_at_once(server: RunningServer) -> None:
    with server.connect("/prices/") as client:
        client.send("north south")
        assert json.loads(client.recv(timeout=deadline(10))) == ["north: 12.50", "south: 12.50"]


def test_piece_by_piece(server: RunningServer) -> None:
    with server.connect("/chat/") as client:
        for question in ("why?", "really?"):
            client.send(question)
            words = [client.recv(timeout=deadline(10)) for _ in range(4)]
            assert words == ["You", "have", "asked:", question]


def test_one_loop(server: RunningServer) -> None:
    """Ticks come while it waits, and it answers between ticks; at the end nothing is left."""
    with server.connect("/clock/") as client:
        for _ in range(2):
            assert client.recv(timeout=deadline(10)) == "tick"
        client.send("hello")
        while (message := client.recv(timeout=deadline(10))) == "tick":
            pass
        assert message == "HELLO"
    server.wait_for('"WEBSOCKET /clock/" 100')


def test_in_the_test_client(modules: Modules, settings: Any, ws_client: WebSocketClient) -> None:
    chat, prices = modules.add("chat", CHAT), modules.add("prices", PRICES)
    patterns = [path("chat/", chat.chat), path("prices/", prices.prices)]
    settings.ROOT_URLCONF = modules.add("urls", urlpatterns=patterns)
    with ws_client.websocket("/prices/") as socket:
        socket.send("north")
        assert socket.receive_json() == ["north: 12.50"]
    with ws_client.websocket("/chat/") as socket:
        socket.send("why?")
        assert [socket.receive() for _ in range(4)] == ["You", "have", "asked:", "why?"]


def test_what_is_refused() -> None:
    with pytest.raises(TypeError):

        @require_websocket
        async def view(request: Any) -> None:
            """Never run."""

    async def query() -> None:
        User.objects.count()

    with pytest.raises(SynchronousOnlyOperation):
        async_to_sync(query)()
