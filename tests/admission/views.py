"""Views that take tickets, and one that gives them."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import path

from django_websocket import WebSocketRequest, accept_websocket, require_websocket, tickets


@require_websocket
def echo(request: WebSocketRequest) -> Any:
    """Tells whose websocket it is, then echoes."""
    websocket = request.websocket
    assert websocket is not None
    websocket.send(f"{request.user}")
    for message in websocket:
        websocket.send(message)


@require_websocket(subprotocols=["chat.v2"])
def seen(request: WebSocketRequest) -> Any:
    """Tells what a view sees of the handshake."""
    websocket = request.websocket
    assert websocket is not None
    assert websocket.handshake is not None
    offered = list(websocket.handshake.subprotocols)
    websocket.accept()
    websocket.send_json(
        {
            "user": str(request.user),
            "auser": str(async_to_sync(request.auser)()),
            "offered": offered,
            "chosen": websocket.subprotocol,
            "header": request.headers.get("Sec-WebSocket-Protocol"),
            "meta": repr(request.META),
        }
    )


@require_websocket
@login_required
def private(request: WebSocketRequest) -> Any:
    assert request.websocket is not None
    request.websocket.send(f"{request.user}")


@accept_websocket
def asleep(request: WebSocketRequest) -> Any:
    """Never waits for a message."""
    if request.websocket is None:
        return HttpResponse("a page")
    request.websocket.send(f"{request.user}")
    while request.websocket.wait(3600) != "end":
        pass
    return None


@require_websocket(max_queue=10)
def silent(request: WebSocketRequest) -> Any:
    """Begins by waiting."""
    assert request.websocket is not None
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [
    path("echo/", echo),
    path("seen/", seen),
    path("private/", private),
    path("asleep/", asleep),
    path("silent/", silent),
    path("ticket/", tickets.view),
]
