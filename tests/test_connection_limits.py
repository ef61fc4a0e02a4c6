"""How many websockets an address and a user may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import RequestFactory
from greenlet import GreenletExit

from django_websocket.connection_limits import connection_limits
from django_websocket.exceptions import HandshakeError, RefusalReason
from django_websocket.groups.receivers import receivers
from django_websocket.options import resolve_options
from django_websocket.protocol.handshake import Handshake
from django_websocket.quiet_log import quiet_log
from django_websocket.testing import WebSocketClient, WebSocketRejected
from django_websocket.websocket import WebSocket
from tests.deadlines import wait_until
from tests.site.fixtures import Serve
from tests.site.local import LocalSite

ECHO = "/common/echo/"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    quiet_log.flush(final=True)
    yield
    assert connection_limits.counts == {}
    assert connection_limits._keys == {}


@pytest.fixture
def limited(local_site: LocalSite, settings: Any) -> LocalSite:
    settings.WEBSOCKET_MAX_CONNECTIONS_PER_IP = 2
    return local_site


def test_without_limits_nothing_is_counted(local_site: LocalSite) -> None:
    with local_site.connect(ECHO):
        assert connection_limits.counts == {}


def test_an_address_has_so_many_and_gets_another_when_one_is_closed(limited: LocalSite) -> None:
    with limited.connect(ECHO) as first, limited.connect(ECHO):
        assert connection_limits.counts == {"ip:127.0.0.1": 2}
        refused = limited.shake_hands(ECHO)
        assert (refused.status_code, refused.content) == (429, b"too many websockets of one address\n")
        first.close()
        with limited.connect(ECHO) as third:
            third.send("let in")
            assert third.receive() == "let in"


def test_pages_are_not_counted(limited: LocalSite) -> None:
    with limited.connect(ECHO), limited.connect(ECHO):
        assert limited.ask("/common/plain/").status_code == 200


def test_other_addresses_are_not_concerned(limited: LocalSite) -> None:
    with ExitStack() as stack:
        for address in ("203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8:0:1::1"):
            client = WebSocketClient(REMOTE_ADDR=address)
            for _ in range(2):
                stack.enter_context(client.websocket(ECHO))
        with (
            pytest.raises(WebSocketRejected) as refused,
            WebSocketClient(REMOTE_ADDR="2001:db8::ffff:2").websocket(ECHO),
        ):
            raise AssertionError("it is in the same /64")
        assert refused.value.response.status_code == 429


def test_what_a_client_says_of_itself_counts_only_behind_a_proxy(limited: LocalSite, settings: Any) -> None:
    with limited.connect(ECHO, headers={"X-Forwarded-For": "203.0.113.7"}), limited.connect(ECHO):
        assert limited.shake_hands(ECHO, {"X-Forwarded-For": "203.0.113.8"}).status_code == 429
    settings.WEBSOCKET_TRUSTED_PROXIES = ["127.0.0.1"]
    with (
        limited.connect(ECHO, headers={"X-Forwarded-For": "1.1.1.1, 203.0.113.7"}),
        limited.connect(ECHO, headers={"X-Forwarded-For": "2.2.2.2, 203.0.113.7"}),
        limited.connect(ECHO, headers={"X-Forwarded-For": "203.0.113.8"}),
    ):
        assert limited.shake_hands(ECHO, {"X-Forwarded-For": "3.3.3.3, 203.0.113.7"}).status_code == 429


@pytest.mark.parametrize(
    "path",
    [
        "/opening/returns_response/",
        "/opening/raises_before/",
        "/opening/login_inside/",
        f"{ECHO}?replace",
        f"{ECHO}?fail",
    ],
)
def test_a_handshake_that_ends_without_a_websocket_does_not_count(limited: LocalSite, path: str) -> None:
    for _ in range(5):
        assert limited.shake_hands(path).status_code not in (101, 429)
    limited.take_log()


def test_a_user_has_so_many_from_wherever_they_come(local_site: LocalSite, settings: Any) -> None:
    settings.WEBSOCKET_MAX_CONNECTIONS_PER_USER = 2
    users = [get_user_model().objects.create_user(name) for name in ("ann", "ben")]
    ann, ben = users
    places = [WebSocketClient(REMOTE_ADDR=f"203.0.113.{number}") for number in range(3)]
    for place in places:
        place.force_login(ann)
    local_site.client.force_login(ann)
    with places[0].websocket(ECHO), places[1].websocket(ECHO):
        assert connection_limits.counts == {f"user:{ann.pk}": 2}
        refused = local_site.shake_hands(ECHO)
        assert (refused.status_code, refused.content) == (429, b"too many websockets of one user\n")
        local_site.client.force_login(ben)
        assert local_site.shake_hands(ECHO).status_code == 101
        local_site.client.logout()
        assert local_site.shake_hands(ECHO).status_code == 101, "who is not logged in is nobody"


def test_refusals_are_logged_once(limited: LocalSite) -> None:
    with limited.connect(ECHO), limited.connect(ECHO):
        limited.take_log("WARNING")
        for _ in range(10):
            assert limited.shake_hands(ECHO).status_code == 429
        [record] = limited.take_log("WARNING")
        assert record["logger"] == "django_websocket.limits"
        assert record["message"] == "Refused a websocket of address 127.0.0.1, which has 2 (429)"


def test_a_user_is_no_line_of_its_own(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.WEBSOCKET_MAX_CONNECTIONS_PER_USER = 1
    request = RequestFactory().get("/")
    request.user = SimpleNamespace(pk="ann\nroot", is_authenticated=True)  # type: ignore[assignment]  # of any model
    first, second = (WebSocket(Handshake("", (), ()), resolve_options({})) for _ in range(2))
    connection_limits.take(first, request)
    with pytest.raises(HandshakeError, match="one user"):
        connection_limits.take(second, request)
    connection_limits.give_back(first)
    assert caplog.messages == [r"Refused a websocket of user ann\nroot, which has 1 (429)"]


def test_a_unix_socket_without_an_address_is_not_limited_but_noted(limited: LocalSite) -> None:
    client = WebSocketClient(REMOTE_ADDR="")
    with client.websocket(ECHO), client.websocket(ECHO), client.websocket(ECHO):
        [record] = limited.take_log("WARNING")
        assert "X-Forwarded-For" in record["message"]


# Several processes


class Others:
    """Other processes, as a backend of groups knows them."""

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.recorded: list[Sequence[str]] = []

    def count(self, keys: Sequence[str]) -> list[int] | None:
        return None if self.number is None else [self.number for _ in keys]

    def record(self, keys: Sequence[str]) -> None:
        self.recorded.append(list(keys))


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    others = Others(0)
    receivers.close_backend()
    monkeypatch.setattr(type(receivers.backend), "share_counts", lambda *_: others)
    yield others
    receivers.close_backend()


def test_those_of_other_processes_count(limited: LocalSite, others: Others) -> None:
    others.number = 1
    with limited.connect(ECHO):
        assert limited.shake_hands(ECHO).status_code == 429
        assert connection_limits.counts == {"ip:127.0.0.1": 1}
        assert others.recorded == [["ip:127.0.0.1"]], "the one that was refused counts no more"


def test_who_is_killed_while_others_are_asked_counts_no_more(limited: LocalSite, others: Others) -> None:
    def die(keys: Sequence[str]) -> None:
        raise GreenletExit

    others.count = die  # type: ignore[method-assign]  # once
    with pytest.raises(GreenletExit):
        connection_limits.take(WebSocket(Handshake("", (), ()), resolve_options({})), RequestFactory().get("/"))
    assert connection_limits.counts == {}


def test_what_is_not_known_refuses_nobody(limited: LocalSite, others: Others) -> None:
    others.number = None
    with limited.connect(ECHO), limited.connect(ECHO):
        assert limited.shake_hands(ECHO).status_code == 429, "those of this process count always"


def test_nor_does_a_backend_that_can_not_be_made(limited: LocalSite, settings: Any) -> None:
    settings.WEBSOCKET_GROUPS = {"BACKEND": "nowhere.Backend"}
    with limited.connect(ECHO) as client:
        client.send("let in")
        assert client.receive() == "let in"
    [record] = limited.take_log("WARNING")
    assert "nowhere" in record["message"]


# Served


def test_a_server_counts_until_the_socket_is_closed(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_MAX_CONNECTIONS_PER_IP": 2}) as site:
        site.ask("/common/plain/")
        with site.raw(ECHO).opened() as first, site.raw(ECHO).opened():
            site.take_log("INFO")
            for _ in range(5):
                assert site.shake_hands(ECHO).status == 429
            told: list[str] = []

            def are_told() -> bool:
                told.extend(entry["message"] for entry in site.take_log("INFO") if entry["logger"] == "tests.refusals")
                return len(told) >= 5

            wait_until(are_told, 5)
            assert told == [f"{RefusalReason.IP_LIMIT} 429 {ECHO}"] * 5
            first.reset()
            wait_until(lambda: site.shake_hands(ECHO).status == 101, 10, "room for another")
            # The client of that one has left at once, and makes room for the next.
            wait_until(lambda: site.shake_hands(ECHO).status == 101, 10, "room for another")
