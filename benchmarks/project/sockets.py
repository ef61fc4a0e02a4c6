"""This project's views for the workloads, and their URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.urls import path

from django_websocket import Group, require_websocket

from . import urls

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_websocket import WebSocket

    class WebSocketRequest(HttpRequest):
        websocket: WebSocket


@require_websocket
def echo(request: HttpRequest) -> None:
    """Looks up the user, as Channels' auth stack does for each socket, then echoes."""
    assert request.user.is_anonymous
    websocket = cast("WebSocketRequest", request).websocket
    for message in websocket:
        websocket.send(message)


@require_websocket
def fanout(request: HttpRequest) -> None:
    """All members receive what one of them sends."""
    websocket = cast("WebSocketRequest", request).websocket
    room = Group("room")
    websocket.join(room)
    for message in websocket:
        room.send(message)


urlpatterns = [*urls.urlpatterns, path("echo", echo), path("fanout", fanout)]
