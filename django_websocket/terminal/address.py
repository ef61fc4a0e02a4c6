"""The URL of a websocket (RFC 6455, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.utils.encoding import iri_to_uri, punycode

__all__ = ["DEVELOPMENT", "Address", "parse_address"]

DEVELOPMENT = "ws://127.0.0.1:8000"
"""Where the development server listens."""

_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True)
class Address:
    """Where to connect to, and what to ask for."""

    secure: bool
    host: str
    port: int
    target: str
    """The path and the query, in ASCII."""

    @property
    def authority(self) -> str:
        """The host, with its port unless that is the scheme's own; the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["wss" if self.secure else "ws"] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """That of the pages of this host."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.target}"


def parse_address(url: str) -> Address:
    """Return what ``url`` means: an absolute one, or a path of the development server. Raises ValueError."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("a URL has no spaces")  # urlsplit() drops some
    parts = urlsplit(DEVELOPMENT + url if url.startswith("/") else url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("it must begin with ws://, wss:// or, for the development server, with /")
    if parts.username is not None:
        raise ValueError("it must not contain a password; write --header 'Authorization: ...'")
    # "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used on these URIs."
    if "#" in url:
        raise ValueError("it must not contain a fragment (#)")
    target = iri_to_uri(parts.path or "/") + (f"?{iri_to_uri(parts.query)}" if parts.query else "")
    host = parts.hostname if ":" in parts.hostname else punycode(parts.hostname)
    return Address(parts.scheme == "wss", host, parts.port or _PORTS[parts.scheme], target)
