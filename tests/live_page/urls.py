"""A site with an admin, and a view that many can be in."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from django_websocket import require_websocket
from tests.site.views.common import SocketRequest

logger = logging.getLogger("tests.csp")


@require_websocket
def room(request: SocketRequest, name: str) -> None:
    """Asks who it is, joins the group of the room, and sends everything back."""
    str(request.user)
    request.websocket.join(f"room.{name}")
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def quiet(request: SocketRequest) -> None:
    """Doesn't ask who it is."""
    request.websocket.wait()


@csrf_exempt
def report(request: HttpRequest) -> HttpResponse:
    """What the browser has blocked."""
    logger.error("blocked: %s", request.body.decode())
    return HttpResponse(status=204)


@require_websocket
def visited(request: SocketRequest) -> None:
    """Uses its session, but doesn't ask who it is."""
    request.session.get("visits")
    request.websocket.ping()
    request.websocket.wait()


views: Any = {"room": room, "quiet": quiet, "visited": visited}  # the stubs know of no view that returns None

urlpatterns = [
    path("room/<slug:name>/", views["room"], name="room"),
    path("quiet/", views["quiet"], name="quiet"),
    path("visited/", views["visited"]),
    path("csp/", report),
    path("admin/", admin.site.urls),
    path("static/<path:path>", serve, {"insecure": True}),
]
