"""Sockets end with the session that opened them, within five seconds and not before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import deadline, wait_until

from .peer import CLOSE, Peer
from .postgres import postgres
from .served import Served, serve

Serving = Callable[..., AbstractContextManager[Served]]

pytestmark = pytest.mark.heavy

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]

#: Of a session in a cookie the server keeps no record that could end, or be told of a new age.
IN_STORE = pytest.mark.parametrize("site", ["db", "cached_db", "cache", "file"], indirect=True)

#: With this check interval, what must end does within less than this.
INTERVAL, WITHIN = 1.0, 5.0

#: Seconds that a short session lasts.
AGE = int(deadline(4))


def settings(engine: str, directory: Path) -> dict[str, Any]:
    return {
        "DATABASES": {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(directory / "db.sqlite3"),
                "OPTIONS": {"timeout": 20},
            }
        },
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(directory)}
        },
        "SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}",
        "SESSION_FILE_PATH": str(directory),
        "WEBSOCKET_SESSION_CHECK_INTERVAL": INTERVAL,
    }


@pytest.fixture(scope="module", params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A server for each engine, and the engine's name."""
    directory = tmp_path_factory.mktemp("sessions")
    with serve(directory / "log", settings=settings(request.param, directory), migrate=True) as served:
        yield served, request.param


class Browser:
    """A session's cookie."""

    def __init__(self, served: Served, name: str, **query: object) -> None:
        self._served = served
        self._cookie = ""
        self.get("/log_in/", name=name, **query)

    def get(self, path: str, **query: object) -> None:
        arguments = "&".join(f"{key}={value}" for key, value in query.items())
        headers = [f"Cookie: {self._cookie}"] if self._cookie else []
        status, answer, body = self._served.get(f"{path}?{arguments}", *headers)
        assert status == 200, body
        if "set-cookie" in answer:
            self._cookie = answer["set-cookie"].partition(";")[0]

    def open(self, path: str = "/member/") -> Peer:
        return self._served.open(path, f"Cookie: {self._cookie}")


def ends(peer: Peer, since: float) -> float:
    """Seconds until ``peer`` is closed with 4401."""
    received = peer.message()
    assert received.opcode == CLOSE, received
    assert received.code == 4401
    took = time.monotonic() - since
    print(f"closed after {took:.2f} s")
    assert took < deadline(WITHIN)
    return took


def lives(peer: Peer) -> None:
    peer.send_text("still there?")
    assert peer.text() == "still there?"


@IN_STORE
@pytest.mark.parametrize("how", ["log_out", "flush"])
def test_the_end_of_its_session_ends_a_socket(site: tuple[Served, str], how: str) -> None:
    served, _ = site
    browser, other = Browser(served, "ann"), Browser(served, "ann")
    with browser.open() as first, browser.open() as second, other.open() as unrelated:
        for peer in (first, second, unrelated):
            assert peer.text() == "ann"
        served.wait_checked()
        lives(first)
        start = time.monotonic()
        browser.get(f"/{how}/")
        ends(first, start)
        ends(second, start)
        lives(unrelated)


@pytest.mark.parametrize("how", ["deactivate", "password", "delete"])
def test_the_end_of_its_user_ends_a_socket(site: tuple[Served, str], how: str) -> None:
    served, _ = site
    with Browser(served, f"bob-{how}").open() as peer, Browser(served, "eve").open() as unrelated:
        assert peer.text() == f"bob-{how}"
        unrelated.text()
        served.get(f"/change_user/?name=bob-{how}&how=touch")
        served.wait_checked()
        lives(peer)
        start = time.monotonic()
        served.get(f"/change_user/?name=bob-{how}&how={how}")
        ends(peer, start)
        lives(unrelated)


def test_expiry_ends_a_socket_and_not_before(site: tuple[Served, str]) -> None:
    served, _ = site
    start = time.monotonic()
    browser = Browser(served, "tim", age=AGE)
    with browser.open() as peer:
        peer.text()
        assert ends(peer, start + AGE) > -1.5, "a session's age is in whole seconds for some engines"


@IN_STORE
def test_a_session_that_is_saved_again_lives_on(site: tuple[Served, str]) -> None:
    served, _ = site
    browser = Browser(served, "kim", age=AGE)
    start = time.monotonic()
    with browser.open() as peer:
        peer.text()
        browser.get("/extend/", age=600)
        wait_until(lambda: time.monotonic() > start + AGE, what="the first age is over")
        served.wait_checked()
        lives(peer)
        start = time.monotonic()
        browser.get("/log_out/")
        ends(peer, start)


def test_a_socket_whose_view_looks_at_its_user_late_ends_too(site: tuple[Served, str]) -> None:
    served, _ = site
    browser = Browser(served, "liz")
    with browser.open("/late_member/") as peer, browser.open("/stranger/") as stranger:
        assert peer.text() == "liz"
        stranger.text()
        start = time.monotonic()
        served.get("/change_user/?name=liz&how=deactivate")
        ends(peer, start)
        # Its session has given it nothing that could end.
        lives(stranger)


def test_nothing_is_left_behind(site: tuple[Served, str]) -> None:
    served, _ = site
    served.wait_state(websockets=0, watched=0)
    assert served.tracebacks() == 0


def test_it_can_be_turned_off(serving: Serving, tmp_path: Path) -> None:
    changed = {**settings("db", tmp_path), "WEBSOCKET_SESSION_CHECK_INTERVAL": None}
    with serving(settings=changed, migrate=True) as served:
        browser = Browser(served, "ann")
        with browser.open() as peer:
            peer.text()
            browser.get("/log_out/")
            time.sleep(2 * INTERVAL)  # for nothing to happen
            assert served.state()["checks"] == 0
            lives(peer)


def test_a_database_that_is_away_ends_nothing(serving: Serving) -> None:
    pytest.importorskip("psycopg")
    with postgres() as database:
        changed = {**database.settings(), "WEBSOCKET_SESSION_CHECK_INTERVAL": 0.5}
        with serving(settings=changed, migrate=True) as served:
            browser = Browser(served, "ann")
            with browser.open() as peer:
                assert peer.text() == "ann"
                served.wait_checked()
                database.stop()
                served.wait_checked(3, word="checks")
                lives(peer)
                assert served.log().count("Session check failed") == 1, "once, not each time"
                database.start()
                served.wait_checked()
                lives(peer)
                start = time.monotonic()
                browser.get("/log_out/")
                ends(peer, start)
