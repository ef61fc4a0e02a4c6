"""Server-sent events, as Django's test client gets them."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from django.http import HttpRequest, StreamingHttpResponse
from django.test import Client, RequestFactory

from django_websocket import Group
from django_websocket.groups.event_stream import close_streams
from django_websocket.groups.receivers import receivers
from django_websocket.sessions import session_watch

# Closing a response closes the database connections of its request.
pytestmark = pytest.mark.django_db


def stream(group: Group, request: HttpRequest | None = None, **options: Any) -> Any:
    response = group.event_stream(request or RequestFactory().get("/"), **options)
    assert isinstance(response, StreamingHttpResponse)
    chunks = iter(response.streaming_content)  # type: ignore[arg-type]  # it is no asynchronous one
    assert next(chunks) == b": welcome\n\n"
    return response, chunks


def test_events() -> None:
    group = Group("room")
    response, chunks = stream(group, heartbeat=0.01)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache, no-store"
    group.send("one")
    group.send("two\r\nlines\nof é\r")
    group.send_json({"a": 1})
    group.send(b"\x00")
    group.send("")
    assert [next(chunks) for _ in range(6)] == [
        b"data: one\n\n",
        "data: two\ndata: lines\ndata: of é\ndata: \n\n".encode(),
        b'data: {"a": 1}\n\n',
        b'data: {"group": "room", "bytes": "AA=="}\n\n',
        b"data: \n\n",
        b": heartbeat\n\n",
    ]
    response.close()
    assert list(chunks) == []
    assert receivers._groups == {}


def test_it_goes_on_behind_the_last_event() -> None:
    group = Group("room", history=10)
    for text in ("one", "two", "three"):
        group.send(text)
    response, chunks = stream(group, since="0")
    events = [next(chunks) for _ in range(3)]
    response.close()
    head, data = events[0].decode().splitlines()[:2]
    position = head.removeprefix("id: ")
    assert json.loads(data.removeprefix("data: ")) == {"group": "room", "position": position, "message": "one"}
    request = RequestFactory().get("/", headers={"Last-Event-ID": position})
    response, chunks = stream(group, request, since="0")
    assert [next(chunks) for _ in range(2)] == events[1:]
    response.close()


def test_all_end_with_the_server() -> None:
    streams = [stream(Group("room")) for _ in range(3)]
    close_streams()
    for _, chunks in streams:
        assert list(chunks) == []
    assert receivers._groups == {}


def test_it_ends_with_the_session(client: Client, django_user_model: Any, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    client.force_login(django_user_model.objects.create_user("ann"))
    request = RequestFactory().get("/")
    request.session = client.session
    assert request.session["_auth_user_id"]
    response, chunks = stream(Group("room"), request, heartbeat=0.01)
    assert next(chunks) == b": heartbeat\n\n"
    assert len(session_watch) == 1
    client.session.flush()
    session_watch._next_check = 0
    rest = list(chunks)
    assert rest in ([], [b": heartbeat\n\n"])
    assert len(session_watch) == 0
    response.close()


def test_one_that_is_never_sent_is_not_kept_for_the_session(client: Client, django_user_model: Any) -> None:
    """A middleware has replaced the response, or has raised; nobody closes it then."""
    client.force_login(django_user_model.objects.create_user("ann"))
    request = RequestFactory().get("/")
    request.session = client.session
    assert request.session["_auth_user_id"]
    Group("room").event_stream(request)
    gc.collect()
    with Group("room").subscribe():  # looks for those that nobody has any more
        assert len(receivers._groups["room"].subscribers) == 1
    assert receivers._groups == {}
    assert len(session_watch) == 0
