"""Uses of private API of Django, and of Django REST framework."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import update_wrapper, wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.core.handlers.base import BaseHandler
from django.db import connections, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.cache import FetchFromCacheMiddleware
from django.utils import cache as cache_utils
from django.utils.functional import SimpleLazyObject, empty

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase

__all__ = [
    "bypass_page_cache",
    "csp_nonce",
    "drop_body",
    "drop_messages",
    "forbid_not_modified",
    "has_django_lazy_user",
    "is_loaded",
    "known_user",
    "let_rest_framework_return_none",
    "load_session",
    "make_user_weak",
    "resolve_known_user",
    "session_saved_at",
    "set_user",
    "suppress_log",
    "with_atomic_requests",
]

AUTH_MIDDLEWARE = "django.contrib.auth.middleware"

Function = TypeVar("Function", bound=Callable[..., Any])


# Requests


def csp_nonce(request: HttpRequest | None) -> str | None:
    """The nonce of the Content Security Policy: django-csp's, or that of Django 6 (``_csp_nonce``); None without one.

    Both make it when it is read, and are false until then.
    """
    nonce = getattr(request, "csp_nonce", None)
    if nonce is None:
        nonce = getattr(request, "_csp_nonce", None)
    return None if nonce is None else str(nonce)


_NO_BODY = BytesIO()
"""The body of every handshake."""


def drop_body(request: HttpRequest) -> None:
    """Release the stream from which :class:`~django.core.handlers.wsgi.WSGIRequest` reads the body (``_stream``)."""
    if hasattr(request, "_stream"):
        request._stream = _NO_BODY


def drop_messages(request: HttpRequest) -> None:
    """Release the message storage, which refers to the request (``_messages``, of ``django.contrib.messages``)."""
    request.__dict__.pop("_messages", None)


def suppress_log(response: HttpResponseBase) -> None:
    """Have Django not log an error response: ``_has_been_logged``, of :func:`~django.utils.log.log_response`."""
    response._has_been_logged = True  # type: ignore[attr-defined]


def has_django_lazy_user(request: HttpRequest) -> bool:
    """Whether ``request.user`` was set by Django's own middleware; other lazy users must not be replaced.

    Reads ``_setupfunc`` of the SimpleLazyObject. If that is missing, no user is replaced, and requests stay alive until
    the garbage collector runs.
    """
    user = request.__dict__.get("user")
    # Not isinstance(), which would evaluate the lazy object.
    function = user.__dict__.get("_setupfunc") if issubclass(type(user), SimpleLazyObject) else None
    return getattr(function, "__module__", None) == AUTH_MIDDLEWARE


def resolve_known_user(request: HttpRequest) -> None:
    """Replace Django's lazy user, which refers to the request, with the actual user if it has been loaded.

    Django's middleware stores the loaded user as ``_cached_user``.
    """
    known = request.__dict__.get("_cached_user")
    if known is not None and has_django_lazy_user(request):
        request.user = known


def known_user(request: HttpRequest) -> Any:
    """Return ``request.user`` if that loads nothing, else None. Reads ``_wrapped`` of a SimpleLazyObject.

    Django's middleware keeps the user as ``_cached_user``, too, whoever has asked for it.
    """
    user = request.__dict__.get("user")
    if not issubclass(type(user), SimpleLazyObject):
        return user
    wrapped = user.__dict__.get("_wrapped", empty)
    return request.__dict__.get("_cached_user") if wrapped is empty else wrapped


def set_user(request: HttpRequest, user: Any) -> None:
    """Make ``user`` the request's, for Django's lazy objects, too, which others may hold and not have looked at yet.

    Those ask for ``_cached_user`` and ``_acached_user`` first. Requests of Django REST framework around this one take
    the user from ``_force_auth_user``, whatever their authentication classes say.
    """

    async def auser() -> Any:
        return user

    attributes: dict[str, Any] = {"user": user, "auser": auser, "_cached_user": user, "_acached_user": user}
    attributes["_force_auth_user"] = user
    for name, value in attributes.items():
        setattr(request, name, value)


def make_user_weak(request: HttpRequest) -> None:
    """Replace Django's lazy user with one that loads the same user but doesn't keep the request alive."""
    if has_django_lazy_user(request):
        from django.contrib.auth import get_user

        reference = weakref.ref(request)
        request.user = cast(Any, SimpleLazyObject(lambda: get_user(cast(HttpRequest, reference()))))


# Transactions


def with_atomic_requests(view: Callable[..., Any], serve: Function) -> Function:
    """Wrap ``serve`` with ATOMIC_REQUESTS as Django would wrap ``view``, respecting ``non_atomic_requests``.

    Uses ``BaseHandler.make_view_atomic``, which is not documented. Without it, the same is done here.
    """
    wrapped: Callable[..., Any] = update_wrapper(serve, view)
    make_view_atomic = getattr(BaseHandler(), "make_view_atomic", _make_view_atomic)
    return cast(Function, make_view_atomic(wrapped))


def _make_view_atomic(view: Callable[..., Any]) -> Callable[..., Any]:
    exempt = getattr(view, "_non_atomic_requests", ())
    for alias in connections:
        if connections.settings[alias]["ATOMIC_REQUESTS"] and alias not in exempt:
            view = transaction.atomic(using=alias)(view)
    return view


# Sessions


def session_saved_at(session: SessionBase) -> Any:
    """Return when a file-based session was last saved; None for other session stores.

    The file engine's ``_last_modification`` raises FileNotFoundError once the session is gone.
    """
    saved = getattr(session, "_last_modification", None)
    return None if saved is None else saved()


def is_loaded(session: SessionBase) -> bool:
    """Whether reading the session waits for nothing: its data are kept as ``_session_cache`` once they have come."""
    return hasattr(session, "_session_cache")


def load_session(session: SessionBase) -> None:
    """Load the session's data if necessary; reading any key does so."""
    session.get("_session_expiry")


# Caches


def bypass_page_cache(for_request: Callable[[HttpRequest], bool]) -> None:
    """Make Django's cache middleware and ``cache_page`` skip requests for which ``for_request`` returns True.

    Such requests are not answered from the cache, and their responses are not stored.
    ``cache_page`` looks a page up by the Vary header of the view inside it. Decorators around ``cache_page`` (such as
    ``accept_websocket``) can't influence this, nor can the request.
    """
    fetch = FetchFromCacheMiddleware.process_request
    if hasattr(fetch, "__wrapped__"):
        return

    @wraps(fetch)
    def process_request(self: FetchFromCacheMiddleware, request: HttpRequest) -> Any:
        if for_request(request):
            request._cache_update_cache = False  # type: ignore[attr-defined]  # as for methods other than GET and HEAD
            return None
        return fetch(self, request)

    FetchFromCacheMiddleware.process_request = process_request  # type: ignore[method-assign]  # that is the purpose


def forbid_not_modified(for_request: Callable[[HttpRequest], bool]) -> None:
    """Make ``condition``, ``etag``, ``last_modified`` and ConditionalGetMiddleware never answer 304 to requests for
    which ``for_request`` returns True.

    Their ``get_conditional_response`` calls ``_not_modified``; what that returns replaces the response (None: run the
    view).
    """
    module: Any = cache_utils
    answer = module._not_modified
    if hasattr(answer, "__wrapped__"):
        return

    @wraps(answer)
    def _not_modified(request: HttpRequest, response: Any = None) -> Any:
        return response if for_request(request) else answer(request, response)

    module._not_modified = _not_modified


# Django REST framework


def let_rest_framework_return_none() -> None:
    """Let websocket views of Django REST framework return None, as all websocket views may.

    ``APIView`` asserts that its handler returned a response. This fails after the view has ended, so the client would
    see an error (1011). Does nothing until the framework is imported, or if called again.
    """
    base = getattr(sys.modules.get("rest_framework.views"), "APIView", None)
    if base is None or hasattr(base.finalize_response, "__wrapped__"):
        return
    finalize = base.finalize_response

    @wraps(finalize)
    def finalize_response(self: Any, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if response is None and getattr(request, "websocket", None) is not None:
            return None
        return finalize(self, request, response, *args, **kwargs)

    base.finalize_response = finalize_response
