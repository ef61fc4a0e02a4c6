"""Event loops among green threads, in a served project and with many at once."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import deadline
from tests.site.fixtures import Serve
from tests.site.running import Site, serve_site


@pytest.fixture
def async_site(serve: Serve) -> Iterator[Site]:
    """With an asynchronous middleware around everything."""
    with serve(async_middleware=True) as site:
        yield site


@pytest.fixture(params=["plain middleware", "asynchronous middleware"])
def either(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    with serve(async_middleware=request.param == "asynchronous middleware") as site:
        yield site


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each of ``calls`` returned, all of them under way at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(deadline(30)) for future in [pool.submit(call) for call in calls]]


def bodies(site: Site, path: str, times: int) -> list[tuple[int, bytes]]:
    answers = at_once(*[lambda: site.ask(path)] * times)
    return [(answer.status, answer.body) for answer in answers]


def echoes(site: Site, path: str) -> str | bytes:
    """The third answer that a websocket gives."""
    with site.connect(path) as client:
        for message in ("one", "two", "three"):
            client.send(message)
            answer = client.recv(deadline(10))
    return answer


def test_asynchronous_views_run_at_once(either: Site) -> None:
    """A second each, five of them: one after the other would take five."""
    assert bodies(either, "/async_code/sleeps/?seconds=1", 5) == [(200, b"slept")] * 5


def test_asynchronous_streams_run_at_once(either: Site) -> None:
    expected = (200, b"0 of 0\n1 of 0\n2 of 0\n")
    assert bodies(either, "/async_code/streams/", 5) == [expected] * 5


def test_asynchronous_queries(either: Site) -> None:
    assert bodies(either, "/async_code/counts/", 20) == [(200, b"0")] * 20


@pytest.mark.parametrize("how", ["sensitive", "free"])
def test_others_while_a_view_awaits_sync_code(either: Site, how: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(either.ask, f"/async_code/waits_in_sync_code/?name={how}&{how}")
        try:
            for _ in range(3):
                seen = either.get_json("/async_code/sees_no_loop/")
                assert seen == {"loop": False, "hooks": False, "origins": 0, "groups": 0}
                assert echoes(either, "/async_code/by_async_to_sync/") == "three 0"
            assert not waiting.done()
        finally:
            either.release(how)
        assert waiting.result(deadline(10)).status == 200


@pytest.mark.parametrize("view", ["by_async_to_sync", "by_asyncio_run", "waits_in_a_coroutine"])
def test_loops_in_websocket_views(either: Site, view: str) -> None:
    expected = "three" if view == "waits_in_a_coroutine" else "three 0"
    assert at_once(*[lambda: echoes(either, f"/async_code/{view}/")] * 8) == [expected] * 8


def test_loops_before_the_accept(either: Site) -> None:
    def first() -> str | bytes:
        with either.connect("/async_code/runs_before_the_accept/") as client:
            return client.recv(deadline(10))

    assert at_once(*[first] * 8) == ["0"] * 8


def test_asynchronous_middleware_sees_the_handshake(async_site: Site) -> None:
    answer = async_site.shake_hands("/common/echo/")
    assert (answer.status, answer.headers["X-Asynchronous"]) == (101, "yes")


def test_what_survives_the_trip(either: Site) -> None:
    expected = {
        "async variable": "set",
        "async local": "set",
        "async language": "fr",
        "async loop": True,
        "variable": "set",
        "local": "set",
        "language": "fr",
        "connection": True,
        "atomic": True,
        "greenlet": True,
        "loop": False,
        "created": True,
        "rolled back": True,
        "variable after": "changed",
        "local after": "changed",
        "loop after": None,
    }
    for _ in range(2):
        assert either.get_json("/async_code/survives/") == expected


def test_nested_calls(either: Site) -> None:
    assert bodies(either, "/async_code/nests/", 8) == [(200, b"[4, 3, 2, 1, 0]")] * 8


@pytest.mark.parametrize("debug", ["", "?debug"])
def test_a_loop_of_ones_own(site: Site, debug: str) -> None:
    expected = {
        "process": ["42", 0],
        "thread": 0,
        "executor": None,
        "address": ["127.0.0.1", 80],
        "sensitive": 0,
        "network": "HELLO",
        "signal": "set_wakeup_fd only works in main thread of the main interpreter",
    }
    answers = at_once(*[lambda: site.get_json(f"/async_code/in_its_own_loop/{debug}")] * 4)
    assert answers == [expected] * 4
    assert site.get_json("/async_code/sees_no_loop/")["origins"] == 0
    site.take_log("WARNING")  # of slow callbacks


def test_a_coroutine_that_blocks(site: Site) -> None:
    """Its loop goes on where it was, and nobody else sees it."""
    with ThreadPoolExecutor(2) as pool:
        names = ["first", "second"]
        blocked = [pool.submit(site.get_json, f"/async_code/blocks_in_a_coroutine/?name={name}") for name in names]
        try:
            found = site.wait_for_journal("blocks")
            if found.count("blocks") == 1:
                site.wait_for_journal("blocks")
            seen = site.get_json("/async_code/sees_no_loop/")
            assert seen == {"loop": False, "hooks": False, "origins": 0, "groups": 0}
            assert bodies(site, "/async_code/counts/", 3) == [(200, b"0")] * 3
        finally:
            for name in names:
                site.release(name)
        expected = {"loop": True, "task": True, "hooks": True, "finalized": [True], "after": True}
        assert [one.result(deadline(10)) for one in blocked] == [expected] * 2


def test_killing_from_a_coroutine(site: Site) -> None:
    assert site.get_json("/async_code/kills_in_a_coroutine/") == {"loop": True, "others": [None, None]}


def test_a_caller_that_runs_out_of_time(site: Site) -> None:
    assert site.get_json("/async_code/runs_out_of_time/") == [True, "timed out", "timed out"]


def test_one_descriptor_for_several_loops(site: Site) -> None:
    assert site.get_json("/async_code/waits_for_the_same/") == ["ready"] * 3


def test_current_loops_of_green_threads(site: Site) -> None:
    assert site.get_json("/async_code/has_current_loops/") == [True] * 3


def test_a_loop_without_a_pause(site: Site) -> None:
    with ThreadPoolExecutor(1) as pool:
        spinning = pool.submit(site.ask, "/async_code/spins/?name=spinning")
        try:
            site.wait_for_journal("spins")
            assert echoes(site, "/common/echo/") == "three"
        finally:
            site.release("spinning")
        assert spinning.result(deadline(10)).body == b"over"


def test_asynchronous_receivers(either: Site) -> None:
    assert either.get_json("/async_code/sends_signals/") == [2, 2]


def test_a_coroutine_feeds_a_client_that_leaves(site: Site) -> None:
    with site.connect("/async_code/sends_from_a_coroutine/") as client:
        for _ in range(3):
            assert client.recv(deadline(10)) == "news"
    site.wait_for_journal("feed ended")


def test_a_websocket_view_that_is_called_from_a_loop(site: Site) -> None:
    """Its greenlet is another, in which no loop runs."""
    assert echoes(site, "/async_code/calls_a_websocket_view/") == "three 0"


def test_nothing_is_left(serve: Serve) -> None:
    with serve(async_middleware=True, settings={"ALLOWED_HOSTS": ["*"]}) as site:

        def everything() -> None:
            assert site.ask("/async_code/counts/").body == b"0"
            assert site.ask("/async_code/streams/").status == 200
            assert site.get_json("/async_code/nests/") == [4, 3, 2, 1, 0]
            assert echoes(site, "/async_code/by_async_to_sync/") == "three 0"
            assert echoes(site, "/async_code/by_asyncio_run/") == "three 0"

        at_once(*[everything] * 2)  # what is made once
        before = site.stats()
        at_once(*[everything] * 6)
        site.wait_until_back_at(before)


def test_stopping_while_coroutines_wait(tmp_path: Path) -> None:
    """What is left at the end of the drain time is killed, and with it what it waits for."""
    with serve_site(tmp_path) as site, site.connect("/async_code/awaits_for_ever/") as client:
        assert client.recv(deadline(10)) == "waits"
        with socket.create_connection(("127.0.0.1", site.port), timeout=deadline(10)) as stream:
            stream.sendall(b"GET /async_code/streams_for_ever/?size=0&seconds=3600 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while b"first" not in received:
                received += stream.recv(65536)
            site.process.send_signal(signal.SIGTERM)
            assert site.process.wait(deadline(10)) == 0
