"""A recorder that listens to the registry, and what it has counted."""

from __future__ import annotations

from collections import Counter

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from django_websocket import WebSocket
from django_websocket.registry import SocketObserver, registry


class Recorder(SocketObserver):
    def __init__(self) -> None:
        self.counts = Counter(opened=0, closed=0, ended=0)

    def socket_opened(self, websocket: WebSocket) -> None:
        self.counts["opened"] += 1

    def socket_closed(self, websocket: WebSocket) -> None:
        self.counts["closed"] += 1

    def view_ended(self, websocket: WebSocket) -> None:
        self.counts["ended"] += 1


class Failing(SocketObserver):
    def socket_opened(self, websocket: WebSocket) -> None:
        raise ZeroDivisionError("on purpose")

    socket_closed = view_ended = socket_opened


recorder = Recorder()
if getattr(settings, "FAIL_ON_SOCKETS", False):
    registry.subscribe(Failing())
registry.subscribe(recorder)


def counts(request: HttpRequest) -> JsonResponse:
    return JsonResponse({**recorder.counts, "open": len(registry)})


VIEWS = ("counts",)
