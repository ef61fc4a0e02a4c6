"""Where a ticket is in a handshake: the subprotocol behind the one that announces it.

A browser's page can set no header of a handshake but this. The ticket is taken out of the environ before Django sees
it, so that it gets into no error report, and the view chooses among real subprotocols only.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PROTOCOL", "take_ticket"]

PROTOCOL = "django-websocket.ticket"
"""Announces a ticket. The server selects it if the view speaks none of the others."""

HEADER = "HTTP_SEC_WEBSOCKET_PROTOCOL"


def take_ticket(environ: dict[str, Any]) -> str | None:
    """Remove the ticket from the header in ``environ``, together with what announces it, and return it.

    None if none is announced. What can't be a ticket, since nothing or more than one was announced, becomes "".
    """
    offered = environ.get(HEADER)
    if offered is None or PROTOCOL not in offered:
        return None
    names = [name for element in offered.split(",") if (name := element.strip(" \t"))]
    tickets = []
    while PROTOCOL in names:
        place = names.index(PROTOCOL)
        tickets.append("".join(names[place + 1 : place + 2]))
        del names[place : place + 2]
    if not tickets:
        return None
    if names:
        environ[HEADER] = ", ".join(names)
    else:
        del environ[HEADER]
    return tickets[0] if len(tickets) == 1 else ""
