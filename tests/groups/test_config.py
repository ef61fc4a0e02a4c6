"""``WEBSOCKET_GROUPS``, messages and positions."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_websocket import Group
from django_websocket.groups.config import DEFAULT_TTL, GroupsConfig, History
from django_websocket.groups.message import TEXT, GroupMessage
from django_websocket.groups.position import START, UNKNOWN, Position, parse_position
from django_websocket.groups.receivers import receivers


def test_histories_by_pattern() -> None:
    config = GroupsConfig.of({"HISTORY": {"room.*": 100, "ticker": {"SIZE": 5, "TTL": 60}, "*": {"SIZE": 1}}})
    assert config.history_of("room.42") == History(100, DEFAULT_TTL)
    assert config.history_of("ticker") == History(5, 60)
    assert config.history_of("other") == History(1)
    assert GroupsConfig.of({}).history_of("room.42") is None


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"HISTORY": {"*": 0}}, "positive number of messages"),
        ({"HISTORY": {"*": {"SIZE": 1, "TTL": -1}}}, "positive number of seconds"),
        ({"HISTORY": {"*": {"SIZE": 1, "AGE": 1}}}, "SIZE and TTL, not AGE"),
        ({"LOCATIONS": "redis://"}, "unknown key 'LOCATIONS'"),
        ({"PREFIX": "a{b}"}, "PREFIX is a string without braces"),
        ({"TIMEOUT": 0}, "TIMEOUT is a positive number"),
        ({"CLUSTER": True, "SENTINEL": "x"}, "exclude each other"),
    ],
)
def test_wrong_settings(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=says):
        GroupsConfig.of(setting)


@pytest.mark.parametrize("location", ["", "http://localhost", "redis://localhost:notaport", []])
def test_wrong_locations(settings: Any, location: Any) -> None:
    settings.WEBSOCKET_GROUPS = {
        "BACKEND": "django_websocket.groups.redis.RedisBackend",
        "LOCATION": location,
    }
    with pytest.raises(ImproperlyConfigured, match="WEBSOCKET_GROUPS"):
        Group("room").send("x")


def test_another_setting_makes_another_backend(settings: Any) -> None:
    before = receivers.backend
    settings.WEBSOCKET_GROUPS = {"PREFIX": "another"}
    assert receivers.backend is not before
    assert receivers.backend.config.prefix == "another"


def test_positions() -> None:
    assert parse_position("a1b2.17") == Position("a1b2", 17)
    assert str(Position("a1b2", 17)) == "a1b2.17"
    assert parse_position(str(START)) == START
    for text in ("", "17", "a.b", "A.1", "a.1 ", "a.-1", "a.1\n"):
        assert parse_position(text) == UNKNOWN


def test_messages_survive_the_way() -> None:
    message = GroupMessage("room", TEXT, b"a\nb \x00", "process:5", Position("e", 3))
    assert message.encode() == b"t e.3 process:5\na\nb \x00"
    other = GroupMessage.decode("room", message.encode())
    assert (other.kind, other.body, other.exclude, other.position) == ("t", b"a\nb \x00", "process:5", Position("e", 3))
    for data in (b"", b"t", b"t - -", b"t -\nx", b"t - - -\nx", b"\xff - -\nx"):
        with pytest.raises(ValueError, match=r"message|ascii"):
            GroupMessage.decode("room", data)
