"""Validates request heads: bytes in, an approved :class:`Head` or a :class:`Refusal` out.

h11 does the parsing, but is lenient where a proxy in front may disagree: it joins folded lines, merges repeated
Content-Length fields, accepts bare LF as a line end and control characters in values. Each of these has been used for
request smuggling, so this module is stricter: anything not plainly well-formed gets one error response and the
connection is closed. References are to RFC 9112 (HTTP/1.1) unless they say RFC 9110 (semantics).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11

from ...protocol.handshake import TOKEN

__all__ = [
    "MAX_HEADERS",
    "MAX_HEADER_BYTES",
    "MAX_REQUEST_LINE",
    "Head",
    "Refusal",
    "approve_head",
    "refuse_unfinished",
]

MAX_REQUEST_LINE = 8 * 1024
"""Bytes; RFC 9112, section 3 recommends at least 8000."""

MAX_HEADERS = 100
MAX_HEADER_BYTES = 64 * 1024

MAX_LENGTH_DIGITS = 18
"""Enough digits for any real Content-Length, too few to overflow 64 bits in any hop."""

_TOKEN = re.compile(TOKEN.encode())
_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])" % TOKEN.encode())
_ALLOWED = bytes({*b"\t\r\n", *range(0x20, 0x7F), *range(0x80, 0x100)})
"""Everything but control characters (RFC 9110, section 5.5), except HTAB and, in pairs, CR and LF."""

_HOST = re.compile(rb"(?:[0-9A-Za-z._~\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE)
_CHUNKED = [b"chunked"]
_INSPECTED = frozenset((b"host", b"expect", b"connection"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error response to a rejected request: an HTTP status and the text of the body."""

    status: int
    reason: str
    retry_after: int | None = None
    """Seconds."""


@dataclass(slots=True)
class Head:
    """An approved request head. ``path`` is still percent-encoded; header names are lower case."""

    method: str
    target: str
    path: str
    query: str
    protocol: str
    headers: list[tuple[bytes, bytes]]
    content_length: int | None
    chunked: bool
    expects_continue: bool
    keep_alive: bool


def refuse_unfinished(received: bytes | bytearray, start: int = 0) -> Refusal | None:
    """Reject early a head that begins with ``received`` and can't become valid; None while it may.

    Bytes before ``start`` were checked by an earlier call.
    """
    skip = 2 if received[:2] == b"\r\n" else 0
    if len(received) > skip and received[skip] <= 0x20 and received != b"\r":
        return Refusal(400, "The request line is malformed.")
    if _has_forbidden(received[start - 1 if start and received[start - 1] == 0x0D else start :]):
        return Refusal(400, "The request head contains a control character or a bare CR or LF.")
    line_end = received.find(b"\r\n", skip)
    if (line_end if line_end >= 0 else len(received) - 1) - skip > MAX_REQUEST_LINE:
        return Refusal(414, "The request line is too long.")
    if line_end >= 0 and len(received) - line_end - 2 > MAX_HEADER_BYTES + 2:
        return Refusal(431, "The request headers are too large.")
    return None


def _has_forbidden(part: bytes | bytearray) -> bool:
    """Whether part of a head contains a control character or a bare CR or LF; a trailing CR is allowed."""
    pairs = part.count(b"\r\n")
    return (
        bool(part.translate(None, _ALLOWED))
        or part.count(b"\n") != pairs
        or part.count(b"\r") - part.endswith(b"\r") != pairs
    )


def approve_head(raw: bytes) -> Head | Refusal:
    """Validate ``raw``, one request head up to and including its empty line."""
    # 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty
    # line (CRLF) received prior to the request-line." Old clients send one after a body, never more.
    if raw[:2] == b"\r\n":
        raw = raw[2:]
    refusal = refuse_unfinished(raw)
    if refusal is not None:
        return refusal
    line_end = raw.find(b"\r\n")
    match = _REQUEST_LINE.fullmatch(raw, 0, line_end)
    if match is None:
        return Refusal(400, "The request line is malformed.")
    method, target, major, minor = match.groups()
    # RFC 9110, 15.6.6: "The 505 (HTTP Version Not Supported) status code indicates that the server does not
    # support ... the major version of HTTP that was used in the request message."
    if major != b"1" or minor not in b"01":
        return Refusal(505, "Only HTTP/1.0 and HTTP/1.1 are supported.")
    # RFC 9110, 9.3.6: CONNECT is for proxies.
    if method == b"CONNECT":
        return Refusal(501, "This server is not a proxy.")
    if raw.count(b"\r\n") - 2 > MAX_HEADERS:
        return Refusal(431, "Too many request headers.")
    # 5.2: "A server that receives an obs-fold in a request message ... MUST either reject the message by sending a
    # 400 (Bad Request) ... or replace each received obs-fold". h11 replaces it.
    if b"\r\n " in raw or b"\r\n\t" in raw:
        return Refusal(400, "A request header is folded over several lines.")
    return _validate(raw, method, target, minor == b"1")


def _validate(raw: bytes, method: bytes, target: bytes, is_11: bool) -> Head | Refusal:
    lowered = raw.lower()
    # The raw values: h11 merges repeated or listed lengths that are equal.
    lengths, codings = _sent_values(lowered, b"content-length"), _sent_values(lowered, b"transfer-encoding")
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(raw)
    try:
        request = parser.next_event()
    except h11.RemoteProtocolError as error:
        refusal = None
        if error.error_status_hint == 501 and not _validate_host(_sent_values(lowered, b"host") or [], is_11):
            refusal = _validate_framing(lengths, codings, is_11)
        # Not h11's message, which quotes the client's input.
        return refusal or Refusal(400, "The request head is malformed.")
    if not isinstance(request, h11.Request):
        raise AssertionError("h11 was given a complete head")
    headers: list[tuple[bytes, bytes]] = []
    fields: dict[bytes, list[bytes]] = {}
    for sent_name, value in request.headers.raw_items():
        name = sent_name.lower()
        if name in _INSPECTED:
            fields.setdefault(name, []).append(value)
        # "X-User" and "X_User" map to the same CGI variable, so a client could spoof a header that a proxy sets.
        if b"_" not in name:
            headers.append((name, value))
    hosts = fields.get(b"host", [])
    refusal = _validate_host(hosts, is_11)
    if refusal is not None:
        return refusal
    where = _split_target(method, target, hosts)
    if isinstance(where, Refusal):
        return where
    path, query = where
    refusal = _validate_framing(lengths, codings, is_11)
    if refusal is not None:
        return refusal
    # RFC 9110, 10.1.1: "A server that receives an Expect field value containing a member other than
    # 100-continue MAY respond with a 417", and "in an HTTP/1.0 request MUST ignore" 100-continue.
    expect = fields.get(b"expect")
    if expect is not None and [value.lower() for value in expect] != [b"100-continue"]:
        return Refusal(417, "The only supported expectation is 100-continue.")
    if not hosts and target[:1] not in b"/*":
        # 3.2.2: the authority of an absolute-form target stands for Host, which HTTP/1.0 may lack.
        headers.append((b"host", target.split(b"/", 3)[2].partition(b"?")[0]))
    connection = b",".join(fields.get(b"connection", ())).lower()
    return Head(
        method=method.decode("ascii"),
        target=target.decode("ascii"),
        path=path.decode("ascii"),
        query=query.decode("ascii"),
        protocol="HTTP/1.1" if is_11 else "HTTP/1.0",
        headers=headers,
        content_length=int(lengths[0]) if lengths else None,
        chunked=codings is not None,
        expects_continue=expect is not None and is_11,
        keep_alive=is_11 and b"close" not in [token.strip(b" \t") for token in connection.split(b",")],
    )


def _sent_values(lowered: bytes, name: bytes) -> list[bytes] | None:
    """Return the values of all fields called ``name`` in a lower-cased head, None if there are none."""
    start = b"\r\n" + name + b":"
    if start not in lowered:
        return None
    return [part.partition(b"\r\n")[0].strip(b" \t") for part in lowered.split(start)[1:]]


def _validate_host(hosts: list[bytes], is_11: bool) -> Refusal | None:
    # 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    # lacks a Host header field and to any request message that contains more than one Host header field line
    # or a Host header field with an invalid field value."
    if len(hosts) > 1 or (is_11 and not hosts):
        return Refusal(400, "There must be exactly one Host header.")
    if hosts and not _is_host(hosts[0]):
        return Refusal(400, "The Host header is invalid.")
    return None


def _is_host(value: bytes) -> bool:
    match = _HOST.fullmatch(value)
    return match is not None and int(match[1] or 0) <= 65535


def _split_target(method: bytes, target: bytes, hosts: list[bytes]) -> tuple[bytes, bytes] | Refusal:
    """Return path and query of a request target in a form allowed for ``method`` (section 3.2)."""
    if b"#" in target:
        return Refusal(400, "The request target contains a fragment.")
    if target[:1] == b"/":
        path, _, query = target.partition(b"?")
        return path, query
    # 3.2.4: the asterisk-form "is only used for a server-wide OPTIONS request". In WSGI it can only be
    # the empty path.
    if target == b"*":
        return (b"", b"") if method == b"OPTIONS" else Refusal(400, "The target * is only allowed with OPTIONS.")
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return Refusal(400, "The form of the request target is not supported.")
    authority, absolute_path, absolute_query = match.groups()
    # 3.2.2: "an origin server MUST ignore the received Host header field (if any) and instead use the host
    # information of the request-target." Two different hosts suggest a smuggling attempt.
    if not _is_host(authority) or (hosts and authority.lower() != hosts[0].lower()):
        return Refusal(400, "The request target and the Host header name different hosts.")
    return absolute_path or (b"" if method == b"OPTIONS" else b"/"), absolute_query or b""


def _validate_framing(lengths: list[bytes] | None, codings: list[bytes] | None, is_11: bool) -> Refusal | None:
    if codings is not None:
        # 6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding"; 11.2
        # gives the reasons.
        if lengths is not None:
            return Refusal(400, "Content-Length and Transfer-Encoding must not be combined.")
        # 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header
        # field MUST treat the message as if the framing is faulty".
        if not is_11:
            return Refusal(400, "Transfer-Encoding is not allowed in HTTP/1.0.")
        names = [name.strip(b" \t").lower() for name in b",".join(codings).split(b",")]
        if names == _CHUNKED:
            return None
        # 6.3: "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is
        # not the final encoding, ... the server MUST respond with the 400 (Bad Request) status code".
        if any(_TOKEN.fullmatch(name) is None for name in names) or b"chunked" in names[:-1]:
            return Refusal(400, "Transfer-Encoding is malformed.")
        # 6.1: "A server that receives a request message with a transfer coding it does not understand SHOULD
        # respond with 501 (Not Implemented)."
        return Refusal(501, "The only supported transfer coding is chunked.")
    # 6.3: "If a message is received without Transfer-Encoding and with an invalid Content-Length header
    # field, then the message framing is invalid". A list of equal values may be accepted; rejecting it is
    # safer.
    if lengths is not None and (len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > MAX_LENGTH_DIGITS):
        return Refusal(400, "Content-Length is malformed.")
    return None
