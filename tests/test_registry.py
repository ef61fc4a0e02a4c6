"""The registry: who is told what, and in which order; and a recorder that knows of nothing but it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from django_websocket.registry import Registry, SocketObserver
from django_websocket.websocket import WebSocket
from tests.deadlines import wait_until
from tests.protocol.client import text
from tests.site.fixtures import Serve
from tests.site.running import Site


def websocket(name: str = "") -> WebSocket:
    """To a registry, a websocket is a key."""

    class Socket:
        def __repr__(self) -> str:
            return name

    return cast(WebSocket, Socket())


class Recorder(SocketObserver):
    def __init__(self, log: list[tuple[str, WebSocket]], mark: str = "") -> None:
        self._log = log
        self._mark = mark

    def socket_opened(self, websocket: WebSocket) -> None:
        self._log.append((f"{self._mark}opened", websocket))

    def socket_closed(self, websocket: WebSocket) -> None:
        self._log.append((f"{self._mark}closed", websocket))

    def view_ended(self, websocket: WebSocket) -> None:
        self._log.append((f"{self._mark}ended", websocket))


class Failing(SocketObserver):
    def socket_opened(self, websocket: WebSocket) -> None:
        raise ZeroDivisionError("on opened")

    def socket_closed(self, websocket: WebSocket) -> None:
        raise ZeroDivisionError("on closed")

    def view_ended(self, websocket: WebSocket) -> None:
        raise ZeroDivisionError("on ended")


def test_each_event_is_told_once_and_in_order_of_subscription() -> None:
    registry = Registry()
    log: list[tuple[str, WebSocket]] = []
    first, second = Recorder(log, "first: "), Recorder(log, "second: ")
    registry.subscribe(first)
    registry.subscribe(second)
    registry.subscribe(first)
    one = websocket()
    registry.opened(one)
    registry.closed(one)
    registry.view_ended(one)
    assert log == [(f"{who}: {event}", one) for event in ("opened", "closed", "ended") for who in ("first", "second")]


@pytest.mark.parametrize("order", [("closed", "view_ended"), ("view_ended", "closed")], ids=" before ".join)
def test_a_websocket_is_in_until_both_its_socket_and_its_view_have_ended(order: tuple[str, str]) -> None:
    """Listeners see it still there at the first, and no longer at the second."""
    registry = Registry()
    seen: list[bool] = []

    class Looking(SocketObserver):
        def socket_opened(self, websocket: WebSocket) -> None:
            seen.append(websocket in registry)

        socket_closed = view_ended = socket_opened

    registry.subscribe(Looking())
    one, other = websocket(), websocket()
    assert one not in registry
    registry.opened(one)
    registry.opened(other)
    assert list(registry) == [one, other]
    first, second = order
    getattr(registry, first)(one)
    assert one in registry
    assert len(registry) == 2
    getattr(registry, second)(one)
    assert one not in registry
    assert list(registry) == [other]
    assert seen == [True, True, True, False]


def test_the_end_of_a_websocket_that_was_never_opened_adds_nothing() -> None:
    registry = Registry()
    one = websocket()
    registry.closed(one)
    registry.view_ended(one)
    assert len(registry) == 0


def test_a_websocket_may_end_while_they_are_gone_through() -> None:
    registry = Registry()
    sockets = [websocket() for _ in range(3)]
    for one in sockets:
        registry.opened(one)
    for one in registry:
        registry.closed(one)
        registry.view_ended(one)
    assert len(registry) == 0


def test_a_listener_that_fails_hurts_neither_the_others_nor_the_socket(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()
    log: list[tuple[str, WebSocket]] = []
    registry.subscribe(Failing())
    registry.subscribe(Recorder(log))
    one = websocket()
    registry.opened(one)
    registry.closed(one)
    registry.view_ended(one)
    assert [event for event, _ in log] == ["opened", "closed", "ended"]
    assert one not in registry
    errors = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert errors == ["on opened", "on closed", "on ended"]
    assert all("Failing" in record.getMessage() for record in caplog.records)


def test_who_unsubscribes_is_told_no_more_and_others_are() -> None:
    registry = Registry()
    log: list[tuple[str, WebSocket]] = []
    first, second = Recorder(log, "first: "), Recorder(log, "second: ")
    registry.subscribe(first)
    registry.subscribe(second)
    one = websocket()
    registry.opened(one)
    registry.unsubscribe(first)
    registry.unsubscribe(first)
    registry.closed(one)
    assert [event for event, _ in log] == ["first: opened", "second: opened", "second: closed"]


def test_who_unsubscribes_in_an_event_takes_it_from_nobody() -> None:
    registry = Registry()
    log: list[tuple[str, WebSocket]] = []

    class Leaving(SocketObserver):
        def socket_opened(self, websocket: WebSocket) -> None:
            registry.unsubscribe(self)
            registry.subscribe(late)

    late = Recorder(log, "late: ")
    registry.subscribe(Leaving())
    registry.subscribe(Recorder(log))
    one = websocket()
    registry.opened(one)
    registry.closed(one)
    assert [event for event, _ in log] == ["opened", "closed", "late: closed"]


# A observer of a project's own, in a real server (tests.site.views.registry)


@pytest.fixture
def counts(site: Site) -> Any:
    """What the recorder has counted since the test began."""
    before = site.get_json("/registry/counts/")

    def counts() -> dict[str, int]:
        now: dict[str, int] = site.get_json("/registry/counts/")
        return {name: now[name] - before[name] for name in now}

    return counts


def test_a_toy_recorder_counts_sockets(site: Site, counts: Any) -> None:
    with site.raw("/common/echo/").opened() as one, site.raw("/common/echo/").opened() as other:
        for client in (one, other):
            client.send(text("there"))
            client.frame()
        assert counts() == {"opened": 2, "closed": 0, "ended": 0, "open": 2}
        one.close()
        wait_until(
            lambda: counts() == {"opened": 2, "closed": 1, "ended": 1, "open": 1}, what="one is counted as closed"
        )
        other.reset()
        wait_until(lambda: counts() == {"opened": 2, "closed": 2, "ended": 2, "open": 0}, what="both are")


def test_a_plain_request_and_a_refused_handshake_are_no_sockets(site: Site, counts: Any) -> None:
    assert site.ask("/common/plain/").status == 200
    assert site.shake_hands("/common/echo/", {"Sec-WebSocket-Version": "8"}).status == 400
    assert site.shake_hands("/common/echo/?replace").status == 418
    site.take_log("WARNING")
    assert counts() == {"opened": 0, "closed": 0, "ended": 0, "open": 0}


def test_a_listener_that_fails_spoils_no_socket_of_a_server(serve: Serve) -> None:
    with serve(settings={"FAIL_ON_SOCKETS": True}) as site:
        before = site.stats()
        with site.raw("/common/echo/").opened() as client:
            client.send(text("unharmed"))
            assert client.frame() == (0x81, b"unharmed")
            client.close()
        site.wait_until_back_at(before)
        assert [error["error"] for error in site.take_log()] == ["ZeroDivisionError"] * 3
