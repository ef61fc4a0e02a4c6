"""The server of this process, for the view that counts what it holds."""

from __future__ import annotations

from django_websocket.serving.server import Server

server: Server | None = None
