"""What stands between Django and a view: objects that stand for the request, and what can't take a view's ``None``."""

from __future__ import annotations

import inspect
import traceback
from typing import Any

from django.http import HttpRequest

__all__ = ["attach_to_wrapper", "blame_for_none", "underlying_request"]


def underlying_request(request: Any) -> HttpRequest | None:
    """The HttpRequest that ``request`` is, or stands for, as Django REST framework's does; None if there is none.

    Who keeps an HttpRequest does not stand for it, as a class-based view doesn't. Who answers with its META does.
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
    """Give what stands for ``request`` its ``is_websocket()`` and ``websocket``, unless it passes them on itself."""
    for name in ("is_websocket", "websocket"):
        if not hasattr(wrapper, name):
            setattr(wrapper, name, getattr(request, name))


def blame_for_none(request: HttpRequest, error: BaseException) -> str | None:
    """What raised ``error`` because a websocket view in it returned None, as the view may; None if that's not it."""
    if not isinstance(error, (AttributeError, TypeError, AssertionError)) or "NoneType" not in str(error):
        return None
    match = request.resolver_match
    view = match and inspect.unwrap(match.func)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    codes = [frame.f_code for frame in frames]
    if getattr(view, "__code__", None) in (None, *codes):
        return None  # the view itself, or there is no telling
    return codes[-1].co_qualname
