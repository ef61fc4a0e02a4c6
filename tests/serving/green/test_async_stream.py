"""Asynchronous streaming responses, piece by piece to real clients."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deadlines import deadline
from tests.site.running import Site


@contextmanager
def requested(site: Site, path: str, method: str = "GET") -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=deadline(10))
    try:
        connection.request(method, path)
        yield connection
    finally:
        connection.close()


def test_each_piece_goes_out_as_it_comes(site: Site) -> None:
    """The second waits for the client to have seen the first."""
    with requested(site, "/async_code/streams/?name=first piece seen".replace(" ", "-")) as connection:
        response = connection.getresponse()
        assert response.readline() == b"0 of 0\n"
        site.release("first-piece-seen")
        assert response.read() == b"1 of 0\n2 of 0\n"
    site.wait_for_journal("generator closed")


def test_the_connection_is_kept(site: Site) -> None:
    with requested(site, "/async_code/streams/") as connection:
        for _ in range(3):
            assert connection.getresponse().read() == b"0 of 0\n1 of 0\n2 of 0\n"
            connection.request("GET", "/async_code/streams/")


def test_requests_sent_ahead(site: Site) -> None:
    """What comes behind a request is not taken for the client's leave."""
    request = b"GET /async_code/streams/ HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=deadline(10)) as client:
        client.sendall(request % b"" + request % b"Connection: close\r\n")
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.count(b"2 of 0\n") == 2


def test_head(site: Site) -> None:
    with requested(site, "/async_code/streams_for_ever/?size=10&seconds=0", "HEAD") as connection:
        assert connection.getresponse().read() == b""
    site.wait_for_journal("generator closed")


@pytest.mark.parametrize("leaving", ["closes", "resets"])
def test_a_client_that_leaves_a_stream_that_is_silent(site: Site, leaving: str) -> None:
    """Nothing is written that could fail."""
    with requested(site, "/async_code/streams_for_ever/?size=0&seconds=3600") as connection:
        response = connection.getresponse()
        assert response.read(5) == b"first"
        if leaving == "resets":
            assert connection.sock is not None
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        response.close()
        connection.close()
        site.wait_for_journal("generator closed")


def test_a_client_that_leaves_while_it_is_sent_to(site: Site) -> None:
    with requested(site, "/async_code/streams_for_ever/?size=100000&seconds=0") as connection:
        response = connection.getresponse()
        assert response.read(5) == b"first"
        response.close()
        connection.close()
        site.wait_for_journal("generator closed")


def test_a_generator_that_fails(site: Site) -> None:
    with requested(site, "/async_code/stream_fails/") as connection:
        response = connection.getresponse()
        assert response.read(5) == b"first"
        with pytest.raises(http.client.IncompleteRead):
            response.read()
    assert site.wait_for_error()["error"] == "ValueError"
