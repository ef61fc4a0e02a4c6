"""What is fuzzed: functions of bytes that raise nothing, whatever the bytes are.

They need no fuzzer: ``test_findings.py`` runs each over the inputs that were kept in ``corpus/``.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django_websocket.exceptions import HandshakeError, InvalidPayload, PolicyViolation, ProtocolError
from django_websocket.protocol.assembly import Message
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import PerMessageDeflate, negotiate_deflate
from django_websocket.protocol.frames import BINARY, CLOSE, PONG
from django_websocket.protocol.handshake import Handshake, accept_key, is_websocket_request, parse_handshake

from .sockets import conversation
from .streams import http

__all__ = ["TARGETS"]

SIZES = (16, 125, 126, 1024, 65536)
VALID = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}
#: The header that each line of a handshake's input is the value of: empty stands for a valid one, "-" for none.
NAMES = (*VALID, "sec-websocket-protocol", "sec-websocket-extensions", "content-length", "transfer-encoding")


@dataclass
class Outcome:
    """What became of a stream."""

    messages: list[Message]
    failure: Exception | None
    close_code: int | None
    output: bytes


def new_connection(flags: int, max_queue: int, max_size: int) -> Connection:
    """A connection with one of eight ways of compression."""
    deflate = None
    if flags & 1:
        deflate = PerMessageDeflate(
            window_bits=9 if flags & 2 else 15, server_takeover=bool(flags & 2), client_takeover=bool(flags & 4)
        )
    return Connection(max_message_size=max_size, max_queue=max_queue, deflate=deflate)


def drive(connection: Connection, chunks: Iterable[bytes], max_queue: int, close_after: int | None) -> Outcome:
    """Feed ``chunks``, take what comes at once, and start the closing handshake after ``close_after`` of them."""
    taken: list[Message] = []
    output = b""
    for number, chunk in enumerate(chunks):
        if number == close_after:
            output += connection.close(1000)
        connection.receive_data(chunk)
        while True:
            assert len(connection.messages) <= max_queue
            assert connection.messages or not connection.full
            taken += connection.messages
            connection.messages.clear()
            output += connection.take_output()
            if connection.inflating:
                connection.inflate()
            elif connection.full:
                connection.resume()
            else:
                break
    failure, code = connection.failure, connection.close_code
    connection.receive_eof()
    assert connection.ended
    assert not connection.full
    return Outcome(taken, failure, code, output)


def written_frames(output: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of the control frames in ``output``."""
    pos = 0
    while pos < len(output):
        length = output[pos + 1]
        assert length <= 125
        yield output[pos] & 0x0F, output[pos + 2 : pos + 2 + length]
        pos += 2 + length
    assert pos == len(output)


def split(stream: bytes, seed: int) -> list[bytes]:
    """``stream`` in random pieces; one byte each for seed 0."""
    if seed == 0:
        return [stream[i : i + 1] for i in range(len(stream))]
    rng = random.Random(seed)
    chunks = []
    pos = 0
    while pos < len(stream):
        size = rng.choice((1, 2, 3, 7, 130, 1024))
        chunks.append(stream[pos : pos + size])
        pos += size
    return chunks


def frames(data: bytes) -> None:
    """A stream in one piece and in many gives the same messages, and nothing but declared outcomes."""
    if len(data) < 4:
        return
    flags, queue, seed, stream = data[0], 1 + data[1] % 8, data[2], data[3:]
    max_size = SIZES[(flags >> 3) % len(SIZES)]
    close_after = 0 if flags & 0x80 else None
    outcomes = [
        drive(new_connection(flags, queue, max_size), chunks, queue, close_after)
        for chunks in ([stream], split(stream, seed))
    ]
    for outcome in outcomes:
        sent = list(written_frames(outcome.output))
        assert all(opcode in (CLOSE, PONG) for opcode, _ in sent)
        assert [opcode for opcode, _ in sent].count(CLOSE) <= 1
        assert close_after == 0 or all(opcode != CLOSE for opcode, _ in sent[:-1])
        assert all(len(message) <= max_size for message in outcome.messages)
        assert close_after is None or not outcome.messages
        if outcome.failure is not None and close_after is None:
            assert isinstance(outcome.failure, ProtocolError)
            code = outcome.failure.close_code
            assert code in (1002, 1007, 1008, 1009)
            assert code == outcome.close_code
            assert sent
            assert sent[-1] == (CLOSE, code.to_bytes(2, "big") + str(outcome.failure)[:100].encode())
    whole, pieces = outcomes
    assert whole.messages == pieces.messages
    assert (whole.failure is None) == (pieces.failure is None)
    # Bytes that are at once too many and not UTF-8 may be noticed either way; only inflation makes many of few.
    if not flags & 1:
        assert type(whole.failure) is type(pieces.failure)
        assert whole.close_code == pieces.close_code


def parse(method: str, version: str, headers: dict[str, str]) -> Handshake | None:
    """The handshake, or None where it was refused in the declared way."""
    is_websocket_request(headers)
    try:
        return parse_handshake(method, version, headers)
    except HandshakeError as error:
        refusal = error
    assert refusal.status == 400
    assert all(text.isprintable() and text.isascii() for item in refusal.headers.items() for text in item)
    return None


def handshake(data: bytes) -> None:
    """Headers of any content: a handshake, or a HandshakeError."""
    first, *lines = data.decode("latin-1").split("\n")
    headers = dict(VALID)
    for name, line in zip(NAMES, lines, strict=False):
        if line == "-":
            headers.pop(name, None)
        elif line:
            headers[name] = line
    method, _, version = first.partition(" ")
    found = parse(method or "GET", version or "HTTP/1.1", headers)
    if found is None:
        return
    assert len(accept_key(found.key)) == 28
    assert len(found.key) == 24
    assert found.choose_subprotocol(["chat", *found.subprotocols]) in found.subprotocols or not found.subprotocols
    for takeover in (False, True):
        agreed = found.choose_deflate(takeover=takeover)
        assert agreed is None or (agreed[0].isprintable() and agreed[0].isascii())


def deflate(data: bytes) -> None:
    """Any offer, then messages under what was agreed, then any bytes as a compressed message."""
    offer, _, payload = data.partition(b"\n")
    headers = {**VALID, "sec-websocket-extensions": "permessage-deflate" + offer.decode("latin-1")}
    found = parse("GET", "HTTP/1.1", headers)
    extension = PerMessageDeflate()
    if found is not None:
        for name, params in found.extensions:
            for takeover in (False, True):
                agreed = negotiate_deflate(params, takeover=takeover) if name == "permessage-deflate" else None
                if agreed is not None:
                    extension = agreed[1]
                    assert ("server_no_context_takeover" in agreed[0]) == (not extension.server_takeover)
                    assert ("client_no_context_takeover" in agreed[0]) == (not extension.client_takeover)
                    round_trip(extension, payload)
    limit = 1 + len(payload) % 700
    try:
        inflated = extension.inflater().inflate(payload, limit)
    except (InvalidPayload, PolicyViolation):
        return
    assert len(inflated) <= limit


def round_trip(extension: PerMessageDeflate, payload: bytes) -> None:
    """What the extension writes, a client with the agreed window reads back."""
    client = zlib.decompressobj(wbits=-extension.window_bits)
    for _ in range(3):
        frame = extension.encode(BINARY, payload, True)
        assert frame[0] == 0xC2
        body = frame[{126: 4, 127: 10}.get(frame[1], 2) :]
        assert client.decompress(body + b"\x00\x00\xff\xff") == payload
        if not extension.server_takeover:
            client = zlib.decompressobj(wbits=-extension.window_bits)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "handshake": handshake,
    "deflate": deflate,
    "http": http,
    "socket": conversation,
}
