"""The chunked transfer coding of request bodies (RFC 9112, section 7.1): bytes in, data out.

Strict where h11 is not (h11 lets bare CR and any control character into chunk extensions, bare LF and folded
lines into trailers, and whitespace behind the size): each has been read in two ways by two servers. A guard
in front of h11 would be this state machine once more, so the state machine decodes as well.
"""

from __future__ import annotations

import re

from ...protocol.handshake import TOKEN

__all__ = ["MAX_OVERHEAD", "ChunkedDecoder", "MalformedBody"]

MAX_OVERHEAD = 16 * 1024
"""Bytes of chunk extensions and of trailers that one body may carry; nobody here reads either
(CVE-2023-39326)."""

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
    """The chunked body breaks the coding; the request gets a 400. An OSError, as Django expects of
    wsgi.input.
    """


class ChunkedDecoder:
    """Decodes one body; :attr:`finished` once its end was seen, and then :attr:`leftover` is what came behind
    it.
    """

    __slots__ = ("_buffer", "_left", "_overhead", "_trailers", "finished", "leftover")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0  # of the current chunk: its data, then its CRLF
        self._overhead = 0
        self._trailers = False
        self.finished = False
        self.leftover = b""

    def feed(self, data: bytes) -> bytes:
        """The body data in ``data``, which may be empty. Raises :exc:`MalformedBody`."""
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
            self._take_line(line)
        if self.finished:
            self.leftover = data[position:]
        else:
            self._buffer = data[position:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _check_unfinished(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise MalformedBody("a line of the chunked coding is too long")
        if b"\n" in line or b"\r" in line[:-1]:
            raise MalformedBody("a bare CR or LF in the chunked coding")

    def _take_line(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise MalformedBody("a line of the chunked coding is too long")
        if self._trailers:
            self._take_trailer(line)
            return
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise MalformedBody("a malformed chunk size or extension")
        self._count(len(match[2]))
        size = int(match[1], 16)
        if size:
            self._left = size + 2
        else:
            self._trailers = True

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.finished = True
            return
        self._count(len(line))
        match = _TRAILER_LINE.fullmatch(line)
        if match is None:
            raise MalformedBody("a malformed trailer")
        if _FORBIDDEN_TRAILER.fullmatch(match[1]):
            raise MalformedBody("a trailer that belongs into the head")

    def _count(self, overhead: int) -> None:
        self._overhead += overhead
        if self._overhead > MAX_OVERHEAD:
            raise MalformedBody("too much chunk extension or trailer")
