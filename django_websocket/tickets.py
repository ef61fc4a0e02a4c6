"""Tickets, for clients that can't send a cookie with their handshake: ``docs/howto/tickets.rst`` explains them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from .admission.marks import begin_generation, current_generation
from .admission.ticket import Ticket, sign_ticket
from .admission.watch import announce_revocation
from .conf import get_setting

__all__ = ["describe", "issue", "revoke", "view"]

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


def issue(request: Any, user: Any = None) -> str:
    """Return a ticket for ``user``, by default ``request.user``.

    It opens one websocket, within ``WEBSOCKET_TICKET_AGE`` seconds. If the user is logged in with the session of
    ``request``, the websocket ends with that session. ``request`` may be that of Django REST framework, or None.

    Raises PermissionDenied for somebody who is not logged in or not active, and TypeError for a user who is no
    AUTH_USER_MODEL.
    """
    return sign_ticket(_new_ticket(request, user))


def describe(request: Any, user: Any = None) -> dict[str, Any]:
    """Return what :func:`view` answers, for a view of your own. Raises what :func:`issue` raises.

    ``ticket``; ``expires_in``, the seconds for which it may open a websocket; and ``refresh_in``, the seconds within
    which that websocket needs another ticket, None if it needs none.
    """
    ticket = _new_ticket(request, user)
    return {
        "ticket": sign_ticket(ticket),
        "expires_in": get_setting("WEBSOCKET_TICKET_AGE"),
        "refresh_in": None if ticket.session_key else get_setting("WEBSOCKET_TICKET_REFRESH"),
    }


@login_not_required
@never_cache
@require_POST
def view(request: HttpRequest) -> JsonResponse:
    """Answer a POST of somebody who is logged in with a ticket, as JSON; see :func:`describe`. Others get a 401."""
    try:
        answer = describe(request)
    except PermissionDenied as error:
        return JsonResponse({"detail": str(error)}, status=401, headers={"WWW-Authenticate": "Session"})
    return JsonResponse(answer)


def revoke(user: Any) -> None:
    """Void all tickets of ``user`` so far, and close the websockets that they have opened (4401).

    The processes that serve them learn of it by Django's default cache, which they must share, and at once if groups
    go over Redis. Raises what the cache raises.
    """
    user_id = _checked(user)._meta.pk.value_to_string(user)
    announce_revocation(user_id, begin_generation(user_id))


def _new_ticket(request: Any, user: Any) -> Ticket:
    if user is None:
        user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not getattr(user, "is_active", True):
        raise PermissionDenied("Log in first: a ticket is somebody's.")
    user_id = _checked(user)._meta.pk.value_to_string(user)
    return Ticket.of(user, current_generation(user_id), _session_key(request, user_id))


def _checked(user: Any) -> Any:
    model = get_user_model()
    if not isinstance(user, model):
        raise TypeError(f"tickets are for users of the model {model._meta.label}, not for {type(user).__name__}")
    return user


def _session_key(request: Any, user_id: str) -> str:
    """That of the request's session, if the user is logged in with it and the server keeps it."""
    session = getattr(request, "session", None)
    if session is None or settings.SESSION_ENGINE == SIGNED_COOKIES or session.get(SESSION_KEY) != user_id:
        return ""
    return session.session_key or ""
