"""Where a ticket is in a handshake's header, and what is left of that."""

from __future__ import annotations

import pytest

from django_websocket.admission.offer import take_ticket


@pytest.mark.parametrize(
    ("offered", "ticket", "left"),
    [
        ("django-websocket.ticket, abc", "abc", None),
        ("django-websocket.ticket,abc,chat.v2, chat.v1", "abc", "chat.v2, chat.v1"),
        ("chat.v2,\tdjango-websocket.ticket ,\tabc", "abc", "chat.v2"),
        (",django-websocket.ticket,, abc,", "abc", None),
        ("django-websocket.ticket", "", None),
        ("chat.v2, django-websocket.ticket", "", "chat.v2"),
        ("django-websocket.ticket, abc, django-websocket.ticket, def, chat.v2", "", "chat.v2"),
        ("chat.v2", None, "chat.v2"),
        ("django-websocket.tickets, abc", None, "django-websocket.tickets, abc"),
        ("", None, ""),
    ],
)
def test_a_header(offered: str, ticket: str | None, left: str | None) -> None:
    environ = {"HTTP_SEC_WEBSOCKET_PROTOCOL": offered, "HTTP_HOST": "example.com"}
    assert take_ticket(environ) == ticket
    assert environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL") == left


def test_no_header() -> None:
    assert take_ticket({}) is None
