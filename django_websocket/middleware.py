"""``WebSocketMiddleware``: websockets for views marked by an attribute rather than a decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .caching import vary_on_upgrade
from .compat.django import let_rest_framework_return_none, with_atomic_requests
from .conf import get_setting
from .exceptions import HandshakeError, RefusalReason
from .opening import refuse, serve_websocket
from .request import attach_websocket

__all__ = ["WebSocketMiddleware"]


class WebSocketMiddleware:
    """Gives every request ``is_websocket()`` and ``websocket``; refuses websockets for views that don't accept them.

    A view accepts them if it is decorated, or has the attribute ``accept_websocket`` (or ``require_websocket``) set to
    True; with ``WEBSOCKET_ACCEPT_ALL`` every view does. The middleware must be last in MIDDLEWARE.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            attach_websocket(request)
        except HandshakeError as error:
            return refuse(request, error)
        response = self.get_response(request)
        match = request.resolver_match
        if match is not None and _takes_websockets(match.func):
            vary_on_upgrade(response)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        """Refuse a request that the view doesn't accept; serve a websocket for a view that has no decorator.

        The view runs here, so that only ATOMIC_REQUESTS comes between it and its hand-over.
        """
        websocket = attach_websocket(request)
        if getattr(view, "serves_websocket", False):
            return None
        required = getattr(view, "require_websocket", False)
        if websocket is None:
            if required:
                return refuse(request, HandshakeError(400, "this URL only accepts websockets"))
            return None
        if not _takes_websockets(view):
            reason = "this URL does not accept websockets"
            return refuse(request, HandshakeError(400, reason, kind=RefusalReason.NOT_ACCEPTED))
        if iscoroutinefunction(view):
            raise TypeError(f"the async view {view!r} can't accept websockets: websocket views are plain functions")

        let_rest_framework_return_none()

        def serve() -> HttpResponseBase:
            return serve_websocket(request, websocket, view, args, kwargs, {})

        return with_atomic_requests(view, serve)()


def _takes_websockets(view: Callable[..., Any]) -> bool:
    return bool(
        getattr(view, "require_websocket", False)
        or getattr(view, "accept_websocket", False)
        or get_setting("WEBSOCKET_ACCEPT_ALL")
    )
