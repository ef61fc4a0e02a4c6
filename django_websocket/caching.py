"""Pages and handshakes share their URLs; no cache may mistake one for the other.

Django's own cache leaves handshakes alone (:func:`.compat.django.bypass_page_cache`). Caches in front of it, such as
nginx's, go by ``Vary``.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from .protocol.handshake import is_websocket_request

__all__ = ["is_handshake", "vary_on_upgrade"]


def is_handshake(request: HttpRequest) -> bool:
    """Whether a request means to open a websocket, rightly or not."""
    meta = request.META
    if "HTTP_SEC_WEBSOCKET_KEY" in meta or "HTTP_SEC_WEBSOCKET_VERSION" in meta:
        return True
    upgrade = meta.get("HTTP_UPGRADE")
    return upgrade is not None and is_websocket_request({"upgrade": upgrade})


def vary_on_upgrade(response: HttpResponseBase) -> None:
    """Say that ``response`` is the answer to a plain request, or to a handshake, and to no other.

    RFC 9110, section 12.5.5: Vary names what "might have influenced the origin server's process for selecting the
    content". A cache that can pass a handshake on sees Upgrade, hop-by-hop though it is. Sec-WebSocket-Key is another
    each time, so it would say no more. A 101 is not cacheable (RFC 9111, section 3), and goes without.
    """
    if response.status_code != 101:
        patch_vary_headers(response, ("Upgrade",))
