"""The server side of a websocket after the handshake: bytes in, messages and bytes out.

The owner of the socket passes all received bytes to :meth:`Connection.receive_data`, and the end of the stream to
:meth:`Connection.receive_eof`. Messages queue up in :attr:`Connection.messages`; the protocol's own replies (pongs, the
close frame) come from :meth:`Connection.take_output`.

How a connection ends: three things end the client's input: its close frame, a protocol error, and the end of the TCP
stream. Each sets :attr:`Connection.ended`, and nothing is parsed after that. Our own close frame is then sent once,
but only after the view has taken the earlier messages, so that it can still answer them. Until then the frame
waits in :attr:`Connection.close_frame`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from ..close_codes import CloseCode
from ..exceptions import InvalidPayload, MessageTooBig, ProtocolError
from .assembly import Assembly, Message, check_size
from .deflate import INFLATE_SLICE
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_CONTROL_PAYLOAD,
    PING,
    PONG,
    TEXT,
    TEXT_HEADERS,
    close_payload,
    encode_frame,
    parse_close_payload,
)
from .masking import apply_mask

if TYPE_CHECKING:
    from .deflate import PerMessageDeflate

__all__ = ["MAX_PONGS", "Connection", "State"]

MAX_PONGS = 4096
"""Bytes of pending pongs; above this, only the latest ping is answered."""


class State(Enum):
    """The states of RFC 6455 after the opening handshake."""

    OPEN = "open"
    CLOSING = "closing"
    """One side has stopped sending (section 7.1.3); the other may still send."""
    CLOSED = "closed"
    """Neither side sends any more (section 7.1.4, except that TCP may still be open)."""


class DivertedMessages(list[Message]):
    """A queue of messages for connections on which not all are for the view; others have a plain list."""

    __slots__ = ("_takes",)

    def __init__(self, takes: Callable[[Message], bool]) -> None:
        super().__init__()
        self._takes = takes

    def append(self, message: Message) -> None:
        if not self._takes(message):
            super().append(message)


class Connection:
    """The protocol state of one open websocket, on the server side."""

    __slots__ = (
        "_assembly",
        "_deflate",
        "_fin",
        "_mask",
        "_max_queue",
        "_max_size",
        "_queued",
        "_tail",
        "can_send",
        "close_code",
        "close_frame",
        "close_reason",
        "close_received",
        "close_sent",
        "ended",
        "failure",
        "full",
        "has_events",
        "inflating",
        "messages",
        "messages_received",
        "messages_sent",
        "pong",
        "pongs",
        "remaining",
        "unqueued_frames_received",
    )

    def __init__(
        self,
        *,
        max_message_size: int = 1024 * 1024,
        max_queue: int = 64,
        deflate: PerMessageDeflate | None = None,
    ) -> None:
        self.messages: list[Message] = []
        """Complete messages that have not been taken yet, oldest first."""
        self.full = False
        """Whether parsing is paused because the queue is full; :meth:`resume` continues once messages are taken."""
        self.inflating = False
        """Whether parsing is paused because enough was inflated for now; :meth:`inflate` continues. Nothing may be
        passed to :meth:`receive_data` meanwhile."""
        self.ended = False
        """Whether input has ended: no further message will come."""
        self.can_send = True
        """Whether messages may still be sent: our close frame was not sent and the stream is not lost."""
        self.failure: Exception | None = None
        """The error that ended the connection: a ProtocolError, or the OSError that broke the stream."""
        self.close_frame: bytes | None = None
        """Our close frame, until the messages before it are taken."""
        self.close_sent: int | None = None
        """The code of our close frame, once the frame has been handed out for sending; else None."""
        self.close_code: int | None = None
        """The code of the first close frame, the client's or ours; 1006 if the stream ended without one."""
        self.close_reason = ""
        self.close_received: tuple[int, str] = (CloseCode.ABNORMAL_CLOSURE.value, "")
        """Code and reason of the client's close frame; 1006 until one is received."""
        self.messages_received = 0
        self.messages_sent = 0
        self.unqueued_frames_received = 0
        """Control frames and continuations so far, which no full queue stops."""
        self.has_events = False
        """Set on anything other than a message: a ping, a pong, a continuation, the end, or a pause. The handler of
        these events clears it."""
        self.pong: bytes | None = None
        """Pending pong frames, until :meth:`take_output` returns them."""
        self.pongs: list[bytes] = []
        """Payloads of received pongs, solicited or not, at most 8; the sender of pings removes them."""

        self._max_size = max_message_size
        self._max_queue = max_queue
        self._deflate = deflate
        self._queued = 0  # message bytes since the queue was last empty, except the first message
        self._tail = b""  # an incomplete frame header or control frame
        self.remaining = 0
        """Bytes still missing from the data frame being received."""
        # The mask and FIN bit of that frame, and the message it belongs to.
        self._mask = b""
        self._fin = False
        self._assembly: Assembly | None = None

    def use_deflate(self, deflate: PerMessageDeflate) -> None:
        """Compress and decompress messages from now on, as negotiated in the handshake."""
        self._deflate = deflate

    def limit_queue(self, max_queue: int) -> None:
        """Pause parsing, from now on, once so many messages are queued."""
        self._max_queue = max_queue

    def divert_messages(self, takes: Callable[[Message], bool]) -> None:
        """Queue no message that ``takes``, which may raise ProtocolError, returns True for; before any has come."""
        self.messages = DivertedMessages(takes)

    # Receiving

    def receive_data(self, data: bytes) -> None:
        """Process the next bytes of the stream; never raises ProtocolError, see :attr:`failure`."""
        if self.ended:
            return
        if self._tail:
            data = self._tail + data
            self._tail = b""
        try:
            self._parse(data)
            # Section 1.4: after sending a close frame, a peer discards data; only the client's close frame counts.
            while self.close_sent is not None and self.messages:
                self.messages.clear()
                if self.full:
                    self.full = False
                    data, self._tail = self._tail, b""
                    self._parse(data)
        except ProtocolError as failure:
            self.fail(failure)

    @property
    def state(self) -> State:
        """The state of the closing handshake."""
        if self.can_send:
            return State.CLOSING if self.ended else State.OPEN
        return State.CLOSED if self.ended else State.CLOSING

    def resume(self) -> None:
        """Continue parsing after :attr:`messages` were taken."""
        if self.full:
            self.full = False
            self.receive_data(b"")

    @property
    def deflate(self) -> PerMessageDeflate | None:
        """The negotiated compression; None if there is none."""
        return self._deflate

    def inflate(self) -> None:
        """Continue parsing where :attr:`inflating` paused it; never raises ProtocolError."""
        if not self.inflating:
            return
        assert self._deflate is not None, "only compressed messages are inflated"
        self.inflating = False
        self._deflate.allowance = INFLATE_SLICE
        self._deflate.compressed_size = self._deflate.inflated_size = 0
        if self._assembly is not None:
            try:
                self._receive_payload(b"")
            except ProtocolError as failure:
                self.fail(failure)
        if not self.inflating:
            self.receive_data(b"")

    def receive_eof(self, error: Exception | None = None) -> None:
        """Handle the end of the TCP stream; ``error`` is the cause of an abnormal end."""
        if error is not None and not self.ended:
            self._set_failure(error)
        self._end(CloseCode.ABNORMAL_CLOSURE, "")
        self.close_frame = None
        self.can_send = False

    def fail(self, failure: ProtocolError) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): prepare a close frame with its code, end the input."""
        if self.ended:
            return
        self._set_failure(failure)
        code = failure.close_code
        reason = str(failure)[:100]
        self._end(code, reason)
        if self.close_sent is None:
            self.close_frame = encode_frame(CLOSE, close_payload(code, reason))
        else:
            self.messages.clear()

    def _set_failure(self, failure: Exception) -> None:
        # Drop the traceback: its frames refer to this connection.
        failure.__context__ = None
        self.failure = failure.with_traceback(None)

    def _end(self, code: int, reason: str) -> None:
        self.ended = self.has_events = True
        self.full = self.inflating = False
        self._tail = b""
        self._assembly = None
        self.remaining = 0
        if self.close_code is None:
            self.close_code = int(code)
            self.close_reason = reason

    def _parse(self, data: bytes) -> None:
        # The hot path: a short text message that fills the buffer takes one pass through the loop, two slices, one
        # unmasking and one decoding.
        messages = self.messages
        if not messages:
            self._queued = 0
        pos = 0
        end = len(data)
        while True:
            if self.remaining:
                chunk = data[pos : pos + self.remaining]
                pos += len(chunk)
                self._receive_payload(chunk)
                if self.remaining:
                    return
                if self.inflating:
                    break
            if messages and (
                len(messages) >= self._max_queue or (self._queued > self._max_size and self._recount() > self._max_size)
            ):
                self.full = self.has_events = True
                break
            if end - pos < 2:
                break
            first = data[pos]
            length = data[pos + 1] - 128
            # Section 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
            if length < 0:
                raise ProtocolError("frame is not masked")
            start = pos + 6
            if length > 125:
                # Section 5.5: control frames have short payloads and are never fragmented.
                if first & 0x08:
                    raise ProtocolError("control frame payload exceeds 125 bytes")
                if length == 126:
                    start = pos + 8
                    if end < pos + 4:
                        self._check_header(first)
                        break
                    length = int.from_bytes(data[pos + 2 : pos + 4], "big")
                    # Section 5.2: "the minimal number of bytes MUST be used to encode the length".
                    if length < 126:
                        raise ProtocolError("payload length is not encoded in the fewest bytes")
                else:
                    start = pos + 14
                    if end < pos + 10:
                        self._check_header(first)
                        break
                    length = int.from_bytes(data[pos + 2 : pos + 10], "big")
                    if length < 65536:
                        raise ProtocolError("payload length is not encoded in the fewest bytes")
                    # Section 5.2: "the most significant bit MUST be 0".
                    if length >> 63:
                        raise ProtocolError("payload length with its most significant bit set")
            stop = start + length

            if (first == 0x81 or first == 0x82) and stop <= end and self._assembly is None:
                if length > self._max_size:
                    raise MessageTooBig(f"message of {length} bytes exceeds the limit of {self._max_size}")
                payload = apply_mask(data[start:stop], data[start - 4 : start])
                try:
                    messages.append(str(payload, "utf-8") if first == 0x81 else payload)
                except UnicodeDecodeError:
                    raise InvalidPayload("text message is not UTF-8") from None
                self.messages_received += 1
                if stop == end and not (self._queued or len(messages) > 1):
                    return  # alone in the buffer and in the queue: no limit applies
                self._queued += length
            elif first & 0x08:
                self._check_header(first)
                if stop > end:
                    break
                self._receive_control(first & 0x0F, apply_mask(data[start:stop], data[start - 4 : start]))
                if self.ended:
                    return
                pos = stop
                continue
            else:
                self._check_header(first)
                self._check_size(first, length)
                if start > end:
                    break
                self._begin_frame(first, length, data[start - 4 : start])
                self._receive_payload(data[start:stop])
                if stop > end:
                    return
                if self.inflating:
                    pos = stop
                    break
            pos = stop
        if pos < end:
            self._tail = data[pos:]

    def _recount(self) -> int:
        """Recompute the bytes queued, excluding what the view has taken since the queue was last empty."""
        self._queued = sum(map(len, self.messages))
        return self._queued

    def _check_header(self, first: int) -> None:
        """Raise ProtocolError if the first byte of a frame is invalid in the current state."""
        opcode = first & 0x0F
        # Section 5.2: "RSV1, RSV2, RSV3: MUST be 0 unless an extension is negotiated that defines meanings".
        if first & 0x30 or (first & 0x40 and (self._deflate is None or opcode not in (TEXT, BINARY))):
            raise ProtocolError("reserved bit is set")
        if opcode & 0x08:
            if opcode > PONG:
                raise ProtocolError(f"reserved opcode {opcode:#x}")
            # Section 5.4: "Control frames themselves MUST NOT be fragmented."
            if not first & 0x80:
                raise ProtocolError("fragmented control frame")
        elif opcode > BINARY:
            raise ProtocolError(f"reserved opcode {opcode:#x}")
        elif opcode == CONTINUATION:
            if self._assembly is None:
                raise ProtocolError("continuation frame without a message to continue")
            self._assembly.check_fragments()
        # Section 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another".
        elif self._assembly is not None:
            raise ProtocolError("new message within a fragmented message")

    def _check_size(self, first: int, length: int) -> None:
        if self._assembly is not None:
            self._assembly.check_size(length)
        else:
            check_size(length, self._max_size, compressed=bool(first & 0x40))

    def _begin_frame(self, first: int, length: int, mask: bytes) -> None:
        assembly = self._assembly
        if assembly is None:
            inflater = self._deflate.inflater() if first & 0x40 and self._deflate is not None else None
            is_text = first & 0x0F == TEXT
            assembly = self._assembly = Assembly(is_text=is_text, inflater=inflater, max_size=self._max_size)
        else:
            self.unqueued_frames_received += 1
            self.has_events = True
        assembly.begin_frame(length)
        self._fin = first >= 0x80
        self._mask = mask
        self.remaining = length

    def _receive_payload(self, chunk: bytes) -> None:
        """Process a piece of the current data frame's payload, possibly all of it or none."""
        assembly = self._assembly
        assert assembly is not None, "a payload belongs to a message"
        plain = b""
        if chunk:
            plain = apply_mask(chunk, self._mask)
            self.remaining -= len(chunk)
            if shift := len(chunk) % 4:
                self._mask = self._mask[shift:] + self._mask[:shift]
        is_last = self._fin and not self.remaining
        if assembly.inflater is not None:
            assert self._deflate is not None, "compression was negotiated"
            if not assembly.inflate(self._deflate, plain, is_last=is_last):
                self.inflating = self.has_events = True
                return
        elif chunk:
            assembly.add(plain)
        if not is_last:
            return
        message = assembly.finish()
        self._assembly = None
        self.messages_received += 1
        self._queued += assembly.length
        self.messages.append(message)

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        self.has_events = True
        self.unqueued_frames_received += 1
        if opcode == PING:
            pong = encode_frame(PONG, payload)
            # Section 5.5.3: "it MAY elect to send a Pong frame for only the most recently processed Ping frame".
            self.pong = pong if self.pong is None or len(self.pong) > MAX_PONGS else self.pong + pong
        elif opcode == PONG:
            # Section 5.5.3: "A Pong frame MAY be sent unsolicited", so the number kept is bounded.
            if len(self.pongs) < 8:
                self.pongs.append(payload)
        else:
            assert opcode == CLOSE, "_check_header refuses reserved opcodes"
            try:
                code, reason = parse_close_payload(payload)
            except UnicodeDecodeError:
                raise InvalidPayload("close reason is not UTF-8") from None
            except ValueError as error:
                raise ProtocolError(str(error)) from None
            self.close_received = code, reason
            self._end(code, reason)
            # Section 5.5.1: "the endpoint MUST send a Close frame in response [...] typically echos the status code".
            # The reason goes with it: what comes back is what a page that called close() finds in its close event.
            if self.close_sent is None:
                self.close_frame = encode_frame(CLOSE, payload)

    # Sending

    def take_output(self) -> bytes:
        """Return the pending replies: pongs, and the close frame once the messages before it are taken."""
        output = b""
        if self.pong is not None:
            # Section 5.5.2: "an endpoint MUST send a Pong frame in response, unless it already received a Close frame".
            if self.close_sent is None or not self.ended:
                output = self.pong
            self.pong = None
        if self.close_frame is not None and not self.messages:
            output += self.take_close_frame()
        return output

    def take_close_frame(self) -> bytes:
        """Return the pending close frame, even if earlier messages were not taken; empty if there is none."""
        frame = self.close_frame
        if frame is None:
            return b""
        self.close_frame = None
        self.can_send = False
        self.close_sent = int.from_bytes(frame[2:4], "big") if len(frame) > 2 else CloseCode.NO_STATUS_RCVD.value
        return frame

    def close(self, code: int = 1000, reason: str = "") -> bytes:
        """Start the closing handshake; return the close frame to send, empty if one was already sent.

        If the client's close frame was received first, return the reply to it instead. Discards the messages not taken
        yet. Raises ValueError for a code or reason that may not be sent.
        """
        payload = close_payload(code, reason)
        if self.close_sent is not None:
            return b""
        if self.close_frame is not None:
            return self.take_close_frame()
        if self.ended:
            return b""
        self.messages.clear()
        self.can_send = False
        self.close_sent = self.close_code = int(code)
        self.close_reason = reason
        self.resume()  # the client's close frame may be behind the discarded messages
        return encode_frame(CLOSE, payload)

    def encode_text(self, text: str, compress: bool | None = None) -> bytes:
        """Return the frame of a text message. Raises UnicodeEncodeError if ``text`` has lone surrogates.

        The caller increments :attr:`messages_sent`.
        """
        payload = text.encode()
        if self._deflate is not None and compress is not False:
            return self._deflate.encode(TEXT, payload, compress)
        if len(payload) < 126:  # same as encode_frame(), at a third of its cost
            return TEXT_HEADERS[len(payload)] + payload
        return encode_frame(TEXT, payload)

    def encode_binary(self, data: bytes, compress: bool | None = None) -> bytes:
        """Return the frame of a binary message; the caller increments :attr:`messages_sent`."""
        if self._deflate is not None and compress is not False:
            return self._deflate.encode(BINARY, data, compress)
        return encode_frame(BINARY, data)

    def encode_ping(self, payload: bytes = b"") -> bytes:
        """Return a ping frame. Raises ValueError if ``payload`` exceeds 125 bytes."""
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError("the payload of a ping is limited to 125 bytes")
        return encode_frame(PING, payload)
