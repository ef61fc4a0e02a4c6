"""A receiver that takes down what a backend delivers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from django_websocket.groups.message import GroupMessage
from tests.deadlines import wait_until


class Recorder:
    """As much of :class:`~django_websocket.groups.receivers.Receivers` as a backend sees."""

    def __init__(self) -> None:
        self.messages: list[GroupMessage] = []
        self.interruptions: list[list[str]] = []
        self.groups: dict[str, dict[int, Any]] = {}
        self.pauses = 0
        self.gate = threading.Event()
        """While it isn't set, nothing more is taken."""
        self.gate.set()

    def deliver(self, message: GroupMessage) -> None:
        self.gate.wait()
        self.messages.append(message)

    def wait_for_room(self) -> None:
        self.pauses += 1

    def fill_gaps(self) -> None:
        pass

    def interrupted(self, names: Iterable[str], reason: str) -> None:
        self.interruptions.append(list(names))

    def names(self) -> list[str]:
        return list(self.groups)

    def members_of(self, name: str) -> list[tuple[int, Any]]:
        return list(self.groups.get(name, {}).items())

    def count(self, name: str) -> int:
        return len(self.groups.get(name, ()))

    def contents(self, group: str | None = None) -> list[str | bytes]:
        """What members got."""
        return [
            message.content
            for message in self.messages
            if message.is_for_clients and (group is None or message.group == group)
        ]

    def notices(self) -> list[tuple[str, Any]]:
        """Who has come and gone."""
        return [(message.kind, message.info) for message in self.messages if message.kind in "+-"]

    def wait_for(self, number: int, what: str = "messages") -> None:
        """Wait until so many messages have been delivered."""
        wait_until(lambda: len(self.messages) >= number, 10, f"{number} {what}")
