"""Joining, leaving, and who gets what, by the test client."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.template import TemplateDoesNotExist

from django_websocket import ConnectionClosed, Group
from django_websocket.groups.group import MAX_INFO_SIZE
from django_websocket.testing import WebSocketClient, WebSocketRejected
from tests.deadlines import deadline

ROOM = "/member/?group=room"


def test_a_message_goes_to_all_members_and_to_nobody_else(ws_client: WebSocketClient) -> None:
    with (
        ws_client.websocket(ROOM) as a,
        ws_client.websocket(ROOM) as b,
        ws_client.websocket("/member/?group=other") as c,
    ):
        Group("room").send("hello")
        assert (a.receive(), b.receive()) == ("hello", "hello")
        c.assert_nothing_received()
        Group("nobody").send("hello")


def test_kinds_of_messages(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket:
        room = Group("room")
        for message in ("text é", "", b"bytes", bytearray(b"array"), memoryview(b"view"), 5, None):
            room.send(message)
        room.send_json({"date": date(2026, 2, 1)})
        received = [socket.receive() for _ in range(8)]
    assert received == ["text é", "", b"bytes", b"array", b"view", "5", "None", '{"date": "2026-02-01"}']
    with pytest.raises(TypeError):
        Group("room").send_json(object())
    with pytest.raises(UnicodeEncodeError):
        Group("room").send("\ud800")


def test_a_template(ws_client: WebSocketClient, settings: Any) -> None:
    fragments = {"a.html": "<li>{{ word }}</li>", "b.html": "{{ request }}{{ user }}"}
    loader = ("django.template.loaders.locmem.Loader", fragments)
    processors = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth"]
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [loader], "context_processors": processors},
        }
    ]
    with ws_client.websocket(ROOM) as a, ws_client.websocket(ROOM) as b:
        room = Group("room")
        room.send_template("a.html", {"word": "<hello>"})
        assert a.receive() == b.receive() == "<li>&lt;hello&gt;</li>"
        room.send_template(["missing.html", "b.html"], exclude=a.websocket)
        assert b.receive() == ""
        a.assert_nothing_received()
        with pytest.raises(TemplateDoesNotExist):
            room.send_template("missing.html")


@pytest.mark.django_db(transaction=True)
def test_a_template_is_rendered_at_once_and_sent_on_commit(ws_client: WebSocketClient, settings: Any) -> None:
    loader = ("django.template.loaders.locmem.Loader", {"a.html": "{{ words.0 }}"})
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": [loader]}}
    ]
    words = ["before"]
    with ws_client.websocket(ROOM) as socket:
        with transaction.atomic():
            Group("room").send_template("a.html", {"words": words}, on_commit=True)
            words[0] = "after"
            socket.assert_nothing_received()
        assert socket.receive() == "before"


def test_from_a_view_to_the_others_or_to_all(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as a, ws_client.websocket(ROOM) as b:
        a.send("others hi")
        assert b.receive() == "hi"
        a.assert_nothing_received()
        a.send("all hello")
        assert (a.receive(), b.receive()) == ("hello", "hello")


def test_from_a_plain_request(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket:
        ws_client.get("/sends/?group=room&message=hello")
        assert socket.receive() == "hello"


def test_joining_accepts(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/joins-late/") as socket:
        socket.send("join")
        assert socket.close_code == 1000
    with ws_client.websocket(ROOM) as socket:
        assert socket.response.status_code == 101
        assert Group("room").count() == 1


def test_a_closed_websocket_can_not_join(ws_client: WebSocketClient) -> None:
    socket = ws_client.websocket("/joins-late/")
    socket.close()
    assert Group("room").count() == 0
    socket.end()
    with pytest.raises(ConnectionClosed):
        Group("room").add(socket.websocket)


def test_wrong_names_and_infos_are_refused(ws_client: WebSocketClient) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        ws_client.websocket("/joins-wrongly/?group=a%20b")
    assert "'a b' has others" in rejected.value.response.content.decode()
    large = json.dumps("x" * MAX_INFO_SIZE)
    with ws_client.websocket(f"/joins-wrongly/?group=room&info={large}") as socket:
        assert socket.receive() == f"the info of a member may take {MAX_INFO_SIZE} bytes as JSON, not {len(large)}"
    with ws_client.websocket(ROOM) as socket, pytest.raises(TypeError):
        Group("room").add(socket.websocket, object())


# Leaving


def test_leaving(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(f"{ROOM}&group=another") as socket:
        Group("room").send("before")
        socket.send("leave room")
        Group("room").send("after")
        Group("another").send("still here")
        assert [socket.receive(), socket.receive()] == ["before", "still here"]
        socket.send("leave room")
        socket.send("leave never-joined")
        socket.send("groups")
        assert socket.receive_json() == ["another"]
        socket.send("join room")
        Group("room").send("again")
        assert socket.receive() == "again"


def test_joining_twice_is_joining_once(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket:
        socket.send("join room")
        assert Group("room").count() == 1
        Group("room").send("once")
        assert socket.receive() == "once"
        socket.assert_nothing_received()
        assert socket.websocket.groups == ("room",)
        socket.send("leave room")
        assert Group("room").count() == 0


@pytest.mark.parametrize("end", ["close", "abort", "view ends", "view fails", "view closes", "silence", "kill"])
def test_membership_ends_with_the_websocket(end: str) -> None:
    client = WebSocketClient(raise_request_exception=False)
    with client.websocket(f"{ROOM}&group=another") as socket, client.websocket(ROOM) as other:
        assert Group("room").count() == 2
        match end:
            case "close":
                socket.close()
            case "abort":
                socket.abort()
            case "view ends":
                socket.send("end")
            case "view fails":
                socket.send("fail")
            case "view closes":
                socket.send("close")
                assert socket.receive() == "the last"
                assert other.receive() == "the last"
            case "silence":
                socket.answers_pings = False
                client.advance(60)
            case "kill":
                socket.end()
        assert (Group("room").count(), Group("another").count()) == (1, 0)
        Group("room").send("hello")
        assert other.receive() == "hello"
        assert socket.websocket.groups == ()


def test_membership_ends_before_a_view_that_is_busy(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket:
        socket.send("sleep")
        socket.abort()
        assert Group("room").count() == 0
        ws_client.advance(60)


# Order


def test_messages_of_one_sender_arrive_in_order_with_those_of_the_view(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket:
        for number in range(100):
            Group("room").send(str(number))
        assert [socket.receive() for _ in range(100)] == [str(number) for number in range(100)]
        socket.send("answer 1")
        assert [socket.receive() for _ in range(3)] == ["before 1", "1", "after 1"]
        socket.send("close")
        assert socket.receive() == "the last"
        assert (socket.close_code, socket.close_reason) == (4000, "closed")


def test_what_was_sent_before_the_join_does_not_arrive(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as early:
        Group("room").send("first")
        with ws_client.websocket(ROOM) as late:
            Group("room").send("second")
            assert [early.receive(), early.receive()] == ["first", "second"]
            assert late.receive() == "second"


def test_a_fast_sender_waits(ws_client: WebSocketClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_websocket.groups.fan_out.MAX_QUEUED_BYTES", 3000)
    with ws_client.websocket(ROOM) as a, ws_client.websocket(ROOM) as b:
        a.send("flood")
        assert [len(a.receive()) for _ in range(50)] == [1000] * 50
        assert max(a.receive_json()) <= 3000
        assert [len(b.receive()) for _ in range(50)] == [1000] * 50


# Threads


def test_the_test_client_has_no_other_threads(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket, ThreadPoolExecutor(1) as thread:
        for use in (
            partial(Group("room").send, "x"),
            partial(Group("room").close),
            partial(socket.websocket.join, "another"),
            partial(socket.websocket.leave, "room"),
        ):
            with pytest.raises(RuntimeError, match="takes no calls of other threads"):
                thread.submit(use).result(deadline(10))
        assert (Group("room").count(), Group("another").count()) == (1, 0)
        assert thread.submit(Group("room").count).result(deadline(10)) == 1


# Transactions


@pytest.mark.django_db(transaction=True)
def test_on_commit(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(ROOM) as socket:
        with transaction.atomic():
            Group("room").send("committed", on_commit=True)
            Group("room").send_json("also", on_commit=True)
            socket.assert_nothing_received()
        assert [socket.receive(), socket.receive()] == ["committed", '"also"']
        with transaction.atomic():
            Group("room").send("rolled back", on_commit=True)
            transaction.set_rollback(True)
        socket.assert_nothing_received()
        Group("room").send("without a transaction", on_commit=True)
        assert socket.receive() == "without a transaction"


@pytest.mark.django_db
def test_on_commit_in_the_transaction_of_a_test(
    ws_client: WebSocketClient, django_capture_on_commit_callbacks: Any
) -> None:
    with ws_client.websocket(ROOM) as socket:
        with django_capture_on_commit_callbacks(execute=True):
            ws_client.get("/sends/?group=room&message=hello&on_commit")
            socket.assert_nothing_received()
        assert socket.receive() == "hello"


# The members


def test_members_and_their_infos(ws_client: WebSocketClient) -> None:
    room = Group("room")
    assert (room.count(), room.members()) == (0, [])
    with (
        ws_client.websocket(f'{ROOM}&info={{"name": "ann"}}'),
        ws_client.websocket(f'{ROOM}&info={{"name": "bob"}}') as bob,
        ws_client.websocket(ROOM),
    ):
        assert (room.count(), room.members()) == (3, [{"name": "ann"}, {"name": "bob"}, None])
        room.add(bob.websocket, {"name": "robert"})
        assert room.members() == [{"name": "ann"}, {"name": "robert"}, None]
        bob.close()
        assert room.members() == [{"name": "ann"}, None]


def test_closing_the_members(ws_client: WebSocketClient) -> None:
    with (
        ws_client.websocket(ROOM) as a,
        ws_client.websocket(ROOM) as b,
        ws_client.websocket("/member/?group=other") as c,
    ):
        Group("room").send("the last")
        Group("room").close(4001, "moved")
        assert (a.receive(), b.receive()) == ("the last", "the last")
        for socket in (a, b):
            with pytest.raises(ConnectionClosed):
                socket.receive()
            assert (socket.close_code, socket.close_reason) == (4001, "moved")
        assert Group("room").count() == 0
        c.send("groups")
        assert c.receive_json() == ["other"]
        with pytest.raises(ValueError, match="1006"):
            Group("other").close(1006)
    Group("room").close()


# Compression


def test_compressed_once_for_all_that_negotiated_it(ws_client: WebSocketClient, settings: Any) -> None:
    settings.WEBSOCKET_COMPRESSION = True
    with (
        ws_client.websocket(ROOM, compression=True) as a,
        ws_client.websocket(ROOM, compression=True) as b,
        ws_client.websocket(ROOM) as plain,
    ):
        before = a.websocket.driver.bytes_sent  # type: ignore[union-attr]  # it is open
        text = "hello " * 1000
        for message in (text, "short", b"bytes" * 100):
            Group("room").send(message)
            assert [socket.receive() for socket in (a, b, plain)] == [message] * 3
        assert a.websocket.driver.bytes_sent - before < 200  # type: ignore[union-attr]  # as above
        assert plain.websocket.driver.bytes_sent > len(text)  # type: ignore[union-attr]  # as above


def test_context_takeover(ws_client: WebSocketClient, settings: Any) -> None:
    """Each of these has a compressor of its own, whose context the message becomes part of."""
    settings.WEBSOCKET_COMPRESSION = "context-takeover"
    with ws_client.websocket(ROOM, compression=True) as a, ws_client.websocket(ROOM, compression=True) as b:
        text = "".join(map(str, range(2000)))
        for _ in range(3):
            Group("room").send(text)
            assert (a.receive(), b.receive()) == (text, text)
            a.send(f"all {text}")
            assert (a.receive(), b.receive()) == (text, text)
            a.send(f"answer {text}")
            assert [a.receive() for _ in range(3)] == [f"before {text}", text, f"after {text}"]
            assert [b.receive() for _ in range(2)] == [f"before {text}", f"after {text}"]
