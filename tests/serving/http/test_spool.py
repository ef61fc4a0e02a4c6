"""Chunked request bodies, received before the application runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import wait_until

from .client import Client, Served, serve

CHUNKED = "Transfer-Encoding: chunked"

LIMITS = {"http.spool.MEMORY_BYTES": 1000, "http.spool.MAX_BYTES": 200_000, "http.spool.MAX_TOTAL_BYTES": 300_000}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spooled")


@pytest.fixture(scope="module")
def served(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("served") / "log"
    with serve(log, spooled=str(directory), request_timeout=1, constants=LIMITS) as running:
        yield running


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def begin(client: Client, target: str, *pieces: bytes) -> None:
    client.get(target, CHUNKED, method="POST")
    client.send(*map(chunk, pieces))


@pytest.mark.parametrize("size", [0, 1, 999, 1001, 200_000])
def test_the_application_gets_the_body(size: int, served: Served) -> None:
    with served.connect() as client:
        body = bytes(number % 251 for number in range(size))
        begin(client, "/read", *(body[at : at + 7000] for at in range(0, size, 7000)))
        client.send(b"0\r\n\r\n")
        assert client.answer().body == body
        assert client.ask("/").body == b"ok"
        assert json.loads(client.ask("/counts").body)["spooled"] == 0


def test_it_is_declared_as_if_it_had_come_whole(served: Served) -> None:
    with served.connect() as client:
        begin(client, "/environ", b"abc", b"de")
        client.send(b"0\r\nX-Trailer: ignored\r\n\r\n")
        environ = json.loads(client.answer().body)
    assert environ["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_other_requests_are_left_alone(served: Served) -> None:
    assert served.ask("/read", method="POST", body=b"whole").body == b"whole"
    assert "CONTENT_LENGTH" not in json.loads(served.ask("/environ").body)


def test_the_client_is_asked_to_continue(served: Served) -> None:
    with served.connect() as client:
        client.get("/read", CHUNKED, "Expect: 100-continue", method="POST")
        assert client.head() == (100, {})
        client.send(chunk(b"abc"), b"0\r\n\r\n")
        assert client.answer().body == b"abc"


def test_a_body_that_is_too_large(served: Served, directory: Path) -> None:
    with served.connect() as client:
        begin(client, "/read", b"x" * 100_000, b"x" * 100_001)
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert b"200000 bytes" in answer.body
        assert client.ends()
    assert served.counts()["spooled"] == 0
    assert not list(directory.iterdir())


def test_too_many_bodies_at_a_time(served: Served) -> None:
    with served.connect() as one, served.connect() as two:
        begin(one, "/read", b"x" * 180_000)
        wait_until(lambda: served.counts()["spooled"] == 180_000)
        begin(two, "/read", b"x" * 180_000)
        assert two.answer().status == 503
        assert two.ends()
        one.send(b"0\r\n\r\n")
        assert len(one.answer().body) == 180_000
    served.wait_for_log("chunked request bodies hold 3")
    assert served.counts()["spooled"] == 0


def test_a_malformed_body(served: Served) -> None:
    with served.connect() as client:
        begin(client, "/read", b"abc")
        client.send(b"nonsense\r\n")
        assert client.answer().status == 400
        assert client.ends()
    assert served.counts()["spooled"] == 0


def test_a_body_that_does_not_come(served: Served) -> None:
    with served.connect() as client:
        begin(client, "/read", b"abc")
        assert client.answer().status == 408
        assert client.ends()
    assert served.counts()["spooled"] == 0


@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_vanishes(reset: bool, served: Served) -> None:
    with served.connect() as client:
        begin(client, "/read-guarded", b"x" * 5000)
        wait_until(lambda: served.counts()["spooled"] == 5000)
        if reset:
            client.reset()
    wait_until(lambda: served.counts()["spooled"] == 0)
    assert "Traceback" not in served.log()
    assert "/read-guarded" not in served.log(), "nobody has got a response"
