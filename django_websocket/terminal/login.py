"""A session of a user, for as long as a command takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend

from ..database import release_connections

__all__ = ["session_of"]


@contextmanager
def session_of(name: str) -> Iterator[str]:
    """Log the user in whose natural key is ``name``; yield the session's cookie, as in a ``Cookie`` header.

    Without signals, so ``last_login`` stays. The session is deleted at the end. Raises LookupError if there is no such
    user, or no authentication backend lets them in.
    """
    if not (apps.is_installed("django.contrib.auth") and apps.is_installed("django.contrib.sessions")):
        raise LookupError("the project needs django.contrib.auth and django.contrib.sessions in INSTALLED_APPS")
    model: Any = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise LookupError(f"there is no user {name!r}") from None
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = model._meta.pk.value_to_string(user)
    session[BACKEND_SESSION_KEY] = _backend_for(user)
    session[HASH_SESSION_KEY] = user.get_session_auth_hash() if hasattr(user, "get_session_auth_hash") else ""
    session.save()
    release_connections()  # the websocket may be open for long
    try:
        yield f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    finally:
        session.delete()


def _backend_for(user: Any) -> str:
    """The path of the first authentication backend that finds the user again, and lets them in."""
    for path in settings.AUTHENTICATION_BACKENDS:
        get_user = getattr(load_backend(path), "get_user", None)
        if get_user is not None and get_user(user.pk) is not None:
            return path
    raise LookupError(f"no authentication backend lets {user} in; inactive users may not log in")
