"""Every use of something private in Django, asgiref or the standard library.

Each stands alone and has a test of its own, which says what a new version has changed. Where one is missing, the
package still imports and works, with the loss that the function names.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import Context
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    import socket

    from django.contrib.sessions.backends.base import SessionBase

__all__ = [
    "accept_connection",
    "drop_body",
    "drop_messages",
    "has_django_lazy_user",
    "load_session",
    "make_user_weak",
    "move_context",
    "resolve_known_user",
    "session_saved_at",
    "with_atomic_requests",
]

AUTH_MIDDLEWARE = "django.contrib.auth.middleware"

Function = TypeVar("Function", bound=Callable[..., Any])


# asgiref

_restore_context: Callable[[Context], None] | None
try:
    from asgiref.sync import _restore_context as _restore_context
except ImportError:  # a version that renamed it
    _restore_context = None


def move_context(context: Context) -> None:
    """Make the values of ``context`` the caller's own.

    asgiref ties the data of its Locals (the active language, the time zone, the URLconf) to a thread, which a greenlet
    is. Its private ``_restore_context`` moves them along, as it does for its own threads; without it they are lost.
    """
    if _restore_context is not None:
        _restore_context(context)
        return
    for variable in context:
        variable.set(context[variable])


# Django: the request

_NO_BODY = BytesIO()
"""The body of every handshake."""


def drop_body(request: HttpRequest) -> None:
    """Release what :class:`~django.core.handlers.wsgi.WSGIRequest` keeps to read the body with (``_stream``)."""
    if hasattr(request, "_stream"):
        request._stream = _NO_BODY


def drop_messages(request: HttpRequest) -> None:
    """Release the message storage, which refers to the request (``_messages``, of ``django.contrib.messages``)."""
    request.__dict__.pop("_messages", None)


def has_django_lazy_user(request: HttpRequest) -> bool:
    """Whether ``request.user`` is what Django's own middleware set; another lazy user is not ours to replace.

    It reads ``_setupfunc`` of the SimpleLazyObject. Where that is gone, no user is replaced, and requests wait for the
    garbage collector.
    """
    user = request.__dict__.get("user")
    # Not isinstance(), which asks the object that a lazy one stands for.
    function = user.__dict__.get("_setupfunc") if issubclass(type(user), SimpleLazyObject) else None
    return getattr(function, "__module__", None) == AUTH_MIDDLEWARE


def resolve_known_user(request: HttpRequest) -> None:
    """Replace Django's lazy user by the user, if it was loaded: the lazy one refers to the request.

    Django's middleware keeps the loaded one as ``_cached_user``.
    """
    known = request.__dict__.get("_cached_user")
    if known is not None and has_django_lazy_user(request):
        request.user = known


def make_user_weak(request: HttpRequest) -> None:
    """Replace Django's lazy user by one that loads the same user, but doesn't keep the request alive."""
    if has_django_lazy_user(request):
        from django.contrib.auth import get_user

        reference = weakref.ref(request)
        request.user = cast(Any, SimpleLazyObject(lambda: get_user(cast(HttpRequest, reference()))))


# Django: transactions


def with_atomic_requests(view: Callable[..., Any], serve: Function) -> Function:
    """``serve`` under ATOMIC_REQUESTS as Django applies it to ``view``, ``non_atomic_requests`` included.

    ``BaseHandler.make_view_atomic`` decides; it is not documented.
    """
    from functools import update_wrapper

    from django.core.handlers.base import BaseHandler

    return cast(Function, BaseHandler().make_view_atomic(update_wrapper(serve, view)))


# Django: sessions


def session_saved_at(session: SessionBase) -> Any:
    """When a session that lives in a file was last saved; None where its store has no such time.

    The file engine's ``_last_modification`` raises FileNotFoundError once the session is gone.
    """
    saved = getattr(session, "_last_modification", None)
    return None if saved is None else saved()


def load_session(session: SessionBase) -> None:
    """Load the session's data if that has not been done; asking for any key does it."""
    session.get("_session_expiry")


# The standard library


def accept_connection(listener: socket.socket) -> tuple[int, Any]:
    """Descriptor and address of the next connection; raises what ``accept()`` raises.

    ``socket.accept()`` is this private ``_accept()`` and a socket around it, which would be a green one in a patched
    process. Without it, that one is made and taken apart.
    """
    accept = getattr(listener, "_accept", None)
    if accept is not None:
        fd, address = accept()
        return fd, address
    sock, address = listener.accept()
    return sock.detach(), address
