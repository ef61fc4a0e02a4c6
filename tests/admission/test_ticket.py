"""What is in a ticket, and what it looks like."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from django_websocket.admission.ticket import Ticket, read_ticket, sign_ticket
from django_websocket.exceptions import InvalidTicket
from django_websocket.protocol.handshake import TOKEN

#: pytest-django's, whose name is not the same in all its versions.
Settings = Any

KEY = "ab3" * 11


@pytest.mark.parametrize("user_id", ["1", "5f1c5e6c-6a6f-4a5e-9a3b-2f4c8e0d1b7a", "jürgen:ä, 漢字", ""])
@pytest.mark.parametrize("session_key", ["", KEY, "ü" * 100])
def test_it_comes_back_as_it_was(user_id: str, session_key: str) -> None:
    ticket = Ticket(user_id, "digest", "generation", session_key)
    text = sign_ticket(ticket)
    assert re.fullmatch(TOKEN, text), "RFC 6455, section 4.1: a subprotocol is a token"
    assert read_ticket(text) == ticket


def test_no_two_are_the_same() -> None:
    assert len({sign_ticket(Ticket("1", "", "", KEY)) for _ in range(100)}) == 100


def test_who_reads_it_does_not_learn_the_session_key(settings: Settings) -> None:
    first, second = (sign_ticket(Ticket("1", "", "", KEY)) for _ in range(2))
    fields = [json.loads(base64.urlsafe_b64decode(f"{text.partition('.')[0]}==")) for text in (first, second)]
    assert fields[0][3] != fields[1][3]
    for _, _, _, session, _ in fields:
        assert KEY.encode() not in base64.urlsafe_b64decode(f"{session}==")


def test_a_fallback_of_the_secret_reads_all_of_it(settings: Settings) -> None:
    text = sign_ticket(Ticket("1", "", "", KEY))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = b"a new one", ["unrelated", settings.SECRET_KEY]
    assert read_ticket(text).session_key == KEY


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", ":", "\x00", "\ud800", "é", "a" * 5000])
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidTicket, match="not valid"):
        read_ticket(text)


def test_every_character_counts() -> None:
    text = sign_ticket(Ticket("1", "", "", ""))
    for place, character in enumerate(text):
        changed = text[:place] + ("A" if character != "A" else "B") + text[place + 1 :]
        with pytest.raises(InvalidTicket):
            read_ticket(changed)


def test_what_is_signed_for_another_purpose_is_none() -> None:
    from django.core import signing

    with pytest.raises(InvalidTicket):
        read_ticket(signing.dumps(["1", "", "", "", "n"], salt="django_websocket.tickets"))


def test_its_repr_gives_nothing_away() -> None:
    ticket = Ticket("1", "digest", "generation", KEY, "nonce")
    assert repr(ticket) == "Ticket(user_id='1', generation='generation')"
