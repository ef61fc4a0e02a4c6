"""``accept_websocket`` and ``require_websocket``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.http.response import HttpResponseBase

from .caching import vary_on_upgrade
from .compat.django import let_rest_framework_return_none
from .conf import check_options
from .exceptions import HandshakeError
from .opening import refuse, serve_websocket
from .request import attach_websocket
from .wrapping import attach_to_wrapper, underlying_request

__all__ = ["accept_websocket", "require_websocket"]

View = TypeVar("View", bound=Callable[..., Any])


@overload
def accept_websocket(view: View, /) -> View: ...
@overload
def accept_websocket(**options: Any) -> Callable[[View], View]: ...
def accept_websocket(view: Any = None, /, **options: Any) -> Any:
    """Let a view accept websockets as well as plain requests.

    The view gets ``request.is_websocket()`` and ``request.websocket`` (None for a plain request). Use it bare, or call
    it with options that override settings for this view: ``origins``, ``subprotocols``, ``compression``,
    ``max_message_size`` and others.

    Raises TypeError for an ``async def`` view or an unknown option, ValueError for an option with an invalid value.
    """
    return _decorate(view, options, required=False)


@overload
def require_websocket(view: View, /) -> View: ...
@overload
def require_websocket(**options: Any) -> Callable[[View], View]: ...
def require_websocket(view: Any = None, /, **options: Any) -> Any:
    """Let a view accept websockets only; a plain request gets a 400. Otherwise like :func:`accept_websocket`."""
    return _decorate(view, options, required=True)


def _decorate(view: Any, options: dict[str, Any], *, required: bool) -> Any:
    check_options(options)
    if view is None:
        return partial(_wrap, options=options, required=required)
    return _wrap(view, options=options, required=required)


def _wrap(view: Callable[..., Any], *, options: dict[str, Any], required: bool) -> Callable[..., Any]:
    name = "require_websocket" if required else "accept_websocket"
    if not callable(view):
        raise TypeError(f"{name} decorates a view, not {view!r}")
    if iscoroutinefunction(view) or iscoroutinefunction(getattr(view, "__call__", None)):  # noqa: B004  not whether
        raise TypeError(
            f"{name} can't decorate the async view {getattr(view, '__qualname__', view)!r}: websocket views are plain "
            "functions and may block"
        )
    let_rest_framework_return_none()

    @wraps(view)
    def wrapper(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = respond(request, *args, **kwargs)
        if isinstance(response, HttpResponseBase):
            vary_on_upgrade(response)
        return response

    def respond(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        http_request = underlying_request(request)
        if http_request is None:
            raise TypeError(
                f"a view with @{name} got {type(request).__name__} instead of a request; on a method, use "
                f"@method_decorator({name}, name='dispatch') on the class; where a decorator makes requests of its "
                f"own, put @{name} above it"
            )
        try:
            websocket = attach_websocket(http_request)
            if websocket is None and required:
                raise HandshakeError(400, "this URL only accepts websockets")
        except HandshakeError as error:
            return refuse(http_request, error)
        if http_request is not request:
            attach_to_wrapper(request, http_request)
        if websocket is None or websocket.accepted:
            response: HttpResponseBase = view(request, *args, **kwargs)
            return response
        if http_request is not request:
            return serve_websocket(http_request, websocket, lambda _: view(request, *args, **kwargs), (), {}, options)
        return serve_websocket(request, websocket, view, args, kwargs, options)

    wrapper.accept_websocket = True  # type: ignore[attr-defined]  # what the middleware looks for
    wrapper.require_websocket = required  # type: ignore[attr-defined]
    wrapper.serves_websocket = True  # type: ignore[attr-defined]  # starts the handshake itself
    wrapper.websocket_options = options  # type: ignore[attr-defined]  # for whoever lists the views
    return wrapper
