"""Websockets in native threads, served for real."""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection

from tests.deadlines import deadline
from tests.protocol.client import close
from tests.site.fixtures import Serve
from tests.site.running import Site, serve_site


def receive(client: ClientConnection) -> str | bytes:
    return client.recv(timeout=deadline(10))


def own_journal(site: Site, last: str) -> list[str]:
    return [entry for entry in site.wait_for_journal(last) if not entry.startswith(("request", "response"))]


def test_ten_threads_and_the_view_send(site: Site) -> None:
    """Everything arrives, what each has sent in its order."""
    numbers = defaultdict(list)
    with site.connect("/threads/sends_from_ten/?times=1000") as client:
        while (message := receive(client)) != "all sent":
            assert isinstance(message, str)
            thread, number = message.split()
            numbers[int(thread)].append(int(number))
    assert numbers == {thread: list(range(1000)) for thread in range(11)}


def test_threads_that_send_compressed(serve: Serve) -> None:
    """One compressor for all of them."""
    with (
        serve(settings={"WEBSOCKET_COMPRESSION": "context-takeover"}) as site,
        site.connect("/threads/sends_from_ten/?times=100", compression="deflate") as client,
    ):
        received = list(client)
    assert sorted(received[:-1]) == sorted(f"{thread} {number}" for thread in range(11) for number in range(100))
    assert received[-1] == "all sent"


@pytest.mark.parametrize("means", ["tpool", "to_thread", "green"])
def test_all_kinds_of_messages(site: Site, means: str) -> None:
    with site.connect(f"/threads/sends_by/?means={means}") as client:
        assert [receive(client) for _ in range(200)] == [str(number) for number in range(200)]
        assert [receive(client) for _ in range(2)] == [b"bytes", b"view"]
        assert json.loads(receive(client)) == {"in": "json"}
        assert receive(client) == "UnicodeEncodeError"
        assert receive(client) == "LookupError True"
        assert receive(client) == "done"
        client.send("bye")


def test_a_conversation(site: Site) -> None:
    with site.connect("/threads/receives_in_a_thread/") as client:
        assert receive(client) == "no message within 0.05 seconds"
        assert json.loads(receive(client)) == ["nothing", 0, False]
        for message in ('{"json": 1}', "read", "iterated", "once more"):
            client.send(message)
            assert receive(client) == message
    assert own_journal(site, "conversation ended True 1000") == [
        "1000 None 0 <WebSocket /threads/receives_in_a_thread/ closed>",
        "conversation ended True 1000",
    ]


def test_two_can_not_wait_at_once(site: Site) -> None:
    with site.connect("/threads/two_wait/") as client:
        assert receive(client) == "ConcurrencyError"
        client.send("for the view")
        assert receive(client) == "for the view"


def test_a_close_while_the_view_waits(site: Site) -> None:
    with site.raw("/threads/is_closed_by_a_thread/").opened() as client:
        first, payload = client.frame()
        assert (first, payload) == (0x88, b"\x0f\xa0enough")
        client.send(close(4000))
        assert client.rest() == b""
    assert own_journal(site, "None 4000 enough") == [
        "ValueError",
        "ValueError",
        "send 4000",
        "None 4000 enough",
    ]


def test_a_client_that_stops_reading(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_SEND_TIMEOUT": 0.5}) as site:
        before = site.stats()
        with site.raw("/threads/holds/", receive_buffer=4096).opened():
            site.wait_for_journal(f"{['ConnectionClosed, TimeoutError'] * 3} 0")
            site.wait_until_back_at(before)


def test_before_the_accept(site: Site) -> None:
    with site.connect("/threads/is_early/") as client:
        assert receive(client) == (
            "8 of 8, {\"a websocket must be accepted in its view's greenlet before other greenlets and threads can use "
            'it: call its accept() there first"}'
        )
        assert "already accepted" in str(receive(client))


def test_a_stop_while_threads_send(tmp_path: Path) -> None:
    with serve_site(tmp_path) as site:
        with site.connect("/threads/sends_until_the_end/") as client:
            for _ in range(100):
                assert receive(client) == "news"
            site.process.send_signal(signal.SIGTERM)
            assert set(client) == {"news"}
        assert client.close_code == 1001
        assert site.process.stdout is not None
        assert site.process.stdout.readline() == f"threads ended: {['ConnectionClosed'] * 4}\n"
        assert site.process.wait(deadline(10)) == 0


def test_a_stop_while_a_thread_waits(tmp_path: Path) -> None:
    with serve_site(tmp_path) as site, site.connect("/threads/waits_in_a_thread/") as client:
        assert receive(client) == "waits"
        site.process.send_signal(signal.SIGTERM)
        assert site.process.stdout is not None
        assert site.process.stdout.readline() == "waited: None\n"
        assert site.process.wait(deadline(10)) == 0


def test_a_client_that_vanishes_while_threads_send(site: Site) -> None:
    before = site.stats()
    client = site.raw("/threads/sends_from_ten/?times=1000000").opened()
    client.frame()
    client.reset()
    site.wait_until_back_at(before)
