"""Names of groups."""

from __future__ import annotations

from typing import Any

import pytest

from django_websocket import Group
from django_websocket.groups.names import MAX_LENGTH


@pytest.mark.parametrize("name", ["a", "room.42", "user:7@example.com/a=b+c,d~e-f_g", "x" * MAX_LENGTH])
def test_names(name: str) -> None:
    assert Group(name).name == name


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", ValueError, "has 1 to 200 characters, not 0"),
        ("x" * (MAX_LENGTH + 1), ValueError, "has 1 to 200 characters, not 201"),
        ("a b", ValueError, "'a b' has others"),
        ("raum.ä", ValueError, "'raum.ä' has others"),
        ("a{b}", ValueError, "has others"),
        ("a\n", ValueError, "has others"),
        (42, TypeError, "is a str, not int"),
        (b"room", TypeError, "is a str, not bytes"),
        (None, TypeError, "is a str, not NoneType"),
    ],
)
def test_what_is_no_name(name: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Group(name)


def test_a_group_is_its_name() -> None:
    assert Group("a") == Group("a")
    assert hash(Group("a")) == hash(Group("a"))
    assert Group("a") != Group("b")
    assert Group("a") != "a"
    assert repr(Group("a")) == "Group('a')"
