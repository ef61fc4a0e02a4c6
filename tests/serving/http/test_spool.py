"""Chunked request bodies, received before the application runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import deadline, wait_until

from .client import Client, Served, serve

CHUNKED = "Transfer-Encoding: chunked"

LIMITS = {"http.spool.MEMORY_BYTES": 1000, "http.spool.MAX_BYTES": 200_000, "http.spool.MAX_TOTAL_BYTES": 300_000}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spooled")


@pytest.fixture(scope="module")
def served(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("served") / "log"
    with serve(log, spooled=str(directory), request_timeout=deadline(1), constants=LIMITS) as running:
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


def finish(client: Client) -> int:
    client.send(b"0\r\n\r\n")
    return client.answer().status


def test_the_largest_of_too_many_bodies_gives_way(served: Served) -> None:
    with served.connect() as one, served.connect() as two:
        begin(one, "/read", b"x" * 180_000)
        wait_until(lambda: served.counts()["spooled"] == 180_000)
        begin(two, "/read", b"x" * 150_000)
        wait_until(lambda: served.counts()["spooled"] == 150_000)
        assert finish(two) == 200
        assert finish(one) == 503
    served.wait_for_log("chunked request bodies take 2 files and ")
    assert (served.counts()["spooled"], served.counts()["spooled files"]) == (0, 0)


def test_a_body_gives_way_once(served: Served) -> None:
    """Its client may not have noticed yet, and would make room for any number of others."""
    with served.connect() as one, served.connect() as two, served.connect() as three:
        begin(one, "/read", b"x" * 180_000)
        wait_until(lambda: served.counts()["spooled"] == 180_000)
        begin(two, "/read", b"x" * 150_000)
        wait_until(lambda: served.counts()["spooled"] == 150_000)
        begin(three, "/read", b"x" * 160_000)
        assert three.answer().status == 503
        assert finish(two) == 200


def test_the_newest_body_gives_way_if_it_is_the_largest(served: Served) -> None:
    with served.connect() as one, served.connect() as two:
        begin(one, "/read", b"x" * 140_000)
        wait_until(lambda: served.counts()["spooled"] == 140_000)
        begin(two, "/read", b"x" * 180_000)
        assert two.answer().status == 503
        assert two.ends()
        assert finish(one) == 200


def test_a_small_body_needs_no_room_in_files(served: Served) -> None:
    with served.connect() as one, served.connect() as two, served.connect() as small:
        for client, size in ((one, 150_000), (two, 149_999)):
            begin(client, "/wait?until=files", b"x" * size)
            client.send(b"0\r\n\r\n")
        wait_until(lambda: served.counts()["spooled"] == 299_999)
        begin(small, "/read", b"x" * 1000)
        assert finish(small) == 200
        begin(small, "/read", b"x" * 1001)
        assert small.answer().status == 503, "those whose requests have begun keep theirs"
        served.ask("/release?name=files")
        assert [one.answer().status, two.answer().status] == [200, 200]
    assert served.counts()["spooled"] == 0


def test_too_many_files(directory: Path, tmp_path: Path) -> None:
    with serve(tmp_path / "log", spooled=str(directory), spooled_files=1, constants=LIMITS) as served:
        with served.connect() as one, served.connect() as two, served.connect() as small:
            begin(one, "/read", b"x" * 2000)
            wait_until(lambda: served.counts()["spooled files"] == 1)
            begin(two, "/read", b"x" * 2000)
            assert two.answer().status == 503
            begin(small, "/read", b"x" * 1000)
            assert [finish(small), finish(one)] == [200, 200]
        assert served.counts()["spooled files"] == 0


def test_a_full_disk(directory: Path, tmp_path: Path) -> None:
    """No file may grow past a limit, which fails as a full disk does: closing one with data to flush raises again."""
    with serve(tmp_path / "log", spooled=str(directory), largest_file=150_000, constants=LIMITS) as served:
        for count in range(1, 4):
            with served.connect() as client:
                begin(client, "/read", b"x" * 147_000)
                wait_until(lambda: served.counts()["spooled"] == 147_000)
                client.send(chunk(b"x" * 2000))
                wait_until(lambda: served.counts()["spooled"] == 149_000)
                client.send(chunk(b"x" * 2000) + b"0\r\n\r\n")
                assert client.answer().status == 500
                assert client.ends()
            assert len(served.log_lines("File too large")) == count
            assert (served.counts()["spooled"], served.counts()["spooled files"]) == (0, 0)


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
        assert served.counts()["spooled files"] == 1
        if reset:
            client.reset()
    wait_until(lambda: served.counts()["spooled"] == 0)
    assert "Traceback" not in served.log()
    assert "/read-guarded" not in served.log(), "nobody has got a response"
