"""Who opened a websocket."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from django_websocket.visitor import NOBODY, Visitor, visitor_of

PEER = "10.0.0.1"


def request(user: Any = None, **headers: str) -> HttpRequest:
    made: HttpRequest = RequestFactory().get("/", REMOTE_ADDR=PEER, headers=headers)
    if user is not None:
        made.user = user
    return made


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
    visited = request()
    for name, value in attributes.items():
        setattr(visited, name, value)
    visitor = visitor_of(visited, PEER)
    assert (visitor.user_id, visitor.user_name) == expected


def test_the_values_are_the_users_own() -> None:
    """So that they take no memory."""
    assert visitor_of(request(ANN), PEER).user_name is ANN.username


def test_of_most_clients_nothing_is_kept() -> None:
    assert visitor_of(request(), PEER) is NOBODY
    assert visitor_of(request(AnonymousUser(), **{"X-Forwarded-For": "203.0.113.7"}), PEER) is NOBODY


def test_what_is_known(settings: Any) -> None:
    settings.WEBSOCKET_TRUSTED_PROXIES = ["10.0.0.1"]
    headers = {"X-Forwarded-For": "1.1.1.1, 2001:db8::7", "X-Request-ID": "abc"}
    assert visitor_of(request(User(pk=42, username="ann"), **headers), PEER) == Visitor("2001:db8::7", 42, "ann", "abc")


def test_an_address_is_nothing_but_an_address(settings: Any) -> None:
    """What stands behind a percent sign may be anything, and who says it is inside the trusted network."""
    settings.WEBSOCKET_TRUSTED_PROXIES = ["10.0.0.0/8"]
    headers = {"X-Forwarded-For": 'fe80::1% - ann "WEBSOCKET x" 1000, 10.0.0.7'}
    assert visitor_of(request(**headers), PEER) == Visitor(address="fe80::1")


def test_a_middleware_may_have_found_the_client_out() -> None:
    visited = request()
    visited.META["REMOTE_ADDR"] = "203.0.113.7"
    assert visitor_of(visited, PEER) == Visitor(address="203.0.113.7")


def test_a_user_who_has_left_since_is_remembered() -> None:
    ann = Visitor(user_id=7, user_name="ann")
    assert visitor_of(request(AnonymousUser()), PEER, ann) == ann
    assert visitor_of(request(User(pk=8, username="bob")), PEER, ann) == Visitor(user_id=8, user_name="bob")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("7b3f-41", "7b3f-41"),
        ("Root=1-67891233-abcdef012345678912345678", "Root=1-67891233-abcdef012345678912345678"),
        ("x" * 128, "x" * 128),
        ("x" * 129, None),
        ("", None),
        ("two words", None),
        ('a"b', None),
        ("a\\b", None),
        ("\xe4", None),
        ("a\n", None),
    ],
)
def test_a_request_id_is_kept_if_it_can_do_no_harm(sent: str, kept: str | None) -> None:
    visited = request()
    visited.META["HTTP_X_REQUEST_ID"] = sent
    assert visitor_of(visited, PEER) == Visitor(request_id=kept)
