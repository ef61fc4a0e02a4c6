"""Views that others suffer from, or that wait for much."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from django_websocket.serving.patch import eventlet

__all__ = ["blocks", "upload"]

_sleep = eventlet.patcher.original("time").sleep


def blocks(request: HttpRequest) -> HttpResponse:
    """Hold up the whole process for ``?seconds``."""
    _sleep(float(request.GET["seconds"]))
    return HttpResponse("done")


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """Counts the bytes of the body."""
    total = 0
    while piece := request.read(65536):
        total += len(piece)
    return HttpResponse(str(total))
