"""Names of groups."""

from __future__ import annotations

import re

__all__ = ["MAX_LENGTH", "OURS", "check_name"]

OURS = "!"
"""What the names begin with that this package uses for itself; no name of a group has it."""

MAX_LENGTH = 200

_name = re.compile(r"[A-Za-z0-9_.:@/=+,~-]+")


def check_name(name: object) -> str:
    """Return ``name``. Raises TypeError unless it is a ``str``, ValueError if it can't be the name of a group."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a group is a str, not {type(name).__name__}")
    if not name or len(name) > MAX_LENGTH:
        raise ValueError(f"the name of a group has 1 to {MAX_LENGTH} characters, not {len(name)}")
    if _name.fullmatch(name) is None:
        raise ValueError(f"the name of a group consists of ASCII letters, digits and -_.:@/=+,~; {name!r} has others")
    return name
