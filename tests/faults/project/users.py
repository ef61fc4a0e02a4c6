"""Logging in, and all that ends what a login gave."""

from __future__ import annotations

from typing import Any

from django.contrib import auth
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse

from django_websocket import require_websocket
from django_websocket.request import WebSocketRequest

__all__ = ["change_user", "extend", "flush", "late_member", "log_in", "log_out", "member", "stranger"]


def log_in(request: HttpRequest) -> HttpResponse:
    """Log in ``?name``, who is created if need be; ``?age`` seconds for the session."""
    model: Any = get_user_model()
    user, _ = model.objects.get_or_create(username=request.GET["name"])
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    if "age" in request.GET:
        request.session.set_expiry(int(request.GET["age"]))
    return HttpResponse("in")


def log_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return HttpResponse("out")


def flush(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("flushed")


def extend(request: HttpRequest) -> HttpResponse:
    """Save the session, so that its time begins anew."""
    request.session["extended"] = True
    if "age" in request.GET:
        request.session.set_expiry(int(request.GET["age"]))
    return HttpResponse("extended")


def change_user(request: HttpRequest) -> HttpResponse:
    """Deactivate ``?name``, or give them another password, or delete them, from somebody else's session."""
    user: Any = get_user_model().objects.get(username=request.GET["name"])
    how = request.GET["how"]
    if how == "deactivate":
        user.is_active = False
        user.save()
    elif how == "password":
        user.set_password("another")
        user.save()
    elif how == "touch":
        user.first_name = "Another"
        user.last_login = None
        user.save()
    else:
        user.delete()
    return HttpResponse("changed")


@require_websocket
def member(request: WebSocketRequest) -> None:
    """Looks at its user before the accept."""
    websocket = request.websocket
    assert websocket is not None
    websocket.send(str(request.user))
    for message in websocket:
        websocket.send(message)


@require_websocket
def late_member(request: WebSocketRequest) -> None:
    """Looks at its user after the accept only."""
    websocket = request.websocket
    assert websocket is not None
    websocket.accept()
    websocket.send(str(request.user))
    for message in websocket:
        websocket.send(message)


@require_websocket
def stranger(request: WebSocketRequest) -> None:
    """Never looks at its session."""
    websocket = request.websocket
    assert websocket is not None
    websocket.send("hello")
    for message in websocket:
        websocket.send(message)
