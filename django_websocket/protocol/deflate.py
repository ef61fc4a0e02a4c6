"""permessage-deflate (RFC 7692): negotiation, compression and decompression.

By default neither side keeps its compression window between messages ("no context takeover"): an idle socket then holds
no zlib state, and a broadcast is compressed once for all its receivers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from ..exceptions import InvalidPayload, PolicyViolation
from .frames import encode_frame

__all__ = ["INFLATE_SLICE", "Inflater", "PerMessageDeflate", "negotiate_deflate"]

MIN_SIZE = 128
"""Messages shorter than this many bytes are sent uncompressed: compressing them costs more than it saves."""

SYNC_TAIL = b"\x00\x00\xff\xff"
"""Removed from the end of a compressed message (section 7.2.1) and appended before inflating (7.2.2)."""

MAX_STREAMS = 128
"""Deflate streams that a message may consist of. Each costs a decompressor and a copy of the remaining input, and may
be two bytes long: 64 KiB of them took a tenth of a second. A legitimate client ends at most one per flush."""

INFLATE_SLICE = 64 * 1024
"""Bytes that a connection inflates before others get their turn. It takes a quarter of a millisecond."""

Params = Sequence[tuple[str, str | None]]


class Inflater:
    """Inflates one message, or all messages under context takeover."""

    __slots__ = ("_streams", "_zlib", "has_more", "rest")

    TAIL = SYNC_TAIL

    def __init__(self) -> None:
        self.rest = b""
        """Input that is not inflated yet."""
        self.has_more = False
        """Whether the latest output reached its limit, so there may be more without further input."""
        self._zlib = zlib.decompressobj(wbits=-15)
        self._streams = 0

    def begin_message(self) -> None:
        """Reset the stream count of the previous message."""
        self._streams = 0

    def inflate(self, data: bytes, limit: int) -> bytes:
        """Inflate :attr:`rest` and ``data``; return at most ``limit`` bytes, where ``limit`` is at least 1.

        Raises InvalidPayload if it isn't deflate data, PolicyViolation if the message has more than :data:`MAX_STREAMS`
        streams.
        """
        try:
            output = self._zlib.decompress(self.rest + data, limit)
            self.rest = self._zlib.unconsumed_tail
            # Section 7.2.3.5: a block with BFINAL set ends a deflate stream, and another one may follow.
            while self._zlib.eof:
                self._streams += 1
                if self._streams > MAX_STREAMS:
                    raise PolicyViolation(f"compressed message has more than {MAX_STREAMS} deflate streams")
                self.rest = self._zlib.unused_data
                self._zlib = zlib.decompressobj(wbits=-15)
                if not self.rest or len(output) >= limit:
                    break
                output += self._zlib.decompress(self.rest, limit - len(output))
                self.rest = self._zlib.unconsumed_tail
        except zlib.error:
            raise InvalidPayload("compressed message can't be inflated") from None
        self.has_more = len(output) >= limit
        return output


class PerMessageDeflate:
    """The negotiated parameters, and the compressor and decompressor kept under context takeover."""

    __slots__ = (
        "_compressor",
        "_inflater",
        "allowance",
        "client_takeover",
        "compressed_size",
        "inflated_size",
        "server_takeover",
        "window_bits",
    )

    def __init__(self, *, window_bits: int = 15, server_takeover: bool = False, client_takeover: bool = False) -> None:
        self.window_bits = window_bits
        self.server_takeover = server_takeover
        self.client_takeover = client_takeover
        self.allowance = INFLATE_SLICE
        """Bytes that may be inflated before the next pause."""
        self.compressed_size = 0
        self.inflated_size = 0
        """Payload bytes inflated since the latest pause, before and after."""
        self._compressor = None if not server_takeover else self._new_compressor()
        self._inflater = None if not client_takeover else Inflater()

    def _new_compressor(self) -> zlib._Compress:
        return zlib.compressobj(wbits=-self.window_bits)

    def inflater(self) -> Inflater:
        """Return the inflater for the next message."""
        if self._inflater is None:
            return Inflater()
        self._inflater.begin_message()
        return self._inflater

    def encode(self, opcode: int, payload: bytes, compress: bool | None = None) -> bytes:
        """Return the frame of a message, compressed if that pays off or if ``compress`` is True."""
        if len(payload) < MIN_SIZE and not compress:
            return encode_frame(opcode, payload)
        compressor = self._new_compressor() if self._compressor is None else self._compressor
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        # Section 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
        data = data[:-4]
        if self._compressor is None and len(data) >= len(payload) and not compress:
            return encode_frame(opcode, payload)
        return encode_frame(opcode, data, rsv1=True)


def negotiate_deflate(offer: Params, *, takeover: bool = False) -> tuple[str, PerMessageDeflate] | None:
    """Answer an offer of permessage-deflate; return the response's element and the extension, or None to decline.

    ``takeover`` lets both sides keep their window between messages unless the offer says otherwise.
    """
    server_takeover = client_takeover = takeover
    window_bits = 15
    seen = set()
    for name, value in offer:
        # Section 7.1: decline an offer with "an extension parameter with an invalid value", "not defined for use in
        # an offer", or "multiple extension parameters with the same name".
        if name in seen:
            return None
        seen.add(name)
        if name == "server_no_context_takeover":
            if value is not None:
                return None
            server_takeover = False
        elif name == "client_no_context_takeover":
            if value is not None:
                return None
            client_takeover = False
        elif name == "server_max_window_bits":
            # zlib has no raw deflate with a window of 256 bytes, so 8 is declined.
            if value is None or not _is_window(value) or value == "8":
                return None
            window_bits = int(value)
        elif name == "client_max_window_bits":
            if value is not None and not _is_window(value):
                return None
        else:
            return None
    response = "permessage-deflate"
    # Section 7.1.1.2: a server may require client_no_context_takeover even if the offer does not include it.
    if not server_takeover:
        response += "; server_no_context_takeover"
    if not client_takeover:
        response += "; client_no_context_takeover"
    # Section 7.1.2.1: the response includes server_max_window_bits if the offer does. Our inflater handles any client
    # window, so client_max_window_bits (section 7.1.2.2) is left out.
    if "server_max_window_bits" in seen:
        response += f"; server_max_window_bits={window_bits}"
    return response, PerMessageDeflate(
        window_bits=window_bits, server_takeover=server_takeover, client_takeover=client_takeover
    )


def _is_window(value: str) -> bool:
    # Section 7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
    return value in ("8", "9", "10", "11", "12", "13", "14", "15")
