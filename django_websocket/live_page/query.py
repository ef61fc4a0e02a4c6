"""What a page asks for: which websockets, in which order, and from where on.

A page begins, or ends, at a *position* rather than at a number: the value that is sorted by, the process, and the
websocket's number in it. So each process has to send no more rows than the page shows, however far down it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..websocket import WebSocket
from .columns import COLUMNS, haystack, user_id_of

__all__ = ["LIMIT", "Position", "Query"]

LIMIT = 50
"""Rows of a page."""

MAX_SEARCH = 100
"""Characters of a search."""

MAX_FILTER = 200

Position = tuple[Any, str, int]
"""The value that is sorted by, the process, the websocket's number there."""


@dataclass(frozen=True)
class Query:
    """The default is the first page, those with the most to say first."""

    search: str = ""
    """Words that must all be there, in any column of text or in a group's name; case doesn't matter."""
    view: str | None = None
    user: str | None = None
    """The primary key of a user, as a text."""
    sort: str = "path"
    descending: bool = False
    cursor: Position | None = None
    """The page begins behind it; None: at the very beginning."""
    backwards: bool = False
    """The page ends before the cursor instead, or at the very end."""

    @classmethod
    def parse(cls, data: object) -> Query:
        """The query that JSON ``data`` stands for. Raises ValueError for anything that a page doesn't send."""
        if not isinstance(data, Mapping) or not data.keys() <= cls.__dataclass_fields__.keys():
            raise ValueError("not a query")
        sort = data.get("sort", "path")
        if not isinstance(sort, str) or sort not in COLUMNS:
            raise ValueError("no column to sort by")
        return cls(
            _text(data.get("search", ""), MAX_SEARCH).casefold(),
            None if data.get("view") is None else _text(data["view"], MAX_FILTER),
            None if data.get("user") is None else _text(data["user"], MAX_FILTER),
            sort,
            data.get("descending") is True,
            _position(data.get("cursor"), is_text=COLUMNS[sort].is_text),
            data.get("backwards") is True,
        )

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` takes."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def upwards(self) -> bool:
        """Whether the rows wanted are those with the smallest positions above the cursor, rather than the reverse."""
        return self.descending == self.backwards

    def is_wanted(self, position: Position) -> bool:
        """Whether a page that had room for everything would show what is at ``position``."""
        cursor = self.cursor
        if cursor is None:
            return True
        return position > cursor if self.upwards else position < cursor

    def test(self) -> Callable[[WebSocket], bool]:
        """A function that says whether a websocket matches."""
        words, view, user = self.search.split(), self.view, self.user
        if not words and view is None and user is None:
            return lambda websocket: True

        def matches(websocket: WebSocket) -> bool:
            if view is not None and websocket.view_name != view:
                return False
            if user is not None and user_id_of(websocket) != user:
                return False
            if not words:
                return True
            text = haystack(websocket)
            return all(word in text for word in words)

        return matches


def _text(value: object, size: int) -> str:
    if not isinstance(value, str) or len(value) > size:
        raise ValueError(f"not a text of up to {size} characters")
    return value


def _position(value: object, *, is_text: bool) -> Position | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError("not a position")
    first, process, number = value
    is_right = isinstance(first, str) if is_text else isinstance(first, (int, float))
    if not is_right or not isinstance(number, int):
        raise ValueError("not a position")
    return _text(first, MAX_FILTER) if is_text else first, _text(process, MAX_FILTER), number
