"""Who opened a websocket, as far as its request knows that without a query."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from django.http import HttpRequest

from .addresses import client_address, parse_networks
from .compat.django import known_user
from .conf import get_setting

__all__ = ["NOBODY", "Visitor", "one_line", "visitor_of"]

_request_id = re.compile(r"[A-Za-z0-9._~:/+=@,-]{1,128}")
"""What may go into a log as it is."""


class Visitor(NamedTuple):
    """What is known beside where the connection comes from. The values are the request's and its user's own."""

    address: str | None = None
    """The client's address, if a middleware, or a proxy that is trusted, named it."""
    user_id: Any = None
    """The primary key of the user, if the user was loaded."""
    user_name: str = ""
    """That user's name."""
    request_id: str | None = None
    """The handshake's X-Request-ID."""


NOBODY = Visitor()


def one_line(text: str) -> str:
    """A user's name or primary key for a log: with line breaks, which not every model forbids, escaped."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def visitor_of(request: HttpRequest, peer_host: str, before: Visitor = NOBODY) -> Visitor:
    """Return what is known beside ``peer_host``, the address at the other end of the connection.

    ``before`` is what this returned earlier; then only the user is looked for, who may have logged out since.
    Loads nothing: a user whom neither middleware nor the view asked for is not known.
    """
    user_id, user_name = before.user_id, before.user_name
    user = known_user(request)
    if user is not None and getattr(user, "is_authenticated", False):
        user_id = getattr(user, "pk", None)
        user_name = str(user.get_username() if hasattr(user, "get_username") else user)
    if before is not NOBODY:
        return before._replace(user_id=user_id, user_name=user_name)
    meta = request.META
    address = None
    peer, forwarded = meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded or peer != peer_host:  # which a middleware may have replaced
        named = client_address(peer, forwarded, parse_networks(get_setting("WEBSOCKET_TRUSTED_PROXIES")))
        address = None if named is None or str(named) == peer_host else str(named)
    found = meta.get("HTTP_X_REQUEST_ID", "")
    visitor = Visitor(address, user_id, user_name, found if _request_id.fullmatch(found) else None)
    return visitor if visitor != NOBODY else NOBODY
