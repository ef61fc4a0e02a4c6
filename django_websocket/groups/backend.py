"""The interface between groups and what carries their messages.

A backend is a class whose path is ``BACKEND`` in ``WEBSOCKET_GROUPS``. It carries messages to the processes that asked
for them; what happens within a process (members, subscriptions, replay) is no business of its. Its methods may be
called from any greenlet of the process, and from any native thread of a process without a server.

``tests/groups/test_contract.py`` is what each backend must fulfil.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .config import GroupsConfig, History
from .message import GroupMessage
from .position import Position

__all__ = ["PAGE_SIZE", "Backend", "Page", "Receiver", "SharedCounts", "load_backend"]

PAGE_SIZE = 100
"""Messages of a history that are read at a time."""


class Receiver(Protocol):
    """What a backend hands the messages to: that of one process."""

    def deliver(self, message: GroupMessage) -> None:
        """Take a message of a subscribed group. Those of a group must come one after another, and in order.

        Blocks only to read the history, if positions are missing.
        """

    def wait_for_room(self) -> None:
        """Block while too much of what was delivered still waits for the processor, where the caller may block."""

    def interrupted(self, names: Iterable[str], reason: str) -> None:
        """The groups ``names`` are subscribed again, after an interruption in which messages may have been sent.

        Must be called before a later message of these groups is delivered.
        """

    def fill_gaps(self) -> None:
        """Read what could not be read before; to be called now and then by whoever delivers."""

    def names(self) -> list[str]:
        """The groups that have members in this process."""

    def members_of(self, name: str) -> list[tuple[int, Any]]:
        """The members in this process: their numbers and infos, in the order in which they joined."""

    def count(self, name: str) -> int:
        """The number of members in this process."""


@dataclass
class Page:
    """A part of a history: up to ``PAGE_SIZE`` (100) messages, the oldest first."""

    messages: list[GroupMessage]
    """In their order."""
    position: Position
    """That of the group's last message, in this page or not."""
    complete: bool
    """Whether nothing is missing before, or between, the messages."""

    @property
    def is_last(self) -> bool:
        """Whether there is nothing behind it yet."""
        return len(self.messages) < PAGE_SIZE


class SharedCounts(Protocol):
    """What each process counts under some keys, for all to see."""

    def count(self, keys: Sequence[str]) -> list[int] | None:
        """Record what this process has of ``keys``, and return how many all others have.

        Blocks for a moment only, and never raises: None says that nobody knows.
        """

    def record(self, keys: Sequence[str]) -> None:
        """Record it soon, without blocking or raising."""


class Backend(ABC):
    """Base class of backends.

    All methods that block do so for ``config.timeout`` seconds at most, and then raise :exc:`.GroupsUnavailable`.
    """

    def __init__(self, config: GroupsConfig, receiver: Receiver) -> None:
        self.config = config
        """What ``WEBSOCKET_GROUPS`` says."""
        self.receiver = receiver
        """Takes the messages, and knows the members, of this process."""

    @classmethod  # noqa: B027  most have nothing to check
    def check(cls, config: GroupsConfig) -> None:
        """Raise ImproperlyConfigured if ``config`` can't work, as far as that can be told without connecting."""

    @abstractmethod
    def publish(self, message: GroupMessage, history: History | None) -> None:
        """Carry ``message`` to all processes that have subscribed to its group, this one included.

        With ``history`` it gets the group's next position and is kept. One attempt: if this raises, nobody knows
        whether it was sent.
        """

    @abstractmethod
    def subscribe(self, name: str) -> None:
        """Deliver the messages of a group from now on.

        Blocks until that is so, and all messages that were published before have been delivered. Called for a group
        that is subscribed already, too.
        """

    @abstractmethod
    def listen(self, name: str) -> None:
        """Subscribe soon, without blocking or raising."""

    @abstractmethod
    def unsubscribe(self, name: str) -> None:
        """Stop, without blocking or raising."""

    @abstractmethod
    def read_history(self, name: str, after: Position | None, *, trusted: bool = False) -> Page:
        """Return what the group's history has behind ``after``, or from its beginning if it doesn't know that place.

        None asks for no messages, only for the position.

        ``trusted`` says that ``after`` was delivered by this backend: if the group's positions are behind it, its store
        has gone back in time, and positions must start again.
        """

    @abstractmethod
    def member_joined(self, name: str, number: int, info: Any) -> None:
        """Record a member of this process, without blocking or raising; a known one only gets another ``info``.

        Unless ``info`` is None, deliver a notice to everyone.
        """

    @abstractmethod
    def member_left(self, name: str, number: int, info: Any) -> None:
        """Remove a member of this process, without blocking or raising."""

    @abstractmethod
    def members(self, name: str) -> list[Any]:
        """The infos of the members, in all processes."""

    @abstractmethod
    def count(self, name: str) -> int:
        """The number of members, in all processes."""

    def share_counts(self, own: Mapping[str, int]) -> SharedCounts | None:
        """Share ``own``, the counts of this process, which the caller keeps up to date; None if there is no other.

        Called once.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Finish what is pending, for ``config.timeout`` seconds at most, and end all connections and threads."""

    @abstractmethod
    def forget(self) -> None:
        """In a forked child: drop what belongs to the parent. Must not use it."""


def load_backend(config: GroupsConfig) -> type[Backend]:
    """The class that ``config`` names. Raises ImproperlyConfigured."""
    try:
        backend: type[Backend] = import_string(config.backend)
    except ImportError as error:
        hint = "; pip install 'django-websocket[redis]'" if getattr(error, "name", "") in ("redis", "hiredis") else ""
        raise ImproperlyConfigured(f"WEBSOCKET_GROUPS: no backend {config.backend}: {error}{hint}") from error
    return backend
