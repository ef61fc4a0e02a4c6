"""``docs/howto/authentication.rst``: who gets in, who doesn't, and who is sent away."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import Group as UserGroup
from django.contrib.auth.models import Permission, User
from django.urls import path
from websockets.sync.server import ServerConnection, serve

from django_websocket.conf import SETTINGS
from django_websocket.testing import WebSocketClient, WebSocketRejected

from .pages import Modules, Page

PAGE = Page("howto/authentication")
SESSIONS, ROOM, CLASS, REST, PROGRAM, ORDERS = PAGE.code()

pytestmark = pytest.mark.django_db


@pytest.fixture
def views(modules: Modules, project: Any) -> ModuleType:
    project.INSTALLED_APPS = [*project.INSTALLED_APPS, "rest_framework"]
    names: dict[str, Any] = {}
    for code in (SESSIONS, ROOM, CLASS, REST, ORDERS):
        names.update(vars(modules.add("views", code)))
    views = modules.add("views", **names)
    project.ROOT_URLCONF = modules.add(
        "urls",
        urlpatterns=[
            path("greet/", views.greet),
            path("watch/", views.watch),
            path("room/<slug:name>/", views.room),
            path("clock/", views.Clock.as_view()),
            path("changes/", views.changes),
            path("orders/", views.orders),
        ],
    )
    return views


@pytest.fixture
def user() -> User:
    return User.objects.create_user("alice", password="secret")


def permit(user: User, name: str) -> None:
    user.user_permissions.add(Permission.objects.get(content_type__app_label="auth", codename=name))


def status(client: WebSocketClient, url: str) -> int:
    """With which a handshake is refused."""
    with pytest.raises(WebSocketRejected) as rejected:
        client.websocket(url)
    return int(rejected.value.response.status_code)


@pytest.mark.usefixtures("views")
@pytest.mark.parametrize("name", ["greet", "watch", "room/lobby", "clock", "changes", "orders"])
def test_strangers_are_refused(name: str, ws_client: WebSocketClient) -> None:
    assert status(ws_client, f"/{name}/") in ((401, 403) if name == "changes" else (403,))


@pytest.mark.usefixtures("views")
@pytest.mark.parametrize("name", ["greet", "clock", "changes"])
def test_who_is_logged_in(name: str, ws_client: WebSocketClient, user: User) -> None:
    ws_client.force_login(user)
    with ws_client.websocket(f"/{name}/") as socket:
        assert socket.receive() == "Hello alice"


@pytest.mark.usefixtures("views")
def test_permissions(ws_client: WebSocketClient, user: User) -> None:
    ws_client.force_login(user)
    assert status(ws_client, "/watch/") == 403
    assert status(ws_client, "/room/lobby/") == 403
    permit(user, "view_user")
    user.groups.add(UserGroup.objects.create(name="lobby"))
    with ws_client.websocket("/watch/") as socket:
        assert socket.receive() == "You may look"
    with ws_client.websocket("/room/lobby/") as socket:
        socket.send("hi")
        assert socket.receive() == "hi"


@pytest.mark.usefixtures("views")
def test_a_page_of_the_class(ws_client: WebSocketClient, user: User) -> None:
    assert ws_client.get("/clock/").status_code == 302
    ws_client.force_login(user)
    assert ws_client.get("/clock/").content == b"a page"


@pytest.mark.usefixtures("views")
def test_a_token(ws_client: WebSocketClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of tokens is not in this project."""
    from rest_framework.authentication import TokenAuthentication
    from rest_framework.exceptions import AuthenticationFailed

    def authenticate(self: Any, key: str) -> tuple[User, str]:
        if key != "5f2a":
            raise AuthenticationFailed("Invalid token.")
        return user, key

    monkeypatch.setattr(TokenAuthentication, "authenticate_credentials", authenticate)
    with ws_client.websocket("/changes/", headers={"Authorization": "Token 5f2a"}) as socket:
        assert socket.receive() == "Hello alice"
    with pytest.raises(WebSocketRejected):
        ws_client.websocket("/changes/", headers={"Authorization": "Token 0000"})


@pytest.fixture
def peer() -> Iterator[str]:
    """The address of a websocket that says what it was sent for authorization."""

    def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        connection.send(connection.request.headers["Authorization"])

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join()


def test_what_the_program_sends(modules: Modules, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    assert modules.add("program", PROGRAM).first_change(peer, "5f2a") == "Token 5f2a"


@pytest.mark.usefixtures("views")
def test_a_log_out(ws_client: WebSocketClient, user: User) -> None:
    ws_client.force_login(user)
    with ws_client.websocket("/greet/") as socket:
        assert socket.receive() == "Hello alice"
        ws_client.logout()
        ws_client.advance(SETTINGS["WEBSOCKET_SESSION_CHECK_INTERVAL"].default + 1)
        assert socket.close_code == 4401
    assert f"``WEBSOCKET_SESSION_CHECK_INTERVAL`` seconds ({SETTINGS['WEBSOCKET_SESSION_CHECK_INTERVAL'].default})" in (
        PAGE.prose
    )


@pytest.mark.usefixtures("views")
def test_a_permission_that_is_taken_away(ws_client: WebSocketClient, user: User) -> None:
    permit(user, "change_user")
    ws_client.force_login(user)
    with ws_client.websocket("/orders/") as socket:
        socket.send("one")
        assert socket.receive() == "done: one"
        user.user_permissions.clear()
        socket.send("two")
        assert (socket.close_code, socket.close_reason) == (4403, "no longer allowed")


def test_the_order_of_decorators(modules: Modules, project: Any, ws_client: WebSocketClient, user: User) -> None:
    swapped = SESSIONS.replace("@require_websocket\n@login_required", "@login_required\n@require_websocket")
    assert swapped != SESSIONS
    project.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("greet/", modules.add("views", swapped).greet)])
    assert status(ws_client, "/greet/") == 403
    with pytest.raises(WebSocketRejected):
        ws_client.websocket("/greet/", ticket=user)
    ws_client.force_login(user)
    with ws_client.websocket("/greet/") as socket:
        assert socket.receive() == "Hello alice"


@pytest.mark.usefixtures("views")
def test_a_ticket(ws_client: WebSocketClient, user: User) -> None:
    """Our decorator stands above the others, so that they see whose the ticket is."""
    with ws_client.websocket("/greet/", ticket=user) as socket:
        assert socket.receive() == "Hello alice"
    with ws_client.websocket("/clock/", ticket=user) as socket:
        assert socket.receive() == "Hello alice"
    permit(user, "view_user")
    with ws_client.websocket("/watch/", ticket=user) as socket:
        assert socket.receive() == "You may look"
