"""The server of this process, for the view that counts what it holds."""

from __future__ import annotations

from django_websocket.serving.process.server import Server

server: Server | None = None
