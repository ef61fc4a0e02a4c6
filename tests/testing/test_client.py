"""The test client's handshake, and its end of a websocket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings

from django_websocket import ConnectionClosed
from django_websocket.testing import NothingReceived, WebSocketClient, WebSocketRejected
from tests.testing import views

# The handshake


def test_the_response_is_that_of_the_view(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/handshake/") as socket:
        assert socket.response.status_code == 101
        assert socket.response.headers["X-From-View"] == "yes"
        assert socket.response.resolver_match.func is views.handshake
        assert socket.subprotocol is None
        assert socket.receive_json()["peer"] == "127.0.0.1"


def test_headers_origin_query_and_tls(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(
        "/handshake/", headers={"X-Own": "1"}, origin="http://testserver", query={"room": "a b"}
    ) as socket:
        seen = socket.receive_json()
    assert seen["headers"]["X-Own"] == "1"
    assert seen["headers"]["Origin"] == "http://testserver"
    assert seen["query"] == {"room": "a b"}
    assert not seen["secure"]
    with ws_client.websocket("/handshake/?room=c", secure=True) as socket:
        seen = socket.receive_json()
    assert seen["query"] == {"room": "c"}
    assert seen["secure"]


def test_subprotocols(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/handshake/?subprotocol=chat.v2", subprotocols=["chat.v1", "chat.v2"]) as socket:
        assert socket.subprotocol == "chat.v2"
        assert socket.response.headers["Sec-WebSocket-Protocol"] == "chat.v2"


@pytest.mark.parametrize("compression", [True, "context-takeover"])
def test_compression(ws_client: WebSocketClient, compression: Any) -> None:
    with override_settings(WEBSOCKET_COMPRESSION=compression):
        with ws_client.websocket("/echo/", compression=True) as socket:
            assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
            for message in ("a" * 5000, "b" * 70_000, b"\x00" * 9, "", "a" * 5000):
                socket.send(message)
                assert socket.receive() == message
        with ws_client.websocket("/echo/") as socket:
            assert "Sec-WebSocket-Extensions" not in socket.response.headers


@pytest.mark.django_db
def test_cookies_go_both_ways(ws_client: WebSocketClient) -> None:
    for visits in (1, 2):
        with ws_client.websocket("/remembers/") as socket:
            assert socket.receive_json() == visits
    assert ws_client.session["visits"] == 2
    ws_client.cookies["own"] = "yes"
    with ws_client.websocket("/handshake/") as socket:
        assert socket.receive_json()["cookies"]["own"] == "yes"


@pytest.mark.django_db
def test_a_user_who_has_logged_in(ws_client: WebSocketClient, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("alice")
    says = r"403 Forbidden: login is required at /plain/.*; call client.force_login\(user\) first"
    with pytest.raises(WebSocketRejected, match=says):
        ws_client.websocket("/needs_a_user/")
    ws_client.force_login(user)
    with ws_client.websocket("/needs_a_user/") as socket:
        assert socket.receive() == "welcome"


def test_a_project_without_sessions(ws_client: WebSocketClient, settings: Any) -> None:
    settings.SESSION_ENGINE = "nowhere"
    with pytest.raises(
        ImproperlyConfigured, match=r"(?s)the test client can't log in: .*add 'django.contrib.sessions'"
    ):
        ws_client.force_login(User(username="alice"))


def test_plain_requests_of_the_same_client(ws_client: WebSocketClient) -> None:
    assert ws_client.get("/plain/").content == b"a page"
    assert ws_client.get("/echo/").status_code == 400


@pytest.mark.parametrize("place", [0, 4])
def test_asynchronous_middleware(ws_client: WebSocketClient, settings: Any, place: int) -> None:
    """Between the test and the view there is an event loop in another thread."""
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(place, "tests.site.middleware.asynchronous")
    settings.MIDDLEWARE = middleware
    with ws_client.websocket("/chat/") as a, ws_client.websocket("/chat/") as b:
        assert a.response.headers["X-Asynchronous"] == "yes"
        a.send("hi")
        assert b.receive() == "somebody: hi"
    with pytest.raises(WebSocketRejected, match="404"):
        ws_client.websocket("/nowhere/")


# Refused handshakes


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nowhere/", 404, "the websocket /nowhere/ was rejected with 404 Not Found: no URL pattern matches this path"),
        ("/echo", 301, "the path redirects to /echo/; a websocket is not redirected, so use that path"),
        ("/echo?a=1", 301, "the path redirects to /echo/?a=1"),
        ("/needs_to_agree/", 302, "it redirects to /terms/; if the view needs a user, call client.force_login(user)"),
        ("/forbids/", 403, "was rejected with 403 Forbidden: not you"),
        ("/returns/", 200, "it accepts with its first use of request.websocket"),
        ("/plain/", 400, "this URL does not accept websockets"),
    ],
)
def test_what_a_rejection_says(ws_client: WebSocketClient, path: str, status: int, says: str) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        ws_client.websocket(path)
    assert rejected.value.status_code == rejected.value.response.status_code == status
    assert says in str(rejected.value)


def test_a_view_without_a_decorator(ws_client: WebSocketClient, settings: Any) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE[:-1]
    with pytest.raises(WebSocketRejected, match="needs @accept_websocket or @require_websocket"):
        ws_client.websocket("/plain/")


@pytest.mark.django_db
def test_a_404_of_the_view_is_not_one_of_the_path(ws_client: WebSocketClient) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        ws_client.websocket("/misses_a_row/")
    assert rejected.value.status_code == 404
    assert "pattern" not in str(rejected.value)


def test_a_foreign_origin(ws_client: WebSocketClient) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        ws_client.websocket("/echo/", origin="http://evil.example")
    assert rejected.value.status_code == 403
    assert "evil.example" in str(rejected.value)


def test_a_handshake_that_breaks_the_protocol(ws_client: WebSocketClient) -> None:
    with pytest.raises(WebSocketRejected) as rejected:
        ws_client.websocket("/echo/", headers={"Sec-WebSocket-Version": "7"})
    assert rejected.value.status_code == 400
    assert rejected.value.response.headers["Sec-WebSocket-Version"] == "13"


def test_djangos_own_client_is_told_of_ours() -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    response = Client().get("/echo/", headers=headers)
    assert response.status_code == 501
    assert b"WebSocketTestCase" in response.content


def test_an_async_test_is_told_what_to_write(ws_client: WebSocketClient) -> None:
    async def test() -> None:
        ws_client.websocket("/echo/")

    with pytest.raises(RuntimeError, match=r"can't be used in an async test: write a plain 'def test_...'"):
        asyncio.run(test())


# Messages


def test_text_binary_and_json(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/") as socket:
        socket.send("grüße")
        assert socket.receive() == "grüße"
        socket.send(b"\x00\xff")
        assert socket.receive() == b"\x00\xff"
        socket.send_json({"a": [1, None]})
        assert socket.receive_json() == {"a": [1, None]}
    with ws_client.websocket("/speaks_json/") as socket:
        socket.send_json([1])
        assert socket.receive_json() == {"you said": [1]}


def test_two_clients(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/chat/") as a, ws_client.websocket("/chat/") as b:
        a.send("hi")
        assert b.receive() == "somebody: hi"
        a.assert_nothing_received()
        b.send("hello")
        with pytest.raises(AssertionError, match="received 'somebody: hello'"):
            a.assert_nothing_received()
        a.close(1000)
        assert a.close_code == 1000
        assert not b.closed


def test_large_messages_in_both_directions(ws_client: WebSocketClient) -> None:
    """Larger than what the channel holds, so both sides meet back-pressure."""
    with override_settings(WEBSOCKET_MAX_MESSAGE_SIZE=4_000_000), ws_client.websocket("/large/") as socket:
        socket.send(b"x" * 3_000_000)
        assert socket.receive() == "3000000"
        socket.send("3000000")
        assert socket.receive() == "x" * 3_000_000


def test_more_messages_than_the_client_holds(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/flood/?count=5000") as socket:
        assert list(socket) == [str(number) for number in range(5000)]
        assert socket.close_code == 1000


def test_iteration_ends_with_the_connection(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/closes/") as socket:
        assert list(socket) == ["bye"]
        assert (socket.close_code, socket.close_reason) == (4000, "enough")
        with pytest.raises(ConnectionClosed) as closed:
            socket.receive()
        assert closed.value.code == 4000
        with pytest.raises(ConnectionClosed):
            socket.send("more")


def test_pings(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/") as socket:
        socket.ping()
        socket.ping()
        socket.assert_nothing_received()


def test_messages_of_a_view_that_has_ended_are_still_there(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/closes/") as socket:
        pass
    assert socket.close_code == 4000
    socket = ws_client.websocket("/closes/")
    assert socket.receive() == "bye"


# The end


@pytest.mark.parametrize(
    ("end", "seen"),
    [
        (lambda socket: socket.close(), (1000, "")),
        (lambda socket: socket.close(4321, "why"), (4321, "why")),
        (lambda socket: socket.close(None), (1005, "")),
        (lambda socket: socket.abort(), (1006, "")),
    ],
)
def test_what_the_view_sees_of_the_end(ws_client: WebSocketClient, end: Any, seen: Any) -> None:
    views.endings.clear()
    with ws_client.websocket("/reports_the_end/") as socket:
        end(socket)
        assert socket.closed
    [(code, reason)] = views.endings
    assert (code, reason) == seen


def test_leaving_the_block_closes(ws_client: WebSocketClient) -> None:
    views.endings.clear()
    with ws_client.websocket("/reports_the_end/"):
        assert not views.endings
    assert views.endings == [(1000, "")]


def test_close_is_idempotent(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/") as socket:
        socket.close(4000)
        socket.close(4001)
        socket.abort()
        assert socket.close_code == 4000


def test_repr(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/") as socket:
        assert repr(socket) == "<ClientWebSocket /echo/ open>"
    assert repr(socket) == "<ClientWebSocket /echo/ closed>"


# What a view raises


def test_an_exception_before_the_accept(ws_client: WebSocketClient) -> None:
    with pytest.raises(ValueError, match="before the accept") as raised:
        ws_client.websocket("/raises_before/")
    assert raised.traceback[-1].name == "raises_before"


def test_an_exception_after_the_accept(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/raises_after/") as socket:
        with pytest.raises(ValueError, match="after a message") as raised:
            socket.send("a message")
        assert raised.traceback[-1].name == "raises_after"
        assert socket.close_code == 1011


def test_an_exception_that_only_the_end_brings(ws_client: WebSocketClient) -> None:
    with pytest.raises(ValueError, match="after None"), ws_client.websocket("/raises_after/"):
        pass


def test_an_exception_of_the_view_and_one_of_the_test(ws_client: WebSocketClient) -> None:
    with pytest.raises(AssertionError, match="the test's own") as raised, ws_client.websocket("/raises_after/"):
        raise AssertionError("the test's own")
    assert raised.value.__notes__ == ["The view of /raises_after/ raised ValueError('after None')."]


def test_exceptions_that_are_not_wanted() -> None:
    client = WebSocketClient(raise_request_exception=False)
    with pytest.raises(WebSocketRejected, match="500"):
        client.websocket("/raises_before/")
    with client.websocket("/raises_after/") as socket:
        socket.send("a message")
        with pytest.raises(ConnectionClosed):
            socket.receive()
        assert socket.close_code == 1011


# Silence


def test_a_view_that_waits(ws_client: WebSocketClient) -> None:
    with (
        ws_client.websocket("/chat/") as socket,
        ws_client.websocket("/times_out/"),
        pytest.raises(NothingReceived) as nothing,
    ):
        socket.receive()
    lines = str(nothing.value).splitlines()
    assert lines[0] == "/chat/: no message came, and none can come"
    assert "/chat/: the view waits at" in lines[1]
    assert lines[1].endswith("in chat: for message in websocket:")
    assert lines[2].endswith("in times_out: request.websocket.wait(timeout=30)")
    assert "client.advance(seconds)" in lines[3]


def test_time_is_only_mentioned_where_it_matters(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/echo/") as socket, pytest.raises(NothingReceived) as nothing:
        socket.receive()
    assert "advance" not in str(nothing.value)


def test_a_view_that_has_ended(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/closes/") as over, ws_client.websocket("/chat/") as socket:
        assert over.receive() == "bye"
        with pytest.raises(NothingReceived, match="/closes/: the view has ended"):
            socket.receive()


def test_a_view_that_polls(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/polls/") as socket:
        for number in range(3):
            socket.send(str(number))
            assert socket.receive() == str(number)
        with pytest.raises(NothingReceived, match="in polls: "):
            socket.receive()
