"""Keeps caches from confusing pages with handshakes, which can share a URL.

Django's own cache ignores handshakes (:func:`.compat.django.bypass_page_cache`), and its conditional responses never
answer one with a 304 (:func:`.compat.django.forbid_not_modified`): RFC 9110, section 13.2.1, "A server MUST ignore all
received preconditions if its response to the same request without those conditions [...] would have been a status code
other than a 2xx (Successful) or 412 (Precondition Failed)". Caches in front of Django, such as nginx's, rely on
``Vary``.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from .protocol.handshake import is_websocket_request

__all__ = ["is_handshake", "vary_on_upgrade"]


def is_handshake(request: HttpRequest) -> bool:
    """Whether a request tries to open a websocket, even if the handshake is invalid."""
    meta = request.META
    if "HTTP_SEC_WEBSOCKET_KEY" in meta or "HTTP_SEC_WEBSOCKET_VERSION" in meta:
        return True
    upgrade = meta.get("HTTP_UPGRADE")
    return upgrade is not None and is_websocket_request({"upgrade": upgrade})


def vary_on_upgrade(response: HttpResponseBase) -> None:
    """Add ``Vary: Upgrade``, so that caches don't answer a handshake with a page's response or vice versa.

    RFC 9110, section 12.5.5: Vary names what "might have influenced the origin server's process for selecting the
    content". Upgrade is hop-by-hop, but a cache that forwards handshakes sees it. Sec-WebSocket-Key differs each time,
    so adding it would gain nothing. A 101 is not cacheable (RFC 9111, section 3), so it is left unchanged.
    """
    if response.status_code != 101:
        patch_vary_headers(response, ("Upgrade",))
