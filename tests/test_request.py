"""What a websocket notes of its request."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from django_websocket.options import resolve_options
from django_websocket.protocol.handshake import Handshake
from django_websocket.request import note_client
from django_websocket.websocket import WebSocket


def noted(**attributes: Any) -> tuple[Any, str, str]:
    """User's key and name, and the address, of a request with ``attributes``."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = "192.0.2.7"
    for name, value in attributes.items():
        setattr(request, name, value)
    websocket = WebSocket(Handshake("key", (), ()), resolve_options({}))
    note_client(websocket, request)
    return websocket.user_id, websocket.user_name, websocket.address


def load() -> Any:
    pytest.fail("it was loaded")


ANN = User(pk=7, username="ann")


class Robot:
    """No model, and as little of a user as a package may provide."""

    is_authenticated = True

    def __str__(self) -> str:
        return "robot"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, (None, "")),
        ({"user": ANN}, (7, "ann")),
        ({"user": AnonymousUser()}, (None, "")),
        ({"user": SimpleLazyObject(load)}, (None, "")),
        ({"user": SimpleLazyObject(load), "_cached_user": ANN}, (7, "ann")),
        ({"user": Robot()}, (None, "robot")),
        ({"user": "nobody"}, (None, "")),
    ],
)
def test_whose_it_is_without_a_query(attributes: dict[str, Any], expected: tuple[Any, str]) -> None:
    assert noted(**attributes) == (*expected, "192.0.2.7")


def test_the_values_are_the_users_own() -> None:
    """So that they take no memory."""
    _, name, _ = noted(user=ANN)
    assert name is ANN.username
