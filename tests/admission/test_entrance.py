"""Who is let in with a ticket, and as whom."""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache, caches

from django_websocket import tickets
from django_websocket.testing import WebSocketClient, WebSocketRejected


def refusal(client: WebSocketClient, ticket: str, path: str = "/echo/") -> str:
    """Why ``ticket`` is refused, with a 401."""
    with pytest.raises(WebSocketRejected) as rejected:
        client.websocket(path, ticket=ticket)
    response = rejected.value.response
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Ticket"
    return str(response.content.decode().strip())


def test_the_user_is_the_tickets(phone: WebSocketClient, ann: User) -> None:
    with phone.websocket("/echo/", ticket=tickets.issue(None, ann)) as socket:
        assert socket.receive() == "ann"
        assert socket.websocket.visitor.user_id == ann.pk


def test_the_user_of_the_cookie_does_not_leak_in(phone: WebSocketClient, ann: User, bob: User) -> None:
    phone.force_login(bob)
    with phone.websocket("/seen/", ticket=ann) as socket:
        seen = socket.receive_json()
    assert (seen["user"], seen["auser"]) == ("ann", "ann")


def test_without_a_ticket_it_is_the_sessions(phone: WebSocketClient, bob: User) -> None:
    phone.force_login(bob)
    with phone.websocket("/seen/", subprotocols=["chat.v2"]) as socket:
        seen = socket.receive_json()
    assert (seen["user"], seen["auser"], seen["chosen"]) == ("bob", "bob", "chat.v2")


@pytest.mark.parametrize("middleware", [False, True])
def test_a_login_is_required_and_given(
    phone: WebSocketClient, ann: User, project: Any, middleware: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if middleware:
        project.MIDDLEWARE = [*project.MIDDLEWARE, "django_websocket.middleware.WebSocketMiddleware"]
    with phone.websocket("/private/", ticket=ann) as socket:
        assert socket.receive() == "ann"
    with pytest.raises(WebSocketRejected) as rejected:
        phone.websocket("/private/")
    assert rejected.value.response.status_code == 403


def test_with_the_middleware_login_required_may_stand_above(phone: WebSocketClient, ann: User, project: Any) -> None:
    project.MIDDLEWARE = [
        *project.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
        "django_websocket.middleware.WebSocketMiddleware",
    ]
    with phone.websocket("/echo/", ticket=ann) as socket:
        assert socket.receive() == "ann"


@pytest.mark.parametrize(
    ("offered", "chosen", "left"),
    [
        ([], None, []),
        (["chat.v2"], "chat.v2", ["chat.v2"]),
        (["chat.v1"], None, ["chat.v1"]),
        (["chat.v1", "chat.v2"], "chat.v2", ["chat.v1", "chat.v2"]),
    ],
)
def test_the_view_sees_the_other_subprotocols_only(
    phone: WebSocketClient, ann: User, offered: list[str], chosen: str | None, left: list[str]
) -> None:
    ticket = tickets.issue(None, ann)
    with phone.websocket("/seen/", ticket=ticket, subprotocols=offered) as socket:
        seen = socket.receive_json()
        # Chrome gives up a connection if nothing of what it has offered is selected.
        assert socket.response.headers["Sec-WebSocket-Protocol"] == (chosen or "django-websocket.ticket")
    assert (seen["offered"], seen["chosen"]) == (left, chosen)
    assert seen["header"] == (", ".join(left) or None)
    assert ticket not in seen["meta"]


def test_one_ticket_opens_one_websocket(phone: WebSocketClient, ann: User) -> None:
    ticket = tickets.issue(None, ann)
    with phone.websocket("/echo/", ticket=ticket) as socket:
        assert socket.receive() == "ann"
    assert refusal(phone, ticket) == "the ticket was used before"


def test_it_expires(phone: WebSocketClient, ann: User) -> None:
    now = time.time()
    with mock.patch("time.time", return_value=now - 61):
        ticket = tickets.issue(None, ann)
    assert refusal(phone, ticket) == "the ticket has expired"


@pytest.mark.parametrize("ticket", ["forged", "a.b.c", "django-websocket", "x" * 5000])
def test_a_forged_one(phone: WebSocketClient, project: Any, ticket: str) -> None:
    assert refusal(phone, ticket) == "the ticket is not valid"


def test_one_that_was_changed(phone: WebSocketClient, ann: User) -> None:
    payload, _, rest = tickets.issue(None, ann).partition(".")
    assert refusal(phone, f"{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}.{rest}") == "the ticket is not valid"


def test_an_announced_one_that_is_missing(phone: WebSocketClient, project: Any) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        phone.websocket("/echo/", subprotocols=["django-websocket.ticket"])
    assert rejected.value.response.status_code == 401


def test_a_new_secret_with_the_old_as_fallback(phone: WebSocketClient, ann: User, project: Any) -> None:
    ticket = tickets.issue(None, ann)
    project.SECRET_KEY, project.SECRET_KEY_FALLBACKS = "a new one", [project.SECRET_KEY]
    with phone.websocket("/echo/", ticket=ticket) as socket:
        assert socket.receive() == "ann"
    project.SECRET_KEY_FALLBACKS = []
    ticket = tickets.issue(None, ann)
    project.SECRET_KEY = "another one"
    assert refusal(phone, ticket) == "the ticket is not valid"


def test_of_a_user_who_has_changed(phone: WebSocketClient, ann: User) -> None:
    made = [tickets.issue(None, ann) for _ in range(4)]
    ann.is_active = False
    ann.save()
    assert refusal(phone, made[0]) == "the ticket's user is gone"
    ann.is_active = True
    ann.set_password("another")
    ann.save()
    assert refusal(phone, made[1]) == "the ticket's user has another password"
    ann.delete()
    assert refusal(phone, made[2]) == "the ticket's user is gone"


def test_revoked(phone: WebSocketClient, ann: User, bob: User) -> None:
    before, others = tickets.issue(None, ann), tickets.issue(None, bob)
    tickets.revoke(ann)
    assert refusal(phone, before) == "the ticket was revoked"
    for ticket in (others, tickets.issue(None, ann)):
        with phone.websocket("/echo/", ticket=ticket) as socket:
            assert socket.receive() in ("ann", "bob")


def test_a_mark_that_the_cache_has_lost_makes_nothing_invalid(phone: WebSocketClient, ann: User) -> None:
    tickets.revoke(ann)
    ticket = tickets.issue(None, ann)
    cache.clear()
    with phone.websocket("/echo/", ticket=ticket) as socket:
        assert socket.receive() == "ann"
        phone.advance(10)
        socket.send("still here")
        assert socket.receive() == "still here"


def test_without_the_cache_nobody_gets_in(phone: WebSocketClient, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise OSError("gone")

    ticket = tickets.issue(None, ann)
    phone.raise_request_exception = False
    for method in ("get", "add"):
        with monkeypatch.context() as patched:
            patched.setattr(caches["default"], method, fail)
            with pytest.raises(WebSocketRejected) as rejected:
                phone.websocket("/echo/", ticket=ticket)
        assert rejected.value.response.status_code == 500
    with phone.websocket("/echo/", ticket=ticket) as socket:
        assert socket.receive() == "ann"


def test_of_a_session_that_has_ended(phone: WebSocketClient, ann: User) -> None:
    browser = WebSocketClient()
    browser.force_login(ann)
    ticket = browser.post("/ticket/").json()["ticket"]
    browser.logout()
    assert refusal(phone, ticket) == "the ticket's session has ended"


@pytest.mark.parametrize("engine", ["db", "cache", "cached_db", "file"])
def test_of_a_session_wherever_it_is_kept(
    phone: WebSocketClient, ann: User, project: Any, engine: str, tmp_path: Any
) -> None:
    project.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    project.SESSION_FILE_PATH = str(tmp_path)
    browser = WebSocketClient()
    browser.force_login(ann)
    with phone.websocket("/echo/", ticket=browser.post("/ticket/").json()["ticket"]) as socket:
        assert socket.receive() == "ann"
        phone.advance(10)
        socket.send("hello")
        assert socket.receive() == "hello"
    ticket = browser.post("/ticket/").json()["ticket"]
    browser.session.flush()
    assert refusal(phone, ticket) == "the ticket's session has ended"


def test_a_refusal_is_told_and_logged_without_the_ticket(
    phone: WebSocketClient, ann: User, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = tickets.issue(None, ann)
    ann.delete()
    assert refusal(phone, ticket) == "the ticket's user is gone"
    [record] = [record for record in caplog.records if record.name == "django.request"]
    assert "Unauthorized: /echo/ (the ticket's user is gone)" in record.getMessage()
    assert ticket not in repr(vars(record)) + repr(record.__dict__["request"].META)


def test_a_foreign_page_needs_its_origin_allowed_ticket_or_not(phone: WebSocketClient, ann: User, project: Any) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        phone.websocket("/echo/", ticket=ann, origin="https://app.example.com")
    assert rejected.value.response.status_code == 403
    project.WEBSOCKET_ALLOWED_ORIGINS = ["https://app.example.com"]
    with phone.websocket("/echo/", ticket=ann, origin="https://app.example.com") as socket:
        assert socket.receive() == "ann"
