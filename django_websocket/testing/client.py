"""Django's test client, with websockets."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponseForbidden
from django.test import Client

from ..admission.offer import PROTOCOL
from ..channel import UPGRADE_KEY, Upgrade
from ..redirects import needs_login
from .failures import WebSocketRejected
from .memory import connect
from .socket import ClientWebSocket, as_ticket
from .world import world_of_thread

__all__ = ["WebSocketClient"]


class WebSocketClient(Client):
    """Django's test client, which can also open websockets."""

    view_timeout: float | None = 10.0
    """Seconds that a view may block or compute in real time before the test fails; None for any time.

    Needs the main thread, and the alarm signal of the process.
    """

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        ticket: Any = None,
        headers: Mapping[str, str] | None = None,
        origin: str | None = None,
        query: Mapping[str, Any] | None = None,
        compression: bool = False,
        secure: bool = False,
    ) -> ClientWebSocket:
        """Open a websocket: middleware, URL resolver and view run as for a request, with this client's cookies.

        ``ticket`` is one of :func:`.tickets.issue`, or a user for whom one is issued.
        ``origin`` is sent as ``Origin``; by default none is, as by clients other than browsers. ``compression`` offers
        permessage-deflate. Raises :exc:`.WebSocketRejected`, with the response, unless it is a 101, and what the view
        raises before it accepts.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("websocket() can't be used in an async test: write a plain 'def test_...'")
        sent = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        if ticket is not None:
            subprotocols = [PROTOCOL, as_ticket(ticket), *subprotocols]
        if subprotocols:
            sent["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
        if compression:
            sent["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits"
        if origin is not None:
            sent["Origin"] = origin
        sent.update(headers or {})
        world = world_of_thread()
        world.guard.seconds = self.view_timeout
        with world.handshake(path) as upgrade:
            try:
                response = self._shake_hands(path, sent, query, secure, upgrade)
                acceptance = upgrade.acceptance
                if response.status_code != 101 or acceptance is None or not acceptance.is_waiting:
                    raise WebSocketRejected(path, response)
            except BaseException:
                if upgrade.acceptance is not None:
                    world.scheduler.call_later(0, upgrade.acceptance.abort)
                    world.run()
                raise
            channel, peer = connect(world.scheduler)
            websocket = response.wsgi_request.websocket
            socket = ClientWebSocket(world, websocket, response, peer, raises_view_errors=self.raise_request_exception)
            world.scheduler.call_later(0, acceptance.open, channel, "test", b"", world)
            world.run()
        return socket

    def _shake_hands(
        self, path: str, headers: Mapping[str, str], query: Mapping[str, Any] | None, secure: bool, upgrade: Upgrade
    ) -> Any:
        extra: Any = {UPGRADE_KEY: upgrade}
        response: Any = self.get(path, secure=secure, headers=headers, query_params=query, **extra)
        target = response.headers.get("Location", "")
        request = response.wsgi_request
        if not needs_login(target, request.environ):
            return response
        # As the server does.
        refusal: Any = HttpResponseForbidden(
            f"login is required at {target}\n", content_type="text/plain; charset=utf-8"
        )
        refusal.wsgi_request = request
        return refusal

    @property
    def session(self) -> SessionBase:
        """The session of this client, as in Django's. Raises ImproperlyConfigured in a project without sessions."""
        try:
            return super().session
        except (ImportError, RuntimeError) as error:
            raise ImproperlyConfigured(
                f"the test client can't log in: {error}\n"
                "If the project has no sessions, add 'django.contrib.sessions' to INSTALLED_APPS and its "
                "SessionMiddleware to MIDDLEWARE"
            ) from error

    def advance(self, seconds: float) -> None:
        """Let time pass for all open websockets of the test: their views' timeouts, pings, session checks."""
        world_of_thread().run(seconds)
