"""The opening handshake (RFC 6455, section 4.2): parsing the client's request, and the parts of the response."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..exceptions import HandshakeError
from .deflate import PerMessageDeflate, negotiate_deflate

__all__ = ["TOKEN", "Handshake", "accept_key", "is_websocket_request", "parse_handshake"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Section 1.3: the GUID that a websocket server appends to the key."""

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""RFC 9110, section 5.6.2."""
_token = re.compile(TOKEN, re.ASCII)
_key = re.compile(r"[A-Za-z0-9+/]{22}==", re.ASCII)
# RFC 9110, section 5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements".
_extension_name = re.compile(rf"[ \t,]*({TOKEN})[ \t]*", re.ASCII)
_extension_param = re.compile(rf';[ \t]*({TOKEN})[ \t]*(?:=[ \t]*(?:({TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*)?', re.ASCII)

Extension = tuple[str, list[tuple[str, str | None]]]


@dataclass(frozen=True, slots=True)
class Handshake:
    """A valid client handshake."""

    key: str
    subprotocols: Sequence[str]
    extensions: Sequence[Extension]

    def choose_subprotocol(self, supported: Sequence[str]) -> str | None:
        """Return the first of ``supported`` that the client offers, or None (section 4.2.2, /subprotocol/)."""
        return next((name for name in supported if name in self.subprotocols), None)

    def choose_deflate(self, *, takeover: bool = False) -> tuple[str, PerMessageDeflate] | None:
        """Return the Sec-WebSocket-Extensions value and the extension for the first acceptable offer, or None."""
        for name, params in self.extensions:
            if name == "permessage-deflate" and (agreed := negotiate_deflate(params, takeover=takeover)):
                return agreed
        return None


def accept_key(key: str) -> str:
    """Return the value of Sec-WebSocket-Accept (section 4.2.2, step 5.4)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()


def is_websocket_request(headers: Mapping[str, str]) -> bool:
    """Whether a request tries to open a websocket, validly or not. Names in ``headers`` are lower case.

    Sec-WebSocket-Key and -Version count too: a proxy that isn't configured for websockets removes the hop-by-hop
    Upgrade header, and the client should get an error that says so.
    """
    upgrade = headers.get("upgrade")
    if upgrade is not None and "websocket" in _tokens(upgrade):
        return True
    return "sec-websocket-key" in headers or "sec-websocket-version" in headers


def parse_handshake(method: str, http_version: str, headers: Mapping[str, str]) -> Handshake:
    """Parse a client's handshake. Raises :exc:`HandshakeError` (400), which names the fault, if it is invalid.

    Names in ``headers`` are lower case, repeated headers joined by commas. ``http_version`` is like "HTTP/1.1".
    """
    # Section 4.1: "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1."
    if method != "GET":
        raise HandshakeError(400, f"a websocket handshake must be a GET, not {method}", {"Allow": "GET"})
    if http_version != "HTTP/1.1":
        raise HandshakeError(400, f"a websocket handshake requires HTTP/1.1, not {http_version}")
    if "websocket" not in _tokens(headers.get("upgrade", "")):
        raise HandshakeError(400, "the Upgrade header does not name websocket; is a proxy removing it?")
    if "upgrade" not in _tokens(headers.get("connection", "")):
        raise HandshakeError(400, "the Connection header does not name Upgrade; is a proxy removing it?")
    # Section 4.2.1 provides for no body. The bytes after the request are frames and must not be read as one.
    if headers.get("content-length", "0") not in ("", "0") or "transfer-encoding" in headers:
        raise HandshakeError(400, "a websocket handshake must have no body")
    # Section 4.4: "If the version [...] does not match a version understood by the server, [...] abort [...] and
    # send [...] an appropriate HTTP error code [...] and a |Sec-WebSocket-Version| header".
    version = headers.get("sec-websocket-version")
    if version is None or version.strip(" \t") != "13":
        found = "is missing" if version is None else "is not 13"
        raise HandshakeError(400, f"Sec-WebSocket-Version {found}", {"Sec-WebSocket-Version": "13"})
    # Section 4.2.1, item 5: "a base64-encoded value that, when decoded, is 16 bytes in length".
    key = headers.get("sec-websocket-key")
    if key is None or not _key.fullmatch(key := key.strip(" \t")):
        raise HandshakeError(400, f"Sec-WebSocket-Key {'is missing' if key is None else 'is not 16 bytes in base64'}")
    return Handshake(
        key,
        _parse_subprotocols(headers.get("sec-websocket-protocol")),
        _parse_extensions(headers.get("sec-websocket-extensions")),
    )


def _tokens(value: str) -> list[str]:
    return [token.strip(" \t").lower() for token in value.split(",")]


def _parse_subprotocols(value: str | None) -> Sequence[str]:
    if value is None:
        return ()
    # Section 4.1, item 10: "non-empty strings with characters in the range U+0021 to U+007E not including separator
    # characters [...] and MUST all be unique strings".
    names = [name for element in value.split(",") if (name := element.strip(" \t"))]
    if not names or not all(_token.fullmatch(name) for name in names):
        raise HandshakeError(400, "Sec-WebSocket-Protocol is not a list of tokens")
    if len(set(names)) != len(names):
        raise HandshakeError(400, "Sec-WebSocket-Protocol lists a subprotocol twice")
    return names


def _parse_extensions(value: str | None) -> Sequence[Extension]:
    """Section 9.1: what "does not conform to the ABNF" fails the connection."""
    if value is None:
        return ()
    extensions: list[Extension] = []
    pos = 0
    while True:
        match = _extension_name.match(value, pos)
        if match is None:
            if extensions and not value[pos:].strip(" \t,"):
                return extensions
            raise HandshakeError(400, "Sec-WebSocket-Extensions is malformed")
        name, pos = match[1].lower(), match.end()
        params: list[tuple[str, str | None]] = []
        while match := _extension_param.match(value, pos):
            pos = match.end()
            param: str | None = match[2]
            if match[3] is not None:
                # "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform
                # to the 'token' ABNF."
                param = re.sub(r"\\(.)", r"\1", match[3])
                if not _token.fullmatch(param):
                    raise HandshakeError(400, "Sec-WebSocket-Extensions is malformed")
            params.append((match[1].lower(), param))
        extensions.append((name, params))
        if pos == len(value):
            return extensions
        if value[pos] != ",":
            raise HandshakeError(400, "Sec-WebSocket-Extensions is malformed")
        pos += 1
