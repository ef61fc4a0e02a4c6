"""The chunked transfer coding, without a server."""

from __future__ import annotations

import pytest

from django_websocket.serving.http.chunked import ChunkedDecoder, MalformedBody

from .corpus import ACCEPTED, BODIES, Case


def body_of(case: Case) -> bytes:
    return case.raw.partition(b"\r\n\r\n")[2]


def decode(body: bytes, step: int) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    data = b""
    for start in range(0, len(body), step):
        if decoder.finished:
            decoder.leftover += body[start : start + step]
        else:
            data += decoder.feed(body[start : start + step])
    return data, decoder


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
def test_refused(case: Case, step: int) -> None:
    with pytest.raises(MalformedBody):
        decode(body_of(case), step)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("case", [c for c in ACCEPTED if b"chunked" in c.raw.lower()], ids=lambda case: case.name)
def test_decoded(case: Case, step: int) -> None:
    data, decoder = decode(body_of(case) + b"next", step)
    assert data == b"abc"
    assert decoder.finished
    assert decoder.leftover == b"next"


def test_large_chunks() -> None:
    payload = bytes(range(256)) * 1000
    body = b"%X\r\n%b\r\n1\r\nx\r\n0\r\n\r\n" % (len(payload), payload)
    data, decoder = decode(body, 65536)
    assert data == payload + b"x"
    assert decoder.finished
