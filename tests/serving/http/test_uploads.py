"""Uploads to Django views, directly and through proxies that share their connections to the server."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import find_program
from tests.deadlines import deadline
from tests.fuzz.fronts import FRONTS, serve_fronts
from tests.site.fixtures import Serve
from tests.site.running import Site

BOUNDARY = "boundary"


def post(port: int, path: str, body: bytes, *, chunk: int | None = 4096, **headers: str) -> tuple[int, bytes]:
    """Status and body of the response; a ``chunk`` of None sends a Content-Length."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline(30))
    try:
        pieces = body if chunk is None else (body[at : at + chunk] for at in range(0, len(body), chunk))
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, pieces, fields, encode_chunked=chunk is not None)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("size", [0, 10, 500_000])
def test_a_chunked_body(size: int, site: Site) -> None:
    body = bytes(number % 251 for number in range(size))
    assert post(site.port, "/bodies/whole/", body) == (200, body)


def test_a_chunked_form(site: Site) -> None:
    kind = "application/x-www-form-urlencoded"
    status, answer = post(site.port, "/bodies/form/", b"name=value", chunk=3, Content_Type=kind)
    assert (status, json.loads(answer)) == (200, {"fields": {"name": "value"}, "files": {}})


def test_a_chunked_file(site: Site) -> None:
    part = 'Content-Disposition: form-data; name="file"; filename="name.txt"\r\nContent-Type: text/plain'
    content = "line\n" * 50_000
    body = f"--{BOUNDARY}\r\n{part}\r\n\r\n{content}\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    status, answer = post(site.port, "/bodies/form/", body, Content_Type=kind)
    assert (status, json.loads(answer)) == (200, {"fields": {}, "files": {"file": ["name.txt", content]}})


def test_names_of_charsets_do_not_fill_the_memory(site: Site) -> None:
    """Django looks each up, and Python remembers those that there are not."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=deadline(30))
    try:
        for number in range(500):
            connection.request("GET", "/bodies/encodings_known/", headers={"Content-Type": f"a/b; charset=x{number}"})
            known = int(connection.getresponse().read())
    finally:
        connection.close()
    assert 100 < known < 400


@pytest.fixture(scope="module")
def fronts(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    for name in ("nginx", "haproxy"):
        find_program(name)
    with serve() as site, serve_fronts(site.port, "secret", Path(tmp_path_factory.mktemp("fronts"))) as ports:
        yield ports


@pytest.mark.parametrize("name", FRONTS)
def test_uploads_that_nobody_reads_harm_no_other_client(name: str, fronts: dict[str, int]) -> None:
    """The proxies send other clients' requests over a connection that the server says it keeps."""
    port = fronts[name]

    def upload(number: int) -> set[int]:
        chunk = 16384 if number % 2 else None
        return {post(port, "/bodies/ignored/", b"x" * 300_000, chunk=chunk)[0] for _ in range(15)}

    def ask(number: int) -> None:
        for count in range(60):
            mine = f"{number}.{count}"
            assert post(port, "/bodies/ignored/", b"", chunk=None, X_Number=mine) == (200, mine.encode())

    with ThreadPoolExecutor(8) as pool:
        uploads = [pool.submit(upload, number) for number in range(4)]
        others = [pool.submit(ask, number) for number in range(4)]
        for other in others:
            other.result(deadline(60))
        assert set().union(*(each.result(deadline(60)) for each in uploads)) == {200}


@pytest.mark.parametrize("name", FRONTS)
def test_a_chunked_body_through_a_proxy(name: str, fronts: dict[str, int]) -> None:
    assert post(fronts[name], "/bodies/whole/", b"x" * 100_000) == (200, b"x" * 100_000)
