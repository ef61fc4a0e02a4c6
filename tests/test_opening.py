"""The opening handshake through all of Django's middleware, and what its being an HTTP response buys."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.test import Client
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection

from tests.deadlines import deadline
from tests.protocol.client import frame
from tests.site.fixtures import Serve
from tests.site.local import LocalSite
from tests.site.running import HANDSHAKE, Site


def receive(client: ClientConnection) -> Any:
    return client.recv(timeout=deadline(10))


def receive_json(client: ClientConnection) -> Any:
    return json.loads(receive(client))


def session_cookie(set_cookies: Iterable[str]) -> dict[str, str]:
    """The header that sends the session cookie back."""
    [value] = [one["sessionid"].value for one in map(SimpleCookie, set_cookies) if "sessionid" in one]
    return {"Cookie": f"sessionid={value}"}


# What the hand-over buys


def test_a_session_changed_before_the_accept_is_saved_and_its_cookie_set_on_the_101(site: Site) -> None:
    with site.connect("/opening/session/") as client:
        assert client.response is not None
        cookie = session_cookie(client.response.headers.get_all("Set-Cookie"))
        assert site.ask("/opening/visits/", cookie).body == b"1"
        with site.connect("/opening/session/", additional_headers=cookie):
            assert site.ask("/opening/visits/", cookie).body == b"2"


def test_the_response_and_the_end_of_the_request_come_before_the_view_goes_on(site: Site) -> None:
    with site.connect("/opening/order/") as client:
        assert receive(client) == "done"
        assert client.response is not None
        assert client.response.headers["X-Recorded"] == "yes"
    assert site.journal() == ["view", "response 101", "request finished", "accepted"]


def test_language_time_zone_and_urlconf_live_on_in_the_view(site: Site) -> None:
    def connect(language: str, query: str) -> ClientConnection:
        return site.connect(f"/opening/surroundings/{query}", additional_headers={"Accept-Language": language})

    with (
        connect("de", "?zone=Europe/Berlin&urlconf=1") as german,
        connect("fr", "?zone=Europe/Paris") as french,
        connect("nl", "") as dutch,
    ):
        expected = {
            german: {"language": "de", "zone": "Europe/Berlin", "urlconf": "/only/here/"},
            french: {"language": "fr", "zone": "Europe/Paris", "urlconf": "NoReverseMatch"},
            dutch: {"language": "nl", "zone": "America/Chicago", "urlconf": "NoReverseMatch"},
        }
        for client, surroundings in expected.items():
            assert receive_json(client) == surroundings
        for client, surroundings in [*expected.items(), *expected.items()]:
            client.send("again")
            assert receive_json(client) == surroundings


def test_thread_locals_are_those_of_one_view(site: Site) -> None:
    with site.connect("/opening/thread_locals/?value=a") as a, site.connect("/opening/thread_locals/?value=b") as b:
        assert receive_json(a) is None
        assert receive_json(b) is None
        for client, value in ((a, "a"), (b, "b")):
            client.send("?")
            assert receive_json(client) == value


# A 101 that never reaches the client


@pytest.mark.parametrize(("query", "status"), [("replace", 418), ("fail", 500)])
def test_a_middleware_that_spoils_the_101_ends_the_view(site: Site, query: str, status: int) -> None:
    site.shake_hands(f"/opening/parked/?{query}")
    site.wait_for_journal("cleaned up")
    site.take_log()
    before = site.stats()
    for _ in range(5):
        assert site.shake_hands(f"/opening/parked/?{query}").status == status
        happened = site.wait_for_journal("cleaned up")
        assert [entry for entry in happened if "request" not in entry and "response" not in entry] == [
            *(["exception"] if query == "fail" else []),
            "HandshakeAborted 1006",
            *["still aborted"] * 3,
            "cleaned up",
        ]
    site.wait_until_back_at(before)
    errors = site.take_log()
    assert [error["error"] for error in errors] == (["ValueError"] * 5 if query == "fail" else [])


def test_a_client_that_leaves_before_the_accept_ends_the_view(site: Site) -> None:
    before = site.stats()
    client = site.raw("/opening/late/?until=left")
    site.wait_for_journal("waiting")
    client.reset()
    site.release("left")
    happened = site.wait_for_journal("ended")
    assert "aborted" in happened or "got None" in happened
    site.wait_until_back_at(before)


def test_a_view_that_is_killed_before_its_accept_ends_the_request(site: Site) -> None:
    before = site.stats()
    with site.raw("/opening/killable/") as client:
        site.wait_for_journal("waiting")
        site.ask("/opening/kill/")
        assert client.head().startswith("HTTP/1.1 500 ")
    assert "cleaned up" in site.journal()
    [error] = site.take_log()
    assert error["error"] == "GreenletExit"
    site.wait_until_back_at(before)


def test_a_view_that_is_killed_after_its_accept_goes_away(site: Site) -> None:
    before = site.stats()
    with site.raw("/opening/killable/?accepted").opened() as client:
        site.wait_for_journal("waiting")
        site.ask("/opening/kill/")
        first, payload = client.frame()
        assert (first, payload) == (0x88, b"\x03\xe9")  # 1001
        client.send(frame(0x88, payload))
        assert client.rest() == b""
    assert "cleaned up" in site.journal()
    site.wait_until_back_at(before)


# How views end


def test_a_view_that_raises_before_the_accept_is_answered_with_500(local_site: LocalSite) -> None:
    assert local_site.shake_hands("/opening/raises_before/").status_code == 500
    error = local_site.take_error()
    assert (error["logger"], error["error"]) == ("django.request", "ValueError")
    assert local_site.journal().count("exception") == 1


@pytest.mark.parametrize("sleep", ["", "&sleep"])
@pytest.mark.parametrize("moment", ["delay", "delay_close"], ids=["before-the-101", "behind-the-101"])
def test_a_view_that_gives_up_its_accept(site: Site, moment: str, sleep: str) -> None:
    """By a time-out of its own, while the response is on its way through a slow middleware."""
    before = site.stats()
    path = f"/opening/gives_up/?patience=0.05&{moment}=0.3{sleep}"
    if moment == "delay":
        assert site.shake_hands(path).status == 500
    else:
        with site.raw(path).opened() as client:
            assert client.frame() == (0x88, b"\x03\xf3")
            client.send(frame(0x88, b"\x03\xf3"))
            assert client.rest() == b""
    happened = site.wait_for_journal("ended")
    assert happened.index("gave up") < happened.index("ended")
    if not sleep:
        assert site.wait_for_error()["error"] == "Timeout"
    site.wait_until_back_at(before)


@pytest.mark.parametrize(
    ("path", "error"), [("/opening/freezes_request/", "AttributeError"), ("/database/cannot_be_closed/", "OSError")]
)
def test_a_view_has_ended_though_its_clean_up_fails(site: Site, path: str, error: str) -> None:
    """A server that stops would wait for it otherwise."""
    before = site.stats()
    with site.raw(path).opened() as client:
        client.send(frame(0x81, b"end"))
        assert client.frame() == (0x88, b"\x03\xe8")
        client.send(frame(0x88, b"\x03\xe8"))
        assert client.rest() == b""
    logged = site.wait_for_error()
    assert (logged["logger"], logged["error"]) == ("django_websocket", error)
    site.wait_until_back_at(before)


def test_a_view_that_raises_after_the_accept_closes_with_1011(site: Site) -> None:
    with site.raw("/opening/raises_after/").opened() as client:
        assert client.frame() == (0x81, b"accepted")
        first, payload = client.frame()
        assert (first, payload) == (0x88, b"\x03\xf3")  # and not a byte of HTTP, nor of the traceback
        client.send(frame(0x88, payload))
        assert client.rest() == b""
    assert site.wait_for_error() == {
        "logger": "django.request",
        "level": "ERROR",
        "message": "Websocket view failed: /opening/raises_after/",
        "error": "ValueError",
    }
    assert site.journal().count("exception") == 1
    with site.connect("/opening/raises_after/") as peer:
        assert receive(peer) == "accepted"
        with pytest.raises(ConnectionClosedError) as closed:
            receive(peer)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "")
    site.wait_for_error()


def test_a_view_that_exits_takes_nothing_else_along(site: Site) -> None:
    with site.connect("/opening/exits/") as client, pytest.raises(ConnectionClosedError, match="1011"):
        receive(client)
    assert site.wait_for_error()["error"] == "SystemExit"
    assert site.ask("/common/plain/").body == b"plain"


def test_connection_closed_that_leaves_a_view_is_a_normal_end(site: Site) -> None:
    before = site.stats()
    with site.connect("/opening/closed_leaves/") as client:
        client.send("hello")
    site.wait_until_back_at(before)
    assert site.take_log() == []
    assert "exception" not in site.journal()


@pytest.mark.parametrize("fixture", ["local_site", "local_middleware_site", "local_atomic_site"])
def test_a_view_that_returns_none_accepts_and_closes(request: pytest.FixtureRequest, fixture: str) -> None:
    site: LocalSite = request.getfixturevalue(fixture)
    with site.connect("/opening/returns_none/") as client:
        assert client.close_code == 1000


def test_a_response_instead_of_an_accept_is_sent(local_site: LocalSite) -> None:
    answer = local_site.shake_hands("/opening/returns_response/")
    assert (answer.status_code, answer.content) == (403, b"no websocket today")


def test_a_response_after_the_accept_is_not_sent(site: Site) -> None:
    with site.raw("/opening/response_after_accept/").opened() as client:
        assert client.frame() == (0x81, b"hello")
        assert client.frame() == (0x88, b"\x03\xe8")
        client.send(frame(0x88, b"\x03\xe8"))
        assert client.rest() == b""


# accept() and close()


def test_close_before_the_accept_accepts_so_that_the_client_sees_the_code(local_site: LocalSite) -> None:
    with local_site.connect("/opening/closes_first/") as client:
        assert (client.close_code, client.close_reason) == (4001, "not today")


def test_a_wrong_close_code_does_not_accept(local_site: LocalSite) -> None:
    assert local_site.shake_hands("/opening/wrong_close/").content == b"still unaccepted"


def test_a_second_accept_is_refused(local_site: LocalSite) -> None:
    with local_site.connect("/opening/accept_twice/") as client:
        assert client.receive() == "refused"


def test_only_the_views_own_greenlet_accepts(site: Site) -> None:
    assert b"accepted in its view's greenlet" in site.shake_hands("/opening/foreign_accept/").body


@pytest.mark.parametrize(
    ("offered", "accepted", "agreed"),
    [
        (["chat", "superchat"], "superchat", "superchat"),
        (["chat"], "superchat", None),  # ValueError; the view then accepts without
        (["chat"], "", None),
        (None, "chat", None),
    ],
)
def test_subprotocol_of_an_accept(local_site: LocalSite, offered: Any, accepted: str, agreed: str | None) -> None:
    path = f"/opening/accept_with/?subprotocol={accepted}"
    with local_site.connect(path, subprotocols=offered or ()) as client:
        assert client.receive() == str(agreed)
        assert client.subprotocol == agreed
    refusals = [entry for entry in local_site.journal() if "did not offer" in entry]
    assert len(refusals) == (agreed is None)


def test_headers_of_an_accept(local_site: LocalSite) -> None:
    with local_site.connect("/opening/accept_with/?header=X-Room&value=7") as client:
        client.receive()
        assert client.response.headers["X-Room"] == "7"


@pytest.mark.parametrize(
    "query",
    [
        "header=X-Room&value=7%0D%0ASet-Cookie:%20sessionid=stolen",
        "header=X-Room&value=7%0ASet-Cookie:%20sessionid=stolen",
        "header=X-Room%0D%0ASet-Cookie&value=sessionid=stolen",
        "header=Connection&value=close",
        "header=upgrade&value=h2c",
        "header=Content-Length&value=5",
        "header=Transfer-Encoding&value=chunked",
        "header=Sec-WebSocket-Accept&value=mine",
        "header=sec-websocket-extensions&value=mine",
    ],
)
def test_headers_that_are_not_the_views_to_set(site: Site, query: str) -> None:
    with site.raw(f"/opening/accept_with/?{query}") as client:
        head = client.head()
    assert head.startswith("HTTP/1.1 101 ")
    assert "stolen" not in head
    assert "mine" not in head
    assert "content-length" not in head.lower()
    assert "transfer-encoding" not in head.lower()
    names = [line.partition(":")[0].lower() for line in head.split("\r\n")[1:]]
    for name in ("connection", "upgrade", "sec-websocket-accept"):
        assert names.count(name) == 1


# Refusals


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Sec-WebSocket-Version": "8"}, b"Sec-WebSocket-Version is not 13"),
        ({"Sec-WebSocket-Version": None}, b"Sec-WebSocket-Version is missing"),
        ({"Sec-WebSocket-Key": None}, b"Sec-WebSocket-Key is missing"),
        ({"Sec-WebSocket-Key": "short"}, b"Sec-WebSocket-Key is not 16 bytes"),
        ({"Upgrade": "h2c"}, b"Upgrade header does not name websocket"),
        ({"Connection": "keep-alive"}, b"Connection header does not name Upgrade"),
        ({"Sec-WebSocket-Protocol": "chat, chat"}, b"twice"),
        ({"Sec-WebSocket-Extensions": ";;"}, b"malformed"),
        ({"Content-Length": "3"}, b"must have no body"),
    ],
)
@pytest.mark.parametrize("fixture", ["local_site", "local_middleware_site"])
def test_a_malformed_handshake_is_answered_with_400(
    request: pytest.FixtureRequest, fixture: str, headers: dict[str, str | None], reason: bytes
) -> None:
    site: LocalSite = request.getfixturevalue(fixture)
    answer = site.shake_hands("/common/echo/", headers)
    assert answer.status_code == 400
    assert reason in answer.content
    assert answer.headers.get("Sec-WebSocket-Version") == ("13" if "Sec-WebSocket-Version" in headers else None)
    [warning] = site.take_log("WARNING")
    assert warning["logger"] == "django.request"
    assert reason.decode() in warning["message"]


def test_a_handshake_is_a_get(site: Site) -> None:
    answer = site.shake_hands("/common/echo/", method="HEAD")
    assert (answer.status, answer.headers["Allow"]) == (400, "GET")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
@pytest.mark.parametrize("fixture", ["local_site", "local_middleware_site", "local_atomic_site"])
def test_a_foreign_origin_is_answered_with_403_before_the_view_runs(
    request: pytest.FixtureRequest, fixture: str, origin: str
) -> None:
    site: LocalSite = request.getfixturevalue(fixture)
    assert site.shake_hands("/opening/order/", {"Origin": origin}).status_code == 403
    assert "view" not in site.journal()
    [warning] = site.take_log("WARNING")
    assert origin in warning["message"]


def test_the_own_origin_is_let_in(local_site: LocalSite) -> None:
    with local_site.connect("/opening/order/", origin="http://testserver") as client:
        assert client.receive() == "done"


@pytest.mark.parametrize("fixture", ["local_site", "local_middleware_site"])
def test_a_wrong_host_is_answered_with_400_before_the_view_runs(request: pytest.FixtureRequest, fixture: str) -> None:
    site: LocalSite = request.getfixturevalue(fixture)
    # CommonMiddleware would refuse it too, but the project need not have that.
    assert site.shake_hands("/opening/order/", {"Host": "evil.example"}).status_code == 400
    assert "view" not in site.journal()
    assert [error["logger"] for error in site.take_log()] == ["django.security.DisallowedHost"]


def test_a_url_that_is_not_there(local_site: LocalSite) -> None:
    assert local_site.shake_hands("/nowhere/").status_code == 404


# Servers that can't upgrade


@pytest.mark.parametrize("middleware", [False, True])
def test_another_server_answers_501_and_the_log_says_what_to_use(
    settings: Any, caplog: pytest.LogCaptureFixture, middleware: bool
) -> None:
    settings.ROOT_URLCONF = "tests.site.unserved_urls"
    settings.MIDDLEWARE = ["django_websocket.middleware.WebSocketMiddleware"] if middleware else []
    response = Client().get("/socket/", headers=HANDSHAKE, SERVER_PROTOCOL="HTTP/1.1")
    assert response.status_code == 501
    [record] = [record for record in caplog.records if record.name == "django.request"]
    assert "runwsserver" in record.getMessage()
    assert record.levelname == "ERROR"


def test_plain_requests_are_served_after_all_that(serve: Serve) -> None:
    with serve() as site:
        assert site.ask("/common/plain/").body == b"plain"
        assert site.stats()["websockets"] == 0
