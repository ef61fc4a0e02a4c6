"""Closes the websockets that tickets opened, once those give no right any more.

:class:`TicketWatch` looks at intervals, as :class:`.SessionWatch` does and at the same ones, for tickets that were not
followed by another one in time, that were revoked, or whose user was deactivated, deleted or has a new password. A
ticket that comes from a session has that watched, too. A revocation is told to all processes, which then close at once.
"""

from __future__ import annotations

import logging

from ..close_codes import UNAUTHORIZED
from ..conf import get_setting
from ..exceptions import GroupsUnavailable, InvalidTicket
from ..groups.message import BINARY, GroupMessage
from ..groups.receivers import receivers
from ..home import at_home
from ..registry import SocketObserver, registry
from ..sessions import session_watch
from ..valid_users import keys_of_invalid_users
from ..websocket import WebSocket
from .entrance import Admission, find_session
from .marks import current_generations, is_revoked

__all__ = ["REVOCATIONS", "TicketWatch", "announce_revocation", "listen_for_revocations", "ticket_watch"]

logger = logging.getLogger("django_websocket")

REVOCATIONS = "!ticket-revocations"
"""No name that a group can have."""


class TicketWatch(SocketObserver):
    """Watches the websockets of this process that tickets opened."""

    def __init__(self) -> None:
        self._admissions: dict[WebSocket, Admission] = {}

    def __len__(self) -> int:
        """The number of websockets being watched."""
        return len(self._admissions)

    def add(self, websocket: WebSocket, admission: Admission) -> None:
        """Watch ``websocket``, and the session of its ticket, if it has one."""
        session, admission.session = admission.session, None
        if session is not None:
            session_watch.tie(websocket, session)
        if not websocket.closed:
            self._admissions[websocket] = admission

    def socket_closed(self, websocket: WebSocket) -> None:
        self._admissions.pop(websocket, None)

    def check(self) -> None:
        """Close those whose right has ended. Raises what the cache or the database raises."""
        for websocket, admission in list(self._admissions.items()):
            if admission.is_fresh:
                self._note_ticket(websocket, admission)
            elif admission.deadline is not None and admission.deadline <= _now(websocket):
                _close(websocket, "no fresh ticket")
        known = dict(self._admissions)
        for websocket in keys_of_invalid_users(known):
            _close(websocket, "user has changed")
        current = current_generations({admission.user_id for admission in known.values()})
        for websocket, admission in known.items():
            if is_revoked(admission.ticket.generation, current.get(admission.user_id, "")):
                _close(websocket, "ticket revoked")

    def _note_ticket(self, websocket: WebSocket, admission: Admission) -> None:
        """Set the deadline, or tie the websocket to the ticket's session; once it has one, it ends with that."""
        admission.is_fresh = False
        if admission.ticket.session_key and not admission.has_session:
            try:
                session_watch.tie(websocket, find_session(admission.ticket))
            except InvalidTicket as error:
                _close(websocket, str(error))
            except BaseException:
                admission.is_fresh = True  # for the next check
                raise
            admission.has_session = True
        seconds = get_setting("WEBSOCKET_TICKET_REFRESH")
        admission.deadline = None if admission.has_session or seconds is None else _now(websocket) + seconds

    def revoke(self, user_id: str, generation: str) -> None:
        """Close those of the user whose ticket is not of ``generation``."""
        for websocket, admission in list(self._admissions.items()):
            if admission.user_id == user_id and admission.ticket.generation != generation:
                _close(websocket, "ticket revoked")


def _now(websocket: WebSocket) -> float:
    """By the clock that deadlines go by."""
    assert websocket.driver is not None, "it is open"
    return websocket.driver.channel.clock()


def _close(websocket: WebSocket, reason: str) -> None:
    websocket.close(UNAUTHORIZED, reason)


def announce_revocation(user_id: str, generation: str) -> None:
    """Close what a user's revoked tickets have opened, in all processes."""
    try:
        at_home(ticket_watch.revoke, user_id, generation)
        receivers.backend.publish(GroupMessage(REVOCATIONS, BINARY, f"{generation} {user_id}".encode()), None)
    except ConnectionAbortedError:
        pass  # the server has stopped
    except GroupsUnavailable as error:
        logger.warning("Other processes will notice a revocation only at their next check of tickets: %s", error)


def listen_for_revocations() -> None:
    """Close what is revoked in other processes, from now on."""
    receivers.listen(REVOCATIONS, _Closer())


class _Closer:
    def put(self, message: GroupMessage) -> None:
        generation, _, user_id = message.body.decode().partition(" ")
        ticket_watch.revoke(user_id, generation)


ticket_watch = TicketWatch()
"""The ticket watch of this process."""
registry.subscribe(ticket_watch)
