"""Views that go wrong: one traceback in the log each, 1011 where due, and no other view disturbed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.deadlines import wait_until

from .peer import CLOSE, TEXT, Peer, close_frame, frame, handshake
from .served import Served

Serving = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def served(served: Served) -> Iterator[Served]:
    """A neighbour's view must not notice anything."""
    served.wait_state(websockets=0)
    served.forget()
    with served.open("/echo/") as neighbour:
        yield served
        neighbour.send_text("still here")
        assert neighbour.text() == "still here"


ENDS = ["SystemExit", "KeyboardInterrupt", "GreenletExit"]
"""What ends a process or a greenlet elsewhere; only the operator's signals end a server."""


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("raises_early/", "ValueError: on purpose"),
        *((f"ends_early/?kind={kind}", f"{kind}: on purpose") for kind in ENDS),
    ],
)
def test_an_exception_before_the_accept_is_a_500(served: Served, path: str, word: str) -> None:
    with served.peer() as peer:
        peer.send(handshake(f"/{path}"))
        status, _ = peer.head()
        assert status == 500
    assert served.tracebacks(word) == served.tracebacks() == 1
    served.wait_state(websockets=1)


def test_rubbish_before_the_accept_is_a_500(served: Served) -> None:
    with served.peer() as peer:
        peer.send(handshake("/rubbish_early/"))
        assert peer.head()[0] == 500
    assert served.tracebacks() == 1


@pytest.mark.parametrize(
    ("path", "word"),
    [("raises/", "ValueError: on purpose"), *((f"ends/?kind={kind}", f"{kind}: on purpose") for kind in ENDS[:2])],
)
def test_an_exception_after_the_accept_is_a_1011(served: Served, path: str, word: str) -> None:
    with served.open(f"/{path}") as peer:
        peer.send_text("go")
        assert peer.closing() == 1011
    assert served.tracebacks(word) == served.tracebacks() == 1
    assert served.log().count(f"Websocket view failed: /{path.partition('?')[0]}") == 1
    served.wait_state(websockets=1)


@pytest.mark.parametrize("kind", ENDS)
def test_a_page_that_tries_to_end_the_process_is_a_500(served: Served, kind: str) -> None:
    assert served.get(f"/ends_in_http/?kind={kind}")[0] == 500
    assert served.tracebacks(f"{kind}: on purpose") == served.tracebacks() == 1


@pytest.mark.parametrize("kind", ENDS)
def test_a_stream_that_tries_to_end_the_process_is_cut_off(served: Served, kind: str) -> None:
    with served.peer() as peer:
        peer.send(f"GET /ends_in_http/?kind={kind}&streamed=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        status, headers = peer.head()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert b"begun" in (rest := peer.rest())
        assert not rest.endswith(b"0\r\n\r\n")
    assert served.tracebacks(f"{kind}: on purpose") == served.tracebacks() == 1


@pytest.mark.parametrize("kind", ENDS[:2])
def test_a_greenlet_can_not_end_the_process(served: Served, kind: str) -> None:
    assert served.get(f"/ends_in_greenlet/?kind={kind}")[::2] == (200, b"alive")
    assert served.tracebacks(f"{kind}: on purpose") == served.tracebacks() == 3


@pytest.mark.parametrize("query", ["", "?response=1"])
def test_what_a_view_returns_after_the_accept_is_not_sent(served: Served, query: str) -> None:
    with served.open(f"/rubbish/{query}") as peer:
        peer.send_text("go")
        assert peer.closing() == 1000
    assert served.tracebacks() == 0


def test_the_first_close_counts(served: Served) -> None:
    with served.open("/closes_twice/") as peer:
        peer.send_text("go")
        assert peer.closing() == 4001
    assert served.wait_told("closes_twice") == ["closes_twice: 4001"]
    assert served.tracebacks() == 0


def test_sending_after_the_close_raises(served: Served) -> None:
    with served.open("/sends_after_close/") as peer:
        peer.send_text("go")
        assert peer.closing() == 4001
    assert served.wait_told("sends_after_close", 2) == ["sends_after_close: 4001", "sends_after_close: None"]
    # The second exception leaves the view, which is a normal end of one.
    served.wait_state(websockets=1)
    assert served.tracebacks() == 0


def test_a_greenlet_that_outlives_its_view_is_told_so(served: Served) -> None:
    with served.open("/leaves_greenlet/") as peer:
        peer.send_text("go")
        assert peer.closing() == 1000
    assert served.wait_told("leaves_greenlet", 2) == [
        "leaves_greenlet: ConnectionClosed",
        "leaves_greenlet: None",
    ]
    assert served.tracebacks() == 0


def test_frames_of_many_senders_do_not_interleave(served: Served) -> None:
    counts: dict[str, int] = {}
    with served.open("/sends_from_many/", receive_buffer=4096) as peer:
        peer.send_text("go")
        while (received := peer.frame()).opcode != CLOSE:
            assert received.opcode == TEXT
            letters = received.payload
            assert len(letters) == 100_000
            assert letters == letters[:1] * len(letters)
            counts[chr(letters[0])] = counts.get(chr(letters[0]), 0) + 1
        assert received.code == 1000
    assert counts == {chr(ord("a") + number): 20 for number in range(16)}


def test_the_second_to_wait_gets_a_clear_error(served: Served) -> None:
    with served.open("/waits_in_two/") as peer:
        served.wait_told("waits_in_two")
        peer.send_text("for the first")
        assert peer.text() == "for the first"
        assert peer.closing() == 1000
    assert served.told("waits_in_two") == [
        "waits_in_two: another greenlet already waits for a message of this websocket"
    ]
    assert served.tracebacks() == 0


def test_no_byte_of_http_follows_a_101(served: Served) -> None:
    """Whatever the client sends, and however the view ends."""
    for path in ("raises/", "ends/?kind=SystemExit", "rubbish/", "echo/", "close_by_itself/"):
        for data in (b"GET / HTTP/1.1\r\n\r\n", frame(TEXT, b"go"), b"\xff" * 100, frame(0xF), b"\x81\x01x"):
            with Peer(served.port).open(f"/{path}") as peer:
                peer.send(data)
                peer.sock.shutdown(1)
                assert b"HTTP" not in peer.rest(), (path, data)
    served.wait_state(websockets=1)


def test_an_error_of_the_database_is_an_exception_like_others(served: Served) -> None:
    with served.open("/query_loop/") as peer:
        peer.send_text("SELECT nonsense")
        assert peer.text() == "OperationalError"
        peer.send_text("SELECT 1")
        assert peer.text() == "1"
    with served.open("/queries/") as peer:
        peer.send_text("SELECT nonsense")
        assert peer.closing() == 1011
    assert served.tracebacks("OperationalError") == 1


@pytest.fixture
def database(tmp_path: Path) -> dict[str, object]:
    """Settings with a database that has tables, and a descriptor for each connection."""
    return {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "database")}}}


def processor_seconds(served: Served) -> float:
    fields = Path(f"/proc/{served.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idles(served: Served) -> bool:
    """Whether the process does next to nothing for half a second."""
    before = processor_seconds(served)
    time.sleep(0.5)
    return processor_seconds(served) - before < 0.2


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("use", ["wait", "send"])
def test_a_view_that_ignores_every_error_is_stopped(serving: Serving, tmp_path: Path, use: str, end: str) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "database")}
    with (
        serving(settings={"DATABASES": {"default": database}}, migrate=True) as served,
        served.open("/echo/") as neighbour,
    ):
        before = served.state()
        peer = served.open(f"/swallows/?use={use}")
        assert peer.text() == "begun"
        if end == "close":
            peer.send(close_frame(1000))
            assert peer.gone()
        else:
            peer.reset()
        served.wait_logged("Websocket view ignores every error of its closed connection, and was stopped: /swallows/")
        served.wait_state(websockets=1)
        served.wait_state(fds=before["fds"])  # that of the database is closed, too
        wait_until(lambda: idles(served), 10, "an idle process")
        assert served.log().count("LOG") == 1
        neighbour.send_text("still here")
        assert neighbour.text() == "still here"
        neighbour.send(close_frame(1000))
        assert neighbour.gone()
        served.process.send_signal(signal.SIGTERM)
        assert served.wait_end(10) == (0, "ended")
        assert served.log().count(" ERROR ") == 1
        assert "GreenletExit" not in served.log()


@pytest.mark.parametrize("use", ["wait", "send"])
def test_a_view_that_ignores_that_the_server_stops_is_stopped(
    serving: Serving, database: dict[str, object], use: str
) -> None:
    settings = {**database, "WEBSOCKET_DRAIN_TIMEOUT": 60}
    with serving(settings=settings, migrate=True) as served, served.open(f"/swallows/?use={use}") as peer:
        assert peer.text() == "begun"
        served.process.send_signal(signal.SIGTERM)
        while (received := peer.message()).opcode == TEXT:
            pass
        assert received.code == 1001
        peer.send(close_frame(1001))
        assert peer.gone()
        assert served.wait_end(10) == (0, "ended")
        assert served.log().count("and was stopped: /swallows/") == 1


def test_a_greenlet_that_ignores_every_error_is_slowed_down(serving: Serving) -> None:
    with serving() as served, served.open("/swallows_in_greenlet/") as peer:
        assert peer.text() == "begun"
        peer.reset()
        served.wait_logged("A greenlet waits for a closed websocket in an endless loop, and is slowed down")
        wait_until(lambda: idles(served), 10, "an idle process")
        assert served.log().count("LOG") == 1
