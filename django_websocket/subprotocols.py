"""Warns when a client offers subprotocols and gets none: RFC 6455 allows it, but browsers close the connection."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.http import HttpRequest

__all__ = ["warn_of_no_subprotocol"]

logger = logging.getLogger("django.request")

MAX_TOLD = 1000
"""Maximum URL patterns to warn about. Projects have fewer, unless their URLconf changes from request to request."""

MAX_LENGTH = 200
"""Maximum characters of a path, which the client chooses, to tell apart."""

_told: set[str] = set()


def warn_of_no_subprotocol(request: HttpRequest, offered: Sequence[str], spoken: Sequence[str]) -> None:
    """Log that none of ``offered`` is among ``spoken``, once per URL pattern, since clients retry."""
    match = request.resolver_match
    where = request.path[:MAX_LENGTH] if match is None else f"/{match.route}"
    if where in _told or len(_told) >= MAX_TOLD:
        return
    _told.add(where)
    logger.warning(
        "%s: a client offered the subprotocols %s, and the view speaks %s. Browsers give up the connection then; see"
        " WEBSOCKET_SUBPROTOCOLS, or subprotocols= of the view's decorator.",
        where,
        ", ".join(offered)[:200],
        ", ".join(spoken) or "none",
        extra={"request": request},
    )
