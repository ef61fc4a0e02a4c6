"""The proxies' files in front of gunicorn with two workers: plain and with TLS, over TCP and over a unix socket."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.deadlines import deadline

from .proxies import CLIENT, PROXIES, Front, serve_front
from .served import Certificate, Demo, demo, manage, short_directory

FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Protocol": "ssl",
    "Forwarded": "for=6.6.6.6;host=evil.example;proto=https",
}


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture(scope="module")
def certificate(directory: Path) -> Certificate:
    return Certificate(directory)


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Demo]:
    manage(directory, "migrate", "--verbosity", "0")
    with demo(directory) as running:
        yield running
        assert "Internal Server Error" not in running.log()


@pytest.fixture(scope="module")
def static(directory: Path) -> Path:
    path = directory / "static"
    path.mkdir()
    (path / "site.css").write_text("p { color: red }")
    return path


@pytest.fixture(scope="module", params=[" ".join(one) for one in product(PROXIES, ("tcp", "unix"), ("http", "https"))])
def front(
    request: pytest.FixtureRequest, server: Demo, directory: Path, certificate: Certificate, static: Path
) -> Iterator[Front]:
    name, upstream, scheme = request.param.split()
    own = directory / request.param.replace(" ", "-")
    tls = certificate if scheme == "https" else None
    with serve_front(name, server.upstreams[upstream], own, certificate=tls, static=static) as running:
        yield running


def test_pages(front: Front) -> None:
    assert front.ask("/lower-case/?message=ABC") == (200, "abc")
    assert front.ask("/echo/")[0] == 400
    assert front.ask("/nothing/")[0] == 404
    assert front.ask("/chat/")[0] == 302
    for body in (b"", b"hello", b"x" * 1_000_000):
        assert front.seen(method="POST", body=body)["body"] == body.decode()


def test_static_files(front: Front) -> None:
    if front.name == "haproxy":
        assert front.ask("/static/site.css")[0] == 404  # it serves no files
    else:
        assert front.ask("/static/site.css") == (200, "p { color: red }")
        assert front.ask("/static/%2e%2e/gunicorn.log")[0] in (400, 404)


def test_websockets(front: Front) -> None:
    large = "x" * 500_000
    with front.connect("/echo/") as client:
        for message in ("text", b"\x00bytes", large):
            client.send(message)
            assert client.recv(timeout=deadline(20)) == message
        client.close(4000, "enough")
        assert client.close_code == 4000
    with front.connect("/echo-once/") as client:
        client.send("once")
        assert list(client) == ["once"]
        assert client.close_code == 1000


def test_what_the_server_sees(front: Front) -> None:
    seen = front.seen()
    assert seen["secure"] is (front.tls is not None)
    assert seen["host"] == front.host
    assert seen["remote_addr"] == ("127.0.0.1" if front.upstream == "tcp" else "")
    assert seen["forwarded"]["HTTP_X_FORWARDED_FOR"] == CLIENT
    assert seen["forwarded"]["HTTP_X_FORWARDED_PROTO"] == front.origin.partition(":")[0]


@pytest.mark.parametrize("scheme", ["https", "http", "https, http", "HTTPS"])
def test_forged_headers_have_no_effect(front: Front, scheme: str) -> None:
    honest = front.seen()["forwarded"]
    forged = front.seen(headers={**FORGED, "X-Forwarded-Proto": scheme, "X_Forwarded_Proto": scheme})
    assert forged["secure"] is (front.tls is not None)
    assert forged["host"] == front.host
    known = {name: value for name, value in forged["forwarded"].items() if name in honest}
    assert known == honest
    # The rest means nothing to Django or gunicorn, as they are set up.
    assert set(forged["forwarded"]) - set(honest) <= {"HTTP_X_FORWARDED_SSL", "HTTP_X_FORWARDED_PROTOCOL"}


def test_forged_headers_twice(front: Front) -> None:
    """A proxy that appends, or overwrites only the first, would let the second through."""
    client = front.client()
    client.putrequest("GET", "/seen/")
    for name in ("X-Forwarded-For", "x-forwarded-for", "X-Forwarded-Proto", "X-FORWARDED-PROTO", "X-Forwarded-Host"):
        client.putheader(name, "forged")
    client.endheaders()
    body = client.getresponse().read().decode()
    client.close()
    assert "forged" not in body


def test_forged_headers_of_a_handshake(front: Front) -> None:
    """A page of the site over http is foreign to https, whatever the handshake claims."""
    plain = f"http://{front.host}"
    for claimed in ("http", "https"):
        headers = {"X-Forwarded-Proto": claimed, "X-Forwarded-Host": "evil.example"}
        if front.tls is None:
            with front.connect("/echo/", headers, origin=plain) as client:
                client.send("hello")
                assert client.recv(timeout=deadline(20)) == "hello"
        else:
            assert refused(front, plain, headers) == 403
        assert refused(front, "https://evil.example", headers) == 403


def test_origins(front: Front) -> None:
    with front.connect("/echo/") as client:
        client.send("hello")
        assert client.recv(timeout=deadline(20)) == "hello"
    for origin in ("https://evil.example", f"{front.origin}0", "null", "https://localhost:1"):
        assert refused(front, origin) == 403


def refused(front: Front, origin: str, headers: dict[str, str] | None = None) -> int:
    with pytest.raises(InvalidStatus) as refusal, front.connect("/echo/", headers, origin=origin):
        pass
    return int(refusal.value.response.status_code)


def test_connections_to_the_server_are_reused(front: Front) -> None:
    client = front.client()
    counts = []
    for _ in range(20):
        client.request("GET", "/seen/")
        counts.append(json.load(client.getresponse())["requests"])
    client.close()
    assert max(counts) >= 10, counts


def test_a_host_of_no_site_is_refused(front: Front) -> None:
    status, body = front.ask("/seen/", {"Host": "evil.example"})
    # Caddy asks no server about hosts that it doesn't know: it says nothing.
    assert body == "" if front.name == "caddy" else status == 400


def test_uploads_have_a_limit(front: Front) -> None:
    if front.name == "haproxy":
        return  # it limits no bodies
    client = front.client()
    client.putrequest("POST", "/seen/")
    client.putheader("Content-Length", str(11_000_000))
    client.endheaders()
    if front.name == "caddy":  # notices when it has read them
        try:
            client.send(b"x" * 11_000_000)
        except OSError:
            pass
    assert client.getresponse().status in (400, 413)
    client.close()


def test_plain_http_is_redirected(front: Front) -> None:
    if not front.redirects:
        assert front.tls is None
        return
    for method in ("GET", "POST"):
        client = http.client.HTTPConnection("127.0.0.1", front.redirects, timeout=deadline(20))
        client.request(method, "/chat/?x=1", headers={"Host": "localhost", "X-Forwarded-Proto": "https"})
        response = client.getresponse()
        assert response.status == 308
        assert response.headers["Location"].startswith("https://localhost")
        assert response.headers["Location"].endswith("/chat/?x=1")
        client.close()
