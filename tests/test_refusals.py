"""Each handshake that got no websocket is told, once, with its reason."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import deadline, wait_until
from tests.site.fixtures import Serve
from tests.site.running import Site, serve_site

NO_HANDSHAKE: dict[str, str | None] = {"Upgrade": None, "Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None}


@pytest.fixture
def site(site: Site) -> Site:
    site.ask("/common/plain/")  # loads the URLs, and with them the receiver
    refused(site)
    return site


def refused(site: Site) -> list[str]:
    """What was told since the last time."""
    return [entry["message"] for entry in site.take_log("INFO") if entry["logger"] == "tests.refusals"]


@pytest.mark.parametrize(
    ("path", "headers", "told"),
    [
        ("/common/echo/", {"Sec-WebSocket-Version": "8"}, "malformed 400"),
        ("/common/echo/", {"Upgrade": None, "Connection": None}, "malformed 400"),  # by a proxy
        ("/common/echo/", {"Origin": "https://evil.example"}, "origin 403"),
        ("/opening/login_inside/", {}, "login 403"),
        ("/opening/returns_response/", {}, "response 403"),
        ("/opening/raises_before/", {}, "response 500"),
        ("/common/plain/", {}, "response 200"),
        ("/nowhere/", {}, "response 404"),
        ("/common/echo/", {"Host": "evil.example"}, "response 400"),
    ],
)
def test_a_handshake_that_is_refused(site: Site, path: str, headers: dict[str, str | None], told: str) -> None:
    assert site.shake_hands(path, headers).status == int(told[-3:])
    wait_until(lambda: refused(site) == [f"{told} {path}"], 5)  # what is logged as an error came before


def test_a_view_that_takes_no_websockets(serve: Serve) -> None:
    with serve(websocket_middleware=True) as site:
        site.ask("/common/plain/")
        refused(site)
        assert site.shake_hands("/common/plain/").status == 400
        wait_until(lambda: refused(site) == ["not_accepted 400 /common/plain/"], 5)


def test_pages_and_websockets_are_not_told(site: Site) -> None:
    assert site.ask("/nowhere/").status == 404
    assert site.shake_hands("/common/plain/", NO_HANDSHAKE).status == 200
    assert site.ask("/common/echo/", {"Upgrade": "h2c"}).status == 400
    with site.connect("/common/echo/"):
        pass
    assert site.shake_hands("/nowhere/").status == 404
    wait_until(lambda: refused(site) == ["response 404 /nowhere/"], 5)


def test_a_request_that_is_none(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), deadline(10)) as client:
        client.sendall(b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 505 ")
    wait_until(lambda: refused(site) == ["bad_request 505 None"], 5)


def test_a_client_that_left(site: Site) -> None:
    client = site.raw("/opening/late/?until=gone")
    site.wait_for_journal("waiting")
    refused(site)
    client.reset()
    site.release("gone")
    site.wait_for_journal("ended")
    wait_until(lambda: refused(site) == ["left 0 /opening/late/"], 5)


def test_a_receiver_that_fails_is_logged_and_harms_nobody(serve: Serve) -> None:
    with serve(settings={"FAIL_ON_REFUSALS": True}) as site:
        site.ask("/common/plain/")
        assert site.shake_hands("/nowhere/").status == 404
        assert site.wait_for_error()["error"] == "ZeroDivisionError"


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path, settings={"WEBSOCKET_MAX_CONNECTIONS": 2}) as site:
        yield site


def test_a_full_server_and_one_that_stops(own_site: Site) -> None:
    with (
        own_site.raw("/refusals/releases_at_end/?name=stop").opened(),
        own_site.raw("/opening/late/?until=stop") as late,
    ):
        refused(own_site)
        assert own_site.shake_hands("/common/echo/").status == 503
        wait_until(lambda: refused(own_site) == ["full 503 None"], 5)
        own_site.process.send_signal(signal.SIGTERM)
        assert late.head().startswith("HTTP/1.1 503 ")
        wait_until(lambda: refused(own_site) == ["stopping 503 /opening/late/"], 5)
