"""Opening a connection, and the client's side of the opening handshake (RFC 6455, section 4.1)."""

from __future__ import annotations

import base64
import io
import re
import secrets
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any

from ..protocol.handshake import TOKEN, accept_key
from .address import Address

__all__ = ["Refused", "check_header", "connect", "shake_hands"]

MAX_BODY = 65536
"""Bytes that are read of the body of a refusal."""

_name = re.compile(TOKEN, re.ASCII)
_value = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OWN = ("connection", "upgrade", "sec-websocket-")


class Refused(Exception):
    """The server answered the handshake with something else than a websocket; the text says with what."""


def check_header(name: str, value: str) -> None:
    """Raise ValueError if the header can't be sent, or is the handshake's own."""
    if not _name.fullmatch(name) or not _value.fullmatch(value):
        raise ValueError(f"not a header: {name}: {value!r}")
    if name.lower().startswith(_OWN):
        raise ValueError(f"the handshake itself sets {name}")


def connect(address: Address, *, timeout: float, verify: bool) -> socket.socket:
    """Open a connection, with TLS if the address says so. Raises OSError, such as SSLError for a bad certificate."""
    sock = socket.create_connection((address.host, address.port), timeout)
    if not address.secure:
        return sock
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise


def shake_hands(
    sock: socket.socket,
    address: Address,
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    *,
    timeout: float,
) -> str | None:
    """Open the websocket; return the subprotocol that the server chose. Reads no byte of the first frame.

    ``headers`` may replace ``Host``. Raises :exc:`Refused` if the server doesn't open one, OSError.
    """
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    sent = {"host": ("Host", address.authority)}
    sent |= {name.lower(): (name, value) for name, value in headers.items()}
    lines = [
        f"GET {address.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in sent.values()),
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    if subprotocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    response = HTTPResponse(_Source(sock, time.monotonic() + timeout))  # type: ignore[arg-type]  # only makefile() is used
    try:
        response.begin()
        if response.status != 101:
            raise Refused(_describe(response))
    except HTTPException as error:
        raise Refused(f"no HTTP response ({type(error).__name__} {error})".rstrip()) from error
    _check(response, key)
    chosen = response.headers.get("Sec-WebSocket-Protocol")
    # "If the response includes a |Sec-WebSocket-Protocol| header field and this header field indicates the use of a
    # subprotocol that was not present in the client's handshake [...], the client MUST _Fail the WebSocket
    # Connection_."
    if chosen is not None and chosen not in subprotocols:
        raise Refused(f"the server chose the subprotocol {chosen!r}, which was not offered")
    return chosen


def _check(response: HTTPResponse, key: str) -> None:
    """Raise Refused for a 101 that does not open a websocket."""
    headers = response.headers
    if headers.get("Upgrade", "").strip().lower() != "websocket":
        raise Refused("the 101 has no 'Upgrade: websocket'")
    if "upgrade" not in (token.strip().lower() for token in ",".join(headers.get_all("Connection", [])).split(",")):
        raise Refused("the 101 has no 'Connection: Upgrade'")
    if headers.get("Sec-WebSocket-Accept", "").strip() != accept_key(key):
        raise Refused("the 101 has a wrong Sec-WebSocket-Accept")
    if headers.get("Sec-WebSocket-Extensions") is not None:
        raise Refused("the server uses extensions, which were not offered")


def _describe(response: HTTPResponse) -> str:
    """The status, where a redirect leads, and what a body in plain text says."""
    text = f"{response.status} {response.reason}".strip()
    if location := response.headers.get("Location"):
        text += f", redirected to {location}"
    if response.headers.get_content_type() == "text/plain":
        try:
            body = response.read(MAX_BODY)
        except (OSError, HTTPException):
            body = b""
        if said := body.decode(errors="replace").strip():
            text += f": {said}"
    return text


class _Source(io.RawIOBase):
    """What arrives until a point in time. Without a buffer, so that nothing behind the head is read."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock = sock
        self._end = end

    def makefile(self, mode: str) -> Any:
        return self

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(remaining)
        return self._sock.recv_into(buffer)
