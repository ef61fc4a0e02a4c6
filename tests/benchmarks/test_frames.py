"""The load generator's half of the protocol, against an implementation that is not ours."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from benchmarks.load.frames import (
    BINARY,
    TEXT,
    FrameReader,
    LoadError,
    check_handshake,
    deflated,
    handshake,
    inflated,
    masked_frame,
)


def parsed(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parser = Frame.parse(reader.read_exact, mask=True, max_size=None)
    with pytest.raises(StopIteration) as stop:
        next(parser)
    frame = stop.value.value
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 65535, 65536, 70001])
def test_masked_frames_are_read_by_websockets(size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    frame = parsed(masked_frame(BINARY, payload))
    assert (frame.opcode, frame.data, frame.fin) == (Opcode.BINARY, payload, True)


def test_compressed_frame_sets_the_first_reserved_bit() -> None:
    first, *rest = masked_frame(TEXT, deflated(b"abc" * 100), compressed=True)
    assert first & 0x40
    frame = parsed(bytes([first & ~0x40, *rest]))
    assert inflated(bytes(frame.data)) == b"abc" * 100


def server_stream() -> bytes:
    frames = [
        Frame(Opcode.TEXT, b"x" * 100),
        Frame(Opcode.PING, b"are you there"),
        Frame(Opcode.TEXT, b"be", fin=False),
        Frame(Opcode.PING, b""),
        Frame(Opcode.CONT, b"gin", fin=True),
        Frame(Opcode.BINARY, bytes(70000)),
        Frame(Opcode.BINARY, bytes(300)),
        Frame(Opcode.TEXT, b""),
        Frame(Opcode.CLOSE, b"\x03\xe8"),
    ]
    return b"".join(frame.serialize(mask=False) for frame in frames)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100, 65536, 1 << 20])
def test_reader_counts_messages_however_the_stream_is_cut(step: int) -> None:
    stream, reader = server_stream(), FrameReader()
    finished = sum(reader.feed(memoryview(stream)[at : at + step]) for at in range(0, len(stream), step))
    assert finished == 5
    assert reader.pings == [b"are you there", b""]
    assert reader.closed
    assert reader.between_frames


def test_reader_keeps_the_payload_when_asked() -> None:
    reader = FrameReader()
    reader.keep = True
    reader.feed(Frame(Opcode.TEXT, b"one ", fin=False).serialize(mask=False))
    assert not reader.feed(Frame(Opcode.CONT, b"two", fin=True).serialize(mask=False)[:-1])
    assert not reader.between_frames
    assert reader.feed(b"o") == 1
    assert reader.payload == b"one two"


def test_reader_keeps_the_payload_across_a_ping() -> None:
    reader = FrameReader()
    reader.keep = True
    reader.feed(Frame(Opcode.TEXT, b"one ", fin=False).serialize(mask=False))
    reader.feed(Frame(Opcode.PING, b"now").serialize(mask=False))
    reader.feed(Frame(Opcode.CONT, b"two", fin=True).serialize(mask=False))
    assert (reader.payload, reader.pings) == (b"one two", [b"now"])


def test_handshake_offers_compression_only_when_asked() -> None:
    assert b"permessage-deflate" in handshake(80, "/", deflate=True)
    assert b"Extensions" not in handshake(80, "/", deflate=False)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n", "403"),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAA", "wrong Sec-WebSocket-Accept"),
    ],
)
def test_a_refused_handshake_says_why(head: bytes, reason: str) -> None:
    with pytest.raises(LoadError, match=reason):
        check_handshake(head, deflate=False)
