"""Logs each refused handshake, and lets one get its answer while the server stops."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from django_websocket import require_websocket
from django_websocket.signals import websocket_refused

from .common import SocketRequest, event

logger = logging.getLogger("tests.refusals")


def note(reason: str, status: int, environ: dict[str, Any], **kwargs: Any) -> None:
    logger.info("%s %s %s", reason, status, environ.get("PATH_INFO"))
    if getattr(settings, "FAIL_ON_REFUSALS", False):
        raise ZeroDivisionError("on purpose")


websocket_refused.connect(note)


@require_websocket
def releases_at_end(request: SocketRequest) -> None:
    """Lets a view go on that waits for the event ``?name=``, once this websocket is closed."""
    request.websocket.wait()
    event(request.GET["name"]).send()


VIEWS = ("releases_at_end",)
