"""Receivers of our signals, for those requests that ask for them by ``?signals``."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from django_websocket.signals import websocket_closed, websocket_opened

from .state import told


def opened(sender: Any, websocket: Any, request: HttpRequest, **kwargs: Any) -> None:
    if "signals" in request.GET:
        told.append(f"opened: {sender.__name__} {request.path} {websocket.closed}")
        if request.GET["signals"] == "wrong":
            raise ValueError("on purpose, in a receiver")


def closed(sender: Any, websocket: Any, request: HttpRequest, signal: Any, **kwargs: Any) -> None:
    if "signals" in request.GET:
        told.append("closed: " + json.dumps({"sender": sender.__name__, "path": request.path, **kwargs}))
        if request.GET["signals"] == "wrong":
            raise ValueError("on purpose, in a receiver")


def connect() -> None:
    websocket_opened.connect(opened)
    websocket_closed.connect(closed)
