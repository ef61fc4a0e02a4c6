"""Views whose websocket was opened by a session."""

from __future__ import annotations

from django.contrib.auth import get_user_model, login, logout
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from django_websocket import Group, require_websocket

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


@require_websocket
def member(request: SocketRequest) -> None:
    """Sends its user's name."""
    request.websocket.send(str(request.user))
    request.websocket.wait()


def new_login(request: HttpRequest) -> HttpResponse:
    """Logs a new session of ann's in, and answers its key."""
    user, _ = get_user_model()._default_manager.get_or_create(username="ann")
    login(request, user)
    return HttpResponse(request.session.session_key)


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse()


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """The events of ``?group=``, for who is logged in."""
    assert request.user.is_authenticated
    return Group(request.GET["group"]).event_stream(request, heartbeat=0.2)


VIEWS = ("ignores", "log_out", "member", "new_login", "stream", "uses")
