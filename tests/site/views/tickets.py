"""Websockets that tickets open, and what gives and revokes those."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse

from django_websocket import require_websocket, tickets

from .common import SocketRequest


def _ann() -> Any:
    user, _ = get_user_model()._default_manager.get_or_create(username="ann")
    return user


def new(request: HttpRequest) -> JsonResponse:
    """One for ann, for whoever asks."""
    return JsonResponse(tickets.describe(None, _ann()))


of_session = tickets.view


def revoke(request: HttpRequest) -> HttpResponse:
    """All of ann's."""
    tickets.revoke(_ann())
    return HttpResponse()


@require_websocket
def echo(request: SocketRequest) -> None:
    """Sends its user's name first."""
    request.websocket.send(str(request.user))
    for message in request.websocket:
        request.websocket.send(message)


def fails(request: SocketRequest) -> None:
    """Before anything has looked at the handshake."""
    raise ValueError("on purpose")


VIEWS = ("echo", "fails", "new", "of_session", "revoke")
