"""The URLs of the test project, and the metrics."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from django_websocket import metrics, require_websocket

from . import urls
from .views.common import SocketRequest


@require_websocket
def room(request: SocketRequest, room: str) -> None:
    for message in request.websocket:
        request.websocket.send(message)


view: Any = room  # the stubs know of no view that returns None

urlpatterns = [
    *urls.urlpatterns,
    path("metrics/", metrics.view),
    path("rooms/", include([path("<slug:room>/", view)])),
]
