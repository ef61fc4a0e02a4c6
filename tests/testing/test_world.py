"""The clock of a test, what moves with it, and the database connections of views."""

from __future__ import annotations

import time
from typing import Any

import freezegun
import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import override_settings

from django_websocket import ConnectionClosed
from django_websocket.testing import NothingReceived, WebSocketClient

# Time


def test_sleeping_views(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/ticks/") as socket:
        with pytest.raises(NothingReceived, match=r"in ticks: time.sleep\(1\)\nTime stands still") as nothing:
            socket.receive()
        assert "none can come" in str(nothing.value)
        with pytest.raises(NothingReceived, match=r"no message came, within 0.5 s"):
            socket.receive(timeout=0.5)
        assert socket.receive(timeout=0.5) == "tick"
        socket.assert_nothing_received(timeout=0.9)
        ws_client.advance(3)
        assert [socket.receive() for _ in range(3)] == ["tick"] * 3
        socket.assert_nothing_received()


def test_a_sleep_before_the_accept_takes_no_time(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/sleeps_first/") as socket:
        assert socket.receive() == "awake"


def test_the_test_itself_still_sleeps(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/"):
        before = time.monotonic()
        time.sleep(0.01)
        assert time.monotonic() - before >= 0.01


def test_time_outs_of_views(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/times_out/") as socket:
        ws_client.advance(29.9)
        socket.assert_nothing_received()
        ws_client.advance(0.1)
        assert socket.receive() == "late"


@override_settings(WEBSOCKET_PING_INTERVAL=20, WEBSOCKET_PING_TIMEOUT=10)
def test_clients_that_answer_no_pings(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/") as well, ws_client.websocket("/echo/") as vanished:
        vanished.answers_pings = False
        ws_client.advance(3600)
        assert not well.closed
        assert vanished.close_code == 1011
        assert "ping" in vanished.close_reason


@override_settings(WEBSOCKET_CLOSE_TIMEOUT=5)
def test_every_test_has_a_clock_of_its_own(ws_client: WebSocketClient) -> None:
    for _ in range(2):
        with ws_client.websocket("/ticks/") as socket:
            assert socket.receive(timeout=1) == "tick"


def test_freezegun(ws_client: WebSocketClient) -> None:
    """Dates are its business, waiting is ours."""
    with freezegun.freeze_time("2030-01-01") as frozen, ws_client.websocket("/dates/") as socket:
        assert socket.receive() == "2030-01-01T00:00:00+00:00"
        socket.assert_nothing_received(3599)
        frozen.tick(60)
        assert socket.receive(timeout=1) == "2030-01-01T00:01:00+00:00"


def test_time_machine(ws_client: WebSocketClient) -> None:
    with time_machine.travel("2030-01-01T00:00Z", tick=False) as traveller, ws_client.websocket("/dates/") as socket:
        assert socket.receive() == "2030-01-01T00:00:00+00:00"
        traveller.shift(60)
        assert socket.receive(timeout=3600) == "2030-01-01T00:01:00+00:00"


# Sessions


@pytest.mark.django_db
def test_a_log_out_closes(ws_client: WebSocketClient, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("alice")
    ws_client.force_login(user)
    with ws_client.websocket("/waits/") as socket:
        ws_client.get("/log_out/")
        with pytest.raises(ConnectionClosed):
            socket.receive()
        assert socket.close_code == 4401


@pytest.mark.django_db
@override_settings(WEBSOCKET_SESSION_CHECK_INTERVAL=3)
def test_a_session_that_another_process_ends(ws_client: WebSocketClient, django_user_model: Any) -> None:
    ws_client.force_login(django_user_model.objects.create_user("alice"))
    with ws_client.websocket("/waits/") as socket:
        Session.objects.all().delete()
        ws_client.advance(2)
        assert not socket.closed
        ws_client.advance(1)
        assert socket.close_code == 4401


@pytest.mark.django_db
@override_settings(WEBSOCKET_SESSION_CHECK_INTERVAL=3)
def test_a_user_who_is_deactivated(ws_client: WebSocketClient, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("alice")
    with ws_client.websocket("/logs_in/") as socket:
        ws_client.advance(10)
        assert not socket.closed
        User.objects.filter(pk=user.pk).update(is_active=False)
        ws_client.advance(3)
        assert socket.close_code == 4401


# The database


@pytest.mark.django_db
def test_queries_of_the_view_are_counted(ws_client: WebSocketClient, django_assert_num_queries: Any) -> None:
    with ws_client.websocket("/names/") as socket:
        with django_assert_num_queries(2) as captured:
            socket.send("a")
            socket.receive()
        assert [query["sql"].split()[0] for query in captured.captured_queries] == ["INSERT", "SELECT"]


@pytest.mark.django_db
def test_the_view_is_in_the_transaction_of_the_test(ws_client: WebSocketClient) -> None:
    Group.objects.create(name="test")
    with ws_client.websocket("/names/") as socket:
        socket.send("view")
        assert socket.receive_json() == ["test", "view"]
        Group.objects.filter(name="test").delete()
        ws_client.advance(60)
        socket.send("later")
        assert socket.receive_json() == ["later", "view"]
    assert Group.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 2])
def test_what_a_view_writes_is_rolled_back(ws_client: WebSocketClient, number: int) -> None:
    assert not Group.objects.exists()
    with ws_client.websocket("/names/") as socket:
        socket.send(f"group {number}")


@pytest.mark.django_db(transaction=True)
def test_connections_are_released_by_the_clock(ws_client: WebSocketClient, settings: Any) -> None:
    """The test's connection is in memory, so it stays; what counts is that nothing breaks."""
    settings.WEBSOCKET_RELEASE_DB_AFTER = 1
    with ws_client.websocket("/names/") as socket:
        socket.send("a")
        socket.receive()
        ws_client.advance(5)
        socket.send("b")
        assert socket.receive_json() == ["a", "b"]


@pytest.mark.django_db
def test_commit_hooks(ws_client: WebSocketClient, django_capture_on_commit_callbacks: Any) -> None:
    with ws_client.websocket("/hooks/") as socket:
        with django_capture_on_commit_callbacks() as callbacks:
            socket.send("a")
        socket.assert_nothing_received()
        assert len(callbacks) == 1
        with django_capture_on_commit_callbacks(execute=True):
            socket.send("b")
        assert socket.receive() == "committed b"


@pytest.mark.django_db
def test_atomic_requests_end_with_the_request(ws_client: WebSocketClient) -> None:
    outside = len(connection.atomic_blocks)
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        with ws_client.websocket("/depth/") as socket:
            assert socket.receive_json() == [outside + 1, outside]
        with pytest.raises(transaction.TransactionManagementError, match="can't accept the websocket inside an atomic"):
            ws_client.websocket("/accepts_in_a_block/")
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert len(connection.atomic_blocks) == outside
