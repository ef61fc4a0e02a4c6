"""The Origin check.

A browser sends cookies with a websocket handshake from any page, and CSRF protection doesn't cover GET. So the page's
origin decides (RFC 6455, section 10.2). Clients other than browsers send no Origin and are allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from .memo import Memo

__all__ = ["is_allowed_origin"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

MAX_LENGTH = 300
"""Maximum characters of an origin: a host name has at most 253."""

Parsed = tuple[str, str, int | None]


def is_allowed_origin(request: HttpRequest, allowed: Iterable[str] | None) -> bool:
    """Whether the request may open a websocket.

    ``allowed`` are origins as in CSRF_TRUSTED_ORIGINS (``https://example.com``, ``https://*.example.com``), or ``*``.
    None means the request's own host and CSRF_TRUSTED_ORIGINS. An https page of the own host may connect by a request
    that looks like http, since a proxy in front may have terminated TLS; never the other way round.
    """
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None:
        return True
    if allowed is None:
        return _is_own_host(request, origin) or _matches(origin, settings.CSRF_TRUSTED_ORIGINS)
    return _matches(origin, allowed)


def _parse(origin: str) -> Parsed | None:
    """Return the scheme, host and port of an origin; None if it isn't one, such as "null"."""
    if len(origin) > MAX_LENGTH:  # urlsplit() caches its last arguments
        return None
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if not parts.scheme or not host:
        return None
    # RFC 6454, section 6.2: a scheme, "://", a host, and an optional port. urlsplit() ignores empty components.
    if any(character in "/?#@" for character in origin.partition("://")[2]) or any(map(str.isspace, origin)):
        return None
    return parts.scheme, host, port if port is not None else _DEFAULT_PORTS.get(parts.scheme)


_origins = Memo(_parse, entries=64, length=MAX_LENGTH)


def _is_own_host(request: HttpRequest, origin: str) -> bool:
    parsed = _origins[origin]
    if parsed is None:
        return False
    scheme, host, port = parsed
    if scheme != "https" and (request.is_secure() or scheme != "http"):
        return False
    # A Host header without a port means the default port of the page's scheme.
    own = _origins[f"{scheme}://{request.get_host()}"]
    return own is not None and own[1:] == (host, port)


def _matches(origin: str, allowed: Iterable[str]) -> bool:
    parsed = _origins[origin]
    for pattern in allowed:
        if pattern == "*" or pattern.lower() == origin.lower():
            return True
        if parsed is None:
            continue
        wildcard = "://*." in pattern
        expected = _origins[pattern.replace("://*.", "://", 1) if wildcard else pattern]
        if expected is None or (expected[0], expected[2]) != (parsed[0], parsed[2]):
            continue
        if parsed[1] == expected[1] or (wildcard and parsed[1].endswith("." + expected[1])):
            return True
    return False
