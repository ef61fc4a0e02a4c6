"""Places in a group's history."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["START", "UNKNOWN", "Position", "parse_position"]


class Position(NamedTuple):
    """The ``number``-th message of a group since its history began, or began again: then ``epoch`` changes."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.number}" if self.epoch else "0"


START = Position("", 0)
"""Before everything that is kept."""

UNKNOWN = Position("?", 0)
"""Of no history that there is."""

_position = re.compile(r"([0-9a-z]{1,32})\.([0-9]{1,15})", re.ASCII)


def parse_position(text: str) -> Position:
    """Return what ``str(position)`` stands for; "0" is :data:`START`, anything else :data:`UNKNOWN`.

    The text usually comes from a client, so a wrong one is no error.
    """
    if not isinstance(text, str):
        raise TypeError(f"a position is a str, not {type(text).__name__}")
    if text == "0":
        return START
    match = _position.fullmatch(text)
    return UNKNOWN if match is None else Position(match[1], int(match[2]))
