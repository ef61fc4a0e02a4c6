"""The pages for those who come from gevent-websocket and from the old django-websocket: what they shall write works."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import path

from django_websocket import ConnectionClosed, Group, require_websocket
from django_websocket.conf import SETTINGS
from django_websocket.testing import WebSocketClient

from .pages import Modules, Page

GEVENT = Page("howto/migrating-from-gevent-websocket")
OLD = Page("howto/migrating-from-old-django-websocket")
GEVENT_BEFORE, GEVENT_AFTER = GEVENT.code()
EXAMPLES, CHAT_BEFORE, CHAT_AFTER = OLD.code()


@pytest.mark.parametrize("code", [GEVENT_AFTER, CHAT_BEFORE, CHAT_AFTER], ids=["gevent", "before", "after"])
def test_a_chat(code: str, modules: Modules, ws_client: WebSocketClient, settings: Any) -> None:
    """What was written for the old package works here, too."""
    views = modules.add("views", code)
    settings.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("chat/", views.chat)])
    with ws_client.websocket("/chat/") as a, ws_client.websocket("/chat/") as b:
        a.send("hi")
        assert [a.receive(), b.receive()] == ["hi", "hi"]
    assert Group("everybody").count() == Group("chat").count() == len(getattr(views, "clients", ())) == 0


def test_what_the_old_package_had_in_its_readme(modules: Modules, ws_client: WebSocketClient, settings: Any) -> None:
    views = modules.add("views", EXAMPLES)
    patterns = [path("echo-once/", views.echo_once), path("lower-case/", views.lower_case)]
    settings.ROOT_URLCONF = modules.add("urls", urlpatterns=patterns)
    with ws_client.websocket("/echo-once/") as socket:
        socket.send("Hello")
        assert socket.receive() == "Hello"
    with ws_client.websocket("/lower-case/") as socket:
        socket.send("Hello")
        assert socket.receive() == "hello"
    assert ws_client.get("/lower-case/?message=Hello").content == b"hello"
    assert ws_client.get("/echo-once/").status_code == 400


def test_the_code_for_gevent_compiles() -> None:
    compile(GEVENT_BEFORE, "chat.py", "exec")


def test_what_dwebsocket_did_otherwise(modules: Modules, ws_client: WebSocketClient, settings: Any) -> None:
    """Names of the page that are ours."""

    @require_websocket
    def view(request: Any) -> Any:
        with pytest.raises(TimeoutError):
            request.websocket.wait(timeout=5)
        request.websocket.close()
        assert request.websocket.closed
        with pytest.raises(ConnectionClosed):
            request.websocket.send("late")
        seen.append("all of it")

    seen: list[str] = []
    settings.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("view/", view)])
    with ws_client.websocket("/view/"):
        ws_client.advance(5)
    assert seen == ["all of it"]
    assert "WEBSOCKET_ACCEPT_ALL" in SETTINGS
