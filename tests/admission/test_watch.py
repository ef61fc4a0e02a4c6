"""What ends a websocket that a ticket has opened, and what keeps it."""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_websocket import tickets
from django_websocket.admission import watch
from django_websocket.admission.watch import ticket_watch
from django_websocket.exceptions import InvalidTicket
from django_websocket.testing import ClientWebSocket, WebSocketClient

SOON = 5
"""Seconds until a check has been, and the closing handshake after it."""


def opened(client: WebSocketClient, ticket: Any, path: str = "/echo/") -> ClientWebSocket:
    socket = client.websocket(path, ticket=ticket)
    assert socket.receive() == "ann"
    return socket


def is_open(socket: ClientWebSocket) -> bool:
    socket.send("hello")
    return socket.receive() == "hello"


@pytest.fixture(autouse=True)
def refresh(project: Any) -> None:
    project.WEBSOCKET_TICKET_REFRESH = 60


def test_it_lives_for_as_long_as_the_setting_says(phone: WebSocketClient, ann: User) -> None:
    with opened(phone, ann) as socket:
        phone.advance(55)
        assert is_open(socket)
        phone.advance(2 * SOON)
        assert (socket.close_code, socket.close_reason) == (4401, "no fresh ticket")
    assert len(ticket_watch) == 0


def test_each_ticket_gives_it_as_long_again(phone: WebSocketClient, ann: User) -> None:
    with opened(phone, ann) as socket:
        for _ in range(3):
            phone.advance(50)
            socket.send_ticket(ann)
            socket.assert_nothing_received()
        assert is_open(socket)


def test_for_ever_if_the_setting_says_so(phone: WebSocketClient, ann: User, project: Any) -> None:
    project.WEBSOCKET_TICKET_REFRESH = None
    with opened(phone, ann) as socket:
        phone.advance(200)
        assert is_open(socket)


def test_a_ticket_never_reaches_the_view_whatever_it_waits_for(phone: WebSocketClient, ann: User) -> None:
    with opened(phone, ann, "/asleep/") as socket:
        socket.send_ticket(ann)
        socket.assert_nothing_received()
        assert socket.websocket.connection.messages_received == 1
        socket.send("end")
        assert socket.close_code == 1000


def test_a_view_that_begins_by_waiting(phone: WebSocketClient, ann: User) -> None:
    with phone.websocket("/silent/", ticket=ann) as socket:
        assert is_open(socket)
        socket.send_ticket(ann)
        socket.assert_nothing_received()
        assert is_open(socket)


def test_messages_around_a_ticket_are_left_in_order(phone: WebSocketClient, ann: User) -> None:
    with opened(phone, ann) as socket:
        socket.send("one")
        socket.send_ticket(ann)
        socket.send(b"django-websocket.ticket is no ticket as bytes")
        assert [socket.receive(), socket.receive()] == ["one", b"django-websocket.ticket is no ticket as bytes"]


def test_without_a_ticket_it_is_a_message_like_any_other(phone: WebSocketClient, ann: User) -> None:
    with phone.websocket("/echo/") as socket:
        socket.receive()
        socket.send("django-websocket.ticket abc")
        assert socket.receive() == "django-websocket.ticket abc"


@pytest.mark.parametrize("compression", [True, "context-takeover"])
def test_a_compressed_ticket(phone: WebSocketClient, ann: User, project: Any, compression: Any) -> None:
    project.WEBSOCKET_COMPRESSION = compression
    with phone.websocket("/echo/", ticket=ann, compression=True) as socket:
        assert socket.receive() == "ann"
        socket.send_ticket(ann)
        socket.assert_nothing_received()
        assert is_open(socket)


def test_a_bad_one_closes(phone: WebSocketClient, ann: User) -> None:
    with opened(phone, ann) as socket:
        socket.send_ticket("forged")
        assert (socket.close_code, socket.close_reason) == (4401, "the ticket is not valid")
        assert isinstance(socket.websocket.connection.failure, InvalidTicket)


def test_one_that_has_expired_closes(phone: WebSocketClient, ann: User) -> None:
    now = time.time()
    with mock.patch("time.time", return_value=now - 61):
        old = tickets.issue(None, ann)
    with opened(phone, ann) as socket:
        socket.send_ticket(old)
        assert (socket.close_code, socket.close_reason) == (4401, "the ticket has expired")


def test_somebody_elses_closes(phone: WebSocketClient, ann: User, bob: User) -> None:
    with opened(phone, ann) as socket:
        socket.send_ticket(bob)
        assert (socket.close_code, socket.close_reason) == (4401, "the ticket is another user's")


def test_a_revocation_closes_at_once(phone: WebSocketClient, ann: User, bob: User) -> None:
    with opened(phone, ann) as socket, phone.websocket("/echo/", ticket=bob) as other:
        assert other.receive() == "bob"
        tickets.revoke(ann)
        phone.advance(0)
        assert (socket.close_code, socket.close_reason) == (4401, "ticket revoked")
        assert is_open(other)
        with opened(phone, ann) as later:
            phone.advance(SOON)
            assert is_open(later)


def test_another_processs_revocation_is_found_in_the_cache(
    phone: WebSocketClient, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "announce_revocation", lambda *args: None)
    with opened(phone, ann) as socket:
        tickets.revoke(ann)
        assert is_open(socket)
        phone.advance(SOON)
        assert (socket.close_code, socket.close_reason) == (4401, "ticket revoked")


def test_a_ticket_that_was_revoked_refreshes_nothing(
    phone: WebSocketClient, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "announce_revocation", lambda *args: None)
    before = tickets.issue(None, ann)
    tickets.revoke(ann)
    with opened(phone, ann) as socket:
        socket.send_ticket(before)
        phone.advance(SOON)
        assert (socket.close_code, socket.close_reason) == (4401, "ticket revoked")


def test_a_session_cookie_s_websocket_is_not_closed_by_a_revocation(phone: WebSocketClient, ann: User) -> None:
    phone.force_login(ann)
    with opened(phone, None) as socket:
        tickets.revoke(ann)
        phone.advance(SOON)
        assert is_open(socket)


@pytest.mark.parametrize("change", ["deactivate", "delete", "password"])
def test_a_user_who_changes(phone: WebSocketClient, ann: User, change: str) -> None:
    with opened(phone, ann) as socket:
        phone.advance(SOON)
        assert is_open(socket)
        if change == "deactivate":
            User.objects.update(is_active=False)
        elif change == "delete":
            ann.delete()
        else:
            ann.set_password("another")
            ann.save()
        phone.advance(SOON)
        assert (socket.close_code, socket.close_reason) == (4401, "user has changed")


def test_a_ticket_with_the_new_password_keeps_it(phone: WebSocketClient, ann: User) -> None:
    with opened(phone, ann) as socket:
        ann.set_password("another")
        ann.save()
        socket.send_ticket(ann)
        phone.advance(SOON)
        assert is_open(socket)


def test_one_from_a_session_ends_with_it_and_needs_no_other(phone: WebSocketClient, ann: User) -> None:
    browser = WebSocketClient()
    browser.force_login(ann)
    given = browser.post("/ticket/").json()
    assert given["refresh_in"] is None
    with opened(phone, given["ticket"]) as socket:
        phone.advance(200)
        assert is_open(socket)
        socket.send_ticket(browser.post("/ticket/").json()["ticket"])
        assert is_open(socket)
        browser.logout()
        phone.advance(0)
        assert (socket.close_code, socket.close_reason) == (4401, "session ended")


def test_a_fresh_ticket_from_a_session_ties_it_to_that(phone: WebSocketClient, ann: User) -> None:
    browser = WebSocketClient()
    with opened(phone, ann) as socket:
        browser.force_login(ann)
        socket.send_ticket(browser.post("/ticket/").json()["ticket"])
        phone.advance(200)
        assert is_open(socket)
        browser.logout()
        phone.advance(0)
        assert (socket.close_code, socket.close_reason) == (4401, "session ended")


def test_a_fresh_ticket_from_a_session_that_has_ended(phone: WebSocketClient, ann: User) -> None:
    browser = WebSocketClient()
    browser.force_login(ann)
    ticket = browser.post("/ticket/").json()["ticket"]
    browser.logout()
    with opened(phone, ann) as socket:
        socket.send_ticket(ticket)
        phone.advance(SOON)
        assert (socket.close_code, socket.close_reason) == (4401, "the ticket's session has ended")


def test_a_session_that_can_not_be_read_is_tied_at_the_next_check(phone: WebSocketClient, ann: User) -> None:
    browser = WebSocketClient()
    with opened(phone, ann) as socket:
        phone.advance(SOON)
        browser.force_login(ann)
        socket.send_ticket(browser.post("/ticket/").json()["ticket"])
        with (
            mock.patch.object(watch, "find_session", side_effect=OSError("gone")),
            pytest.raises(OSError, match="gone"),
        ):
            ticket_watch.check()
        phone.advance(200)
        assert is_open(socket)
        browser.logout()
        phone.advance(0)
        assert (socket.close_code, socket.close_reason) == (4401, "session ended")


def test_the_end_of_the_cookies_session_is_nothing_to_it(phone: WebSocketClient, ann: User, bob: User) -> None:
    phone.force_login(bob)
    with opened(phone, ann) as socket:
        phone.logout()
        phone.advance(SOON)
        assert is_open(socket)


def test_many_cost_few_queries(phone: WebSocketClient, ann: User) -> None:
    sockets = [opened(phone, ann) for _ in range(5)]
    phone.advance(SOON)  # looks at the user once
    with CaptureQueriesContext(connection) as queries:
        ticket_watch.check()
    assert len(queries) == 1
    for socket in sockets:
        socket.close()


def test_a_cache_that_fails_closes_nothing(phone: WebSocketClient, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(keys: Any) -> Any:
        raise OSError("gone")

    with opened(phone, ann) as socket:
        monkeypatch.setattr(caches["default"], "get_many", fail)
        with pytest.raises(OSError, match="gone"):
            ticket_watch.check()
        assert is_open(socket)
