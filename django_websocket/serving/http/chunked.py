"""The chunked transfer coding of request bodies (RFC 9112, section 7.1): wire bytes in, body data out.

Stricter than h11, which allows bare CR and any control character in chunk extensions, bare LF and folded lines in
trailers, and whitespace after the size: servers have disagreed on how to read each of these. A filter in front of
h11 would have to be this same state machine, so the state machine does the decoding too.
"""

from __future__ import annotations

import re

from ...protocol.handshake import TOKEN

__all__ = ["MAX_OVERHEAD", "ChunkedDecoder", "MalformedBody"]

MAX_OVERHEAD = 16 * 1024
"""Maximum bytes of chunk extensions and trailers in one body; both are discarded (CVE-2023-39326)."""

MAX_LINE = 4 * 1024

_TOKEN = TOKEN.encode()
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
# 7.1.1: chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ). "Bad" whitespace is
# refused.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;%b(?:=(?:%b|%b))?)*)" % (_TOKEN, _TOKEN, _QUOTED))
_TRAILER_LINE = re.compile(rb"(%b):[\t\x20-\x7e\x80-\xff]*" % _TOKEN)

# RFC 9110, 6.5.1: "a sender MUST NOT generate a trailer field unless the sender knows the corresponding
# header field name's definition permits": not for framing, routing, request modifiers, authentication, or
# content.
_FORBIDDEN_TRAILER = re.compile(
    rb"content-.*|transfer-encoding|trailer|te|host|connection|keep-alive|upgrade|via|forwarded|x-forwarded-.*"
    rb"|x-real-ip|proxy-.*|authorization|www-authenticate|authentication-info|cookie|set-cookie.*|origin|referer"
    rb"|expect|max-forwards|cache-control|pragma|range|if-.*|age|date|expires|location|retry-after|vary|warning"
    rb"|sec-.*|.*_.*",
    re.IGNORECASE,
)


class MalformedBody(OSError):
    """The body violates the chunked coding; answered with 400. An OSError, as Django expects of wsgi.input."""


class ChunkedDecoder:
    """Decodes one body. Once :attr:`finished`, :attr:`leftover` holds the bytes that followed it."""

    __slots__ = ("_buffer", "_left", "_overhead", "_trailers", "finished", "leftover")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0  # bytes left of the current chunk: its data, then its CRLF
        self._overhead = 0
        self._trailers = False
        self.finished = False
        self.leftover = b""

    def feed(self, data: bytes) -> bytes:
        """Return the body data in ``data``, possibly empty. Raises :exc:`MalformedBody`."""
        data = self._buffer + data
        self._buffer = b""
        position, out = 0, []
        while not self.finished:
            if self._left > 2:
                piece = data[position : position + self._left - 2]
                out.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left > 2:
                    break
            if self._left == 2:
                if not b"\r\n".startswith(data[position : position + 2]):
                    raise MalformedBody("a chunk is longer than its size")
                if len(data) - position < 2:
                    break
                position += 2
                self._left = 0
            end = data.find(b"\r\n", position)
            line = data[position : end if end >= 0 else len(data)]
            if end < 0:
                self._check_unfinished(line)
                break
            position = end + 2
            self._parse_line(line)
        if self.finished:
            self.leftover = data[position:]
        else:
            self._buffer = data[position:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _check_unfinished(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise MalformedBody("line too long in the chunked coding")
        if b"\n" in line or b"\r" in line[:-1]:
            raise MalformedBody("bare CR or LF in the chunked coding")

    def _parse_line(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise MalformedBody("line too long in the chunked coding")
        if self._trailers:
            self._parse_trailer(line)
            return
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise MalformedBody("malformed chunk size or extension")
        self._count(len(match[2]))
        size = int(match[1], 16)
        if size:
            self._left = size + 2
        else:
            self._trailers = True

    def _parse_trailer(self, line: bytes) -> None:
        if not line:
            self.finished = True
            return
        self._count(len(line))
        match = _TRAILER_LINE.fullmatch(line)
        if match is None:
            raise MalformedBody("malformed trailer")
        if _FORBIDDEN_TRAILER.fullmatch(match[1]):
            raise MalformedBody("the trailer holds a field that is only allowed in the header section")

    def _count(self, overhead: int) -> None:
        self._overhead += overhead
        if self._overhead > MAX_OVERHEAD:
            raise MalformedBody("chunk extensions and trailers are too large")
