"""Code between Django and a view: objects that wrap the request, and wrappers that fail if a view returns ``None``."""

from __future__ import annotations

import inspect
import traceback
from typing import Any

from django.http import HttpRequest

__all__ = ["attach_to_wrapper", "blame_for_none", "underlying_request"]


def underlying_request(request: Any) -> HttpRequest | None:
    """The HttpRequest that ``request`` is, or wraps, as Django REST framework's does; None if there is none.

    Holding an HttpRequest is not enough, since class-based views do too: a wrapper also exposes its META.
    """
    if isinstance(request, HttpRequest):
        return request
    meta = getattr(request, "META", None)
    if meta is None:
        return None
    for value in vars(request).values() if hasattr(request, "__dict__") else ():
        if isinstance(value, HttpRequest) and value.META is meta:
            return value
    return None


def attach_to_wrapper(wrapper: Any, request: Any) -> None:
    """Copy ``is_websocket()`` and ``websocket`` of ``request`` to ``wrapper``, unless it already exposes them."""
    for name in ("is_websocket", "websocket"):
        if not hasattr(wrapper, name):
            setattr(wrapper, name, getattr(request, name))


def blame_for_none(request: HttpRequest, error: BaseException) -> str | None:
    """Name of the function that raised ``error`` because the websocket view it wraps returned None, which is allowed.

    None if the error has another cause.
    """
    if not isinstance(error, (AttributeError, TypeError, AssertionError)) or "NoneType" not in str(error):
        return None
    match = request.resolver_match
    view = match and inspect.unwrap(match.func)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    codes = [frame.f_code for frame in frames]
    if getattr(view, "__code__", None) in (None, *codes):
        return None  # raised in the view itself, or unknown
    return codes[-1].co_qualname
