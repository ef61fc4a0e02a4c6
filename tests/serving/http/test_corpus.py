"""Both corpora over a socket: one answer each, its status, and then the connection ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import Served, serve
from .corpus import ACCEPTED, BODIES, HEADS, SMUGGLED, Case


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("validated") / "log", validated=True) as running:
        yield running


@pytest.mark.parametrize("case", [*HEADS, *BODIES], ids=lambda case: case.name)
def test_refused(case: Case, served: Served) -> None:
    with served.connect() as client:
        client.send(case.raw + SMUGGLED)
        answer = client.answer()
        assert answer.status == case.status, (answer, case.source)
        assert answer.headers["connection"] == "close"
        assert client.ends(), case.source
    assert "smuggled" not in served.counts()


@pytest.mark.parametrize(
    "case", [case for case in (*HEADS, *BODIES) if b" /read " in case.raw], ids=lambda case: case.name
)
def test_refused_when_the_application_does_not_read(case: Case, served: Served) -> None:
    """A body that the application doesn't read must not become the next request."""
    with served.connect() as client:
        client.send(case.raw.replace(b" /read ", b" /index ") + SMUGGLED)
        answer = client.answer()
        assert answer.status in (200, case.status)
        assert client.ends(), case.source
    assert "smuggled" not in served.counts()


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted(case: Case, served: Served, validated: Served) -> None:
    """What the RFC wants taken is taken, and the request behind it is answered as its own."""
    # wsgiref's validator knows no other methods than its own.
    with (served if case.name == "method-any" else validated).connect() as client:
        client.send(case.raw + b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = client.answer()
        assert answer.status == case.status, (answer, case.source)
        if b"HTTP/1.0" not in case.raw:
            assert client.answer().status == 200
        assert client.ends()


def test_the_log_is_clean(served: Served, validated: Served) -> None:
    for server in (served, validated):
        assert "Traceback" not in server.log()
        assert server.log_lines("LOG") == []
