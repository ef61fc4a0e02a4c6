"""Who uses the site."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import Permission
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest

PEOPLE: dict[str, list[str] | None] = {
    "root": ["view_websocket", "close_websocket"],
    "viewer": ["view_websocket"],
    "clerk": [],
    "ann": None,
    "bob": None,
}
"""Names, and what staff may do; None: they are no staff."""


def make_people() -> dict[str, Any]:
    """Make all users; return them by name."""
    made = {}
    for name, codenames in PEOPLE.items():
        user = get_user_model()._default_manager.create_user(username=name)
        if codenames is not None:
            user.is_staff = True
            user.save()
            user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        made[name] = user
    return made


def new_session(user: Any) -> str:
    """Log ``user`` in; return the key of the session."""
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session.save()
    assert request.session.session_key is not None
    return request.session.session_key
