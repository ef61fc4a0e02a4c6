"""What one process knows of a group, and how live messages and its history join."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from ..websocket import WebSocket
from .backend import Page
from .message import GroupMessage
from .position import Position
from .process import process_id

__all__ = ["LocalGroup", "Subscriber", "end_of", "is_caught_up", "is_next", "is_old"]


class Subscriber(Protocol):
    """A subscription."""

    def put(self, message: GroupMessage) -> None:
        """Take a message; called by whoever delivers it, so it must not block or raise."""


class LocalGroup:
    """A group that has receivers in this process, or is about to."""

    __slots__ = ("ahead", "is_subscribed", "last", "members", "replaying", "subscribers", "users")

    def __init__(self) -> None:
        self.members: dict[WebSocket, Any] = {}
        """With their infos."""
        self.subscribers: tuple[Subscriber, ...] = ()
        self.users = 0
        """Calls that rely on it."""
        self.is_subscribed = False
        self.last: Position | None = None
        """Of the last message that was delivered; None as long as there are no positions."""
        self.replaying: set[WebSocket] | None = None
        """Members that get messages from the history."""
        self.ahead: dict[WebSocket, Position] | None = None
        """Members that got messages from the history that are not delivered yet."""

    @property
    def is_unused(self) -> bool:
        """Whether nobody would miss it."""
        return not (self.members or self.subscribers or self.users)

    def begin_replay(self, websocket: WebSocket) -> None:
        """From now on live messages pass this member by."""
        if self.replaying is None:
            self.replaying = set()
        self.replaying.add(websocket)

    def end_replay(self, websocket: WebSocket, end: Position | None) -> None:
        """From now on it gets them, if they are behind ``end``; None if it is no member any more."""
        if self.replaying is not None:
            self.replaying.discard(websocket)
            if not self.replaying:
                self.replaying = None
        if end is not None and end != self.last:
            if self.ahead is None:
                self.ahead = {}
            self.ahead[websocket] = end

    def remove(self, websocket: WebSocket) -> Any:
        """Remove a member; return its info."""
        if self.ahead is not None:
            self.ahead.pop(websocket, None)
        return self.members.pop(websocket)

    def recipients(self, message: GroupMessage) -> Collection[WebSocket]:
        """The members that get a message as it comes."""
        members: Collection[WebSocket] = self.members
        if message.exclude is not None:
            process, _, number = message.exclude.partition(":")
            if process == process_id():
                members = [websocket for websocket in members if websocket.number != int(number)]
        if self.replaying is not None or self.ahead is not None:
            members = [websocket for websocket in members if self._is_live(websocket, message.position)]
        return members

    def _is_live(self, websocket: WebSocket, position: Position | None) -> bool:
        if self.replaying is not None and websocket in self.replaying:
            return False
        ahead = None if self.ahead is None else self.ahead.get(websocket)
        if position is None or self.ahead is None or ahead is None:
            return True
        if is_old(position, ahead):
            return False
        del self.ahead[websocket]
        if not self.ahead:
            self.ahead = None
        return True


def is_next(position: Position, last: Position) -> bool:
    """Whether no message is missing between the two."""
    return position.number == (last.number + 1 if position.epoch == last.epoch else 1)


def is_old(position: Position, last: Position) -> bool:
    """Whether a message was there already when the one at ``last`` came."""
    return position.epoch == last.epoch and position.number <= last.number


def end_of(page: Page) -> Position:
    """Where to read on."""
    if page.messages and not page.is_last:
        position = page.messages[-1].position
        assert position is not None, "what is in a history has one"
        return position
    return page.position


def is_caught_up(before: Position | None, last: Position | None, end: Position) -> bool:
    """Whether the messages after ``last``, which was delivered, continue what has been read from the history.

    ``end`` is where that has been read to, and ``before`` what ``last`` was before the last look. A history that lacks
    what had been delivered before the look has lost it.
    """
    if last is None or last == before:
        return True
    return last.epoch == end.epoch and last.number <= end.number
