from __future__ import annotations

import pytest

from django_websocket.protocol.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    encode_frame,
    is_valid_close_code,
    parse_close_payload,
)


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("rsv1", [True, False])
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
def test_first_byte(opcode: int, fin: bool, rsv1: bool, length: int) -> None:
    """Section 5.2: FIN is the first bit, RSV1 the second, the opcode the last four."""
    first = encode_frame(opcode, bytes(length), fin=fin, rsv1=rsv1)[0]
    assert first == opcode + 0x80 * fin + 0x40 * rsv1


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "8200"),
        (1, "8201"),
        (125, "827d"),
        (126, "827e007e"),
        (127, "827e007f"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
    ],
)
def test_length(length: int, header: str) -> None:
    """Section 5.2: the fewest bytes that can hold it; section 5.1: no mask."""
    payload = b"\xa5" * length
    assert encode_frame(BINARY, payload) == bytes.fromhex(header) + payload


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (encode_frame(TEXT, b"Hello"), "810548656c6c6f"),
        (encode_frame(TEXT, b"Hel", fin=False), "010348656c"),
        (encode_frame(CONTINUATION, b"lo"), "80026c6f"),
        (encode_frame(PING, b"Hello"), "890548656c6c6f"),
    ],
)
def test_rfc_examples(frame: bytes, expected: str) -> None:
    """Section 5.7."""
    assert frame.hex() == expected


VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", VALID_CODES)
def test_valid_close_code(code: int) -> None:
    """Section 7.4 and the registry that it founds."""
    assert is_valid_close_code(code)
    assert close_payload(code) == code.to_bytes(2, "big")
    assert parse_close_payload(code.to_bytes(2, "big")) == (code, "")


@pytest.mark.parametrize("code", INVALID_CODES)
def test_invalid_close_code(code: int) -> None:
    """Section 7.4.1: 1005, 1006 and 1015 MUST NOT be set; section 7.4.2: 0-999 are not used."""
    assert not is_valid_close_code(code)
    with pytest.raises(ValueError, match=f"invalid code {code}"):
        parse_close_payload(code.to_bytes(2, "big"))


@pytest.mark.parametrize("code", [-1, *(code for code in INVALID_CODES if code != 1005), 65536, 100000])
def test_code_that_may_not_be_sent(code: int) -> None:
    with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
        close_payload(code)


def test_no_code() -> None:
    """Section 7.1.5: 1005 stands for a close frame without one."""
    assert close_payload(1005) == b""
    assert parse_close_payload(b"") == (1005, "")
    with pytest.raises(ValueError, match="can't hold a reason"):
        close_payload(1005, "bye")


def test_reason() -> None:
    payload = close_payload(1000, "tsch\u00fcss")
    assert payload == b"\x03\xe8tsch\xc3\xbcss"
    assert parse_close_payload(payload) == (1000, "tsch\u00fcss")


@pytest.mark.parametrize(
    ("reason", "allowed"), [("x" * 123, True), ("x" * 124, False), ("\u00fc" * 61, True), ("\u00fc" * 62, False)]
)
def test_length_of_a_reason(reason: str, allowed: bool) -> None:
    """Section 5.5: a control frame holds 125 bytes, two of which are the code; bytes, not characters."""
    if allowed:
        assert len(close_payload(1000, reason)) <= 125
    else:
        with pytest.raises(ValueError, match="123 bytes"):
            close_payload(1000, reason)


def test_reason_with_a_lone_surrogate() -> None:
    with pytest.raises(UnicodeEncodeError):
        close_payload(1000, "\ud800")


@pytest.mark.parametrize("payload", [b"\x00", b"\x03", b"\xff"])
def test_close_payload_of_one_byte(payload: bytes) -> None:
    """Section 5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer"."""
    with pytest.raises(ValueError, match="one byte"):
        parse_close_payload(payload)


@pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"ok\xf4\x90\x80\x80"])
def test_close_reason_that_is_not_utf8(reason: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        parse_close_payload(b"\x03\xe8" + reason)
