"""Lets in who shows a ticket: ``request.user`` is the ticket's user, whatever the cookies say."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from ..channel import Upgrade
from ..compat.django import load_session, set_user
from ..exceptions import HandshakeError, InvalidTicket, RefusalReason
from ..protocol.assembly import Message
from .marks import current_generation, is_revoked, use_up
from .offer import PROTOCOL
from .ticket import Ticket, auth_digests, read_ticket

__all__ = ["REFRESH", "Admission", "admit", "find_session"]

REFRESH = f"{PROTOCOL} "
"""What a text message begins with that has another ticket behind it."""

CHALLENGE = {"WWW-Authenticate": "Ticket"}
"""RFC 9110, section 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate header field"."""


class Admission:
    """A ticket that has opened a websocket, or refreshed it.

    The websocket refers to it, and not the reverse.
    """

    __slots__ = ("deadline", "has_session", "is_fresh", "session", "ticket", "verified")

    def __init__(self, ticket: Ticket, session: SessionBase | None) -> None:
        self.ticket = ticket
        self.session = session
        """The one that the websocket ends with, until it is watched."""
        self.has_session = session is not None
        self.is_fresh = True
        """Whether the next check has yet to take note of the ticket."""
        self.deadline: float | None = None
        """When another ticket must have come, on the clock of the websocket's channel."""
        self.verified: tuple[Any, ...] | None = None

    @property
    def user_id(self) -> str:
        """The ticket's."""
        return self.ticket.user_id

    def is_valid_for(self, user: Any) -> bool:
        """Whether the user's password is the one for which the ticket was issued."""
        return any(constant_time_compare(self.ticket.auth, one) for one in auth_digests(user))

    def takes(self, message: Message) -> bool:
        """Take a message of the client's if it is another ticket. Runs in the scheduler, and looks nothing up.

        What the cache and the database have to say of the ticket is asked at the next check.
        """
        if not (isinstance(message, str) and message.startswith(REFRESH)):
            return False
        ticket = read_ticket(message[len(REFRESH) :])
        if ticket.user_id != self.ticket.user_id:
            raise InvalidTicket("the ticket is another user's")
        self.ticket = ticket
        self.verified = None
        self.is_fresh = True
        return True


def admit(request: HttpRequest, upgrade: Upgrade) -> Admission:
    """Set the user of ``request`` to that of the ticket, and return what its websocket has been let in with.

    Raises :exc:`.HandshakeError` (401) unless the ticket is valid, and what cache and database raise.
    """
    try:
        ticket = _take_ticket(upgrade)
        user = _find_user(ticket)
        session = find_session(ticket) if ticket.session_key else None
        if is_revoked(ticket.generation, current_generation(ticket.user_id)):
            raise InvalidTicket("the ticket was revoked")
        if not use_up(ticket.nonce):
            raise InvalidTicket("the ticket was used before")
    except InvalidTicket as error:
        raise HandshakeError(401, str(error), CHALLENGE, kind=RefusalReason.TICKET) from None
    set_user(request, user)
    return Admission(ticket, session)


def _take_ticket(upgrade: Upgrade) -> Ticket:
    """Read it. Its text is forgotten before anything can fail that is reported with local variables."""
    text, upgrade.ticket = upgrade.ticket, None
    return read_ticket(text or "")


def _find_user(ticket: Ticket) -> Any:
    model: Any = get_user_model()
    try:
        user = model._default_manager.get(pk=model._meta.pk.to_python(ticket.user_id))
    except (model.DoesNotExist, ValidationError):  # the latter if the model has changed since
        user = None
    if user is None or not getattr(user, "is_active", True):
        raise InvalidTicket("the ticket's user is gone")
    if not Admission(ticket, None).is_valid_for(user):
        raise InvalidTicket("the ticket's user has another password")
    return user


def find_session(ticket: Ticket) -> SessionBase:
    """Load the session that the ticket comes from. Raises :exc:`.InvalidTicket` if it has ended."""
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(session_key=ticket.session_key)
    load_session(session)
    if session.session_key == ticket.session_key and session.get(SESSION_KEY) == ticket.user_id:
        return session
    if session.session_key and session.session_key != ticket.session_key:
        session.delete()  # the file engine makes a new one for one that has expired
    raise InvalidTicket("the ticket's session has ended")
