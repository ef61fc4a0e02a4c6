"""For tests that need no server: views that they reach through Django's test client."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path

from django_websocket import WebSocketRequest, accept_websocket


@accept_websocket
def socket(request: WebSocketRequest) -> HttpResponse:
    return HttpResponse(f"{request.is_websocket()} {request.websocket}")


urlpatterns = [path("socket/", socket)]
