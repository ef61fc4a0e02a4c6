"""Groups within one process."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict, deque
from itertools import islice
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from .backend import PAGE_SIZE, Backend, Page, Receiver
from .config import GroupsConfig, History
from .message import JOINED, LEFT, GroupMessage
from .position import START, Position

__all__ = ["MemoryBackend"]


class MemoryBackend(Backend):
    """Hands each message over at once, in the sender's greenlet. Nothing to install, no other process."""

    def __init__(self, config: GroupsConfig, receiver: Receiver) -> None:
        super().__init__(config, receiver)
        self._histories: dict[str, _KeptMessages] = {}
        self._by_ttl: dict[float, OrderedDict[str, None]] = {}
        """Their names, the one that expires first in front."""
        self._lock = threading.RLock()

    def publish(self, message: GroupMessage, history: History | None) -> None:
        if history is None:
            self.receiver.deliver(message)
            return
        with self._lock:  # so that other threads deliver theirs behind it
            self._keep(message, history)
            self.receiver.deliver(message)

    def _keep(self, message: GroupMessage, history: History) -> None:
        now = time.monotonic()
        self._expire(now)
        kept = self._histories.get(message.group)
        if kept is None:
            kept = self._histories[message.group] = _KeptMessages()
        if kept.ttl in self._by_ttl:
            self._by_ttl[kept.ttl].pop(message.group, None)
        kept.add(message, history, now)
        self._by_ttl.setdefault(history.ttl, OrderedDict())[message.group] = None

    def _expire(self, now: float) -> None:
        for ttl, names in list(self._by_ttl.items()):
            while names:
                name = next(iter(names))
                if self._histories[name].expires > now:
                    break
                del names[name], self._histories[name]
            if not names:
                del self._by_ttl[ttl]

    def read_history(self, name: str, after: Position | None, *, trusted: bool = False) -> Page:
        with self._lock:
            self._expire(time.monotonic())
            kept = self._histories.get(name)
            return Page([], START, after in (None, START)) if kept is None else kept.page(after)

    def subscribe(self, name: str) -> None:
        pass

    def listen(self, name: str) -> None:
        pass

    def unsubscribe(self, name: str) -> None:
        pass

    def member_joined(self, name: str, number: int, info: Any) -> None:
        self._notify(name, JOINED, info)

    def member_left(self, name: str, number: int, info: Any) -> None:
        self._notify(name, LEFT, info)

    def _notify(self, name: str, kind: str, info: Any) -> None:
        if info is not None:
            self.receiver.deliver(GroupMessage(name, kind, json.dumps(info, cls=DjangoJSONEncoder).encode()))

    def members(self, name: str) -> list[Any]:
        return [info for _, info in self.receiver.members_of(name)]

    def count(self, name: str) -> int:
        return self.receiver.count(name)

    def close(self) -> None:
        pass

    def forget(self) -> None:
        self._lock = threading.RLock()  # another thread may have held it


class _KeptMessages:
    """The history of one group."""

    __slots__ = ("_epoch", "_messages", "_number", "expires", "ttl")

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(5)
        self._number = 0
        self._messages: deque[GroupMessage] = deque()
        self.ttl = 0.0
        self.expires = 0.0

    def add(self, message: GroupMessage, history: History, now: float) -> None:
        self._number += 1
        message.position = Position(self._epoch, self._number)
        self._messages.append(message)
        while len(self._messages) > history.size:
            self._messages.popleft()
        self.ttl = history.ttl
        self.expires = now + history.ttl

    def page(self, after: Position | None) -> Page:
        """What comes behind ``after``."""
        position = Position(self._epoch, self._number)
        if after is None:
            return Page([], position, True)
        first = self._number - len(self._messages) + 1
        is_known = after == START or (after.epoch == self._epoch and after.number <= self._number)
        number = after.number + 1 if is_known else first
        skipped = max(number - first, 0)
        messages = list(islice(self._messages, skipped, skipped + PAGE_SIZE))
        return Page(messages, position, is_known and number >= first)
