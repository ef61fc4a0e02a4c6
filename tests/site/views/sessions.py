"""Views whose websocket was opened by a session."""

from __future__ import annotations

from django_websocket import require_websocket

from ..journal import journal
from .common import SocketRequest, event


@require_websocket
def uses(request: SocketRequest) -> None:
    """Makes use of its session before its accept."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    _end(request)


@require_websocket
def ignores(request: SocketRequest) -> None:
    """Never looks at its session."""
    _end(request)


def _end(request: SocketRequest) -> None:
    """Wait for a message or the end, then end the way that ``?by`` says."""
    request.websocket.wait()
    if request.GET["by"] == "raise":
        raise ValueError("on purpose")
    if request.GET["by"] == "close":
        request.websocket.close(4000)
    if request.GET["by"] != "return":
        journal.append("goes on")
        event(request.GET["until"]).wait()


VIEWS = ("ignores", "uses")
