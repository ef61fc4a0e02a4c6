"""Groups over Redis or Valkey."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from ...exceptions import GroupsUnavailable
from ..backend import PAGE_SIZE, Backend, Page, Receiver
from ..config import GroupsConfig, History
from ..message import GroupMessage
from ..position import START, Position
from .clients import Clients, read_locations
from .counts import RedisCounts
from .lines import Line
from .presence import Presence
from .scripts import KEEP, READ, Keys

__all__ = ["RedisBackend"]

logger = logging.getLogger("django_websocket")

META_SECONDS = 7 * 24 * 3600
"""Seconds that a group's position outlives its history, so that one who has got everything need not wonder."""


class RedisBackend(Backend):
    """Publishes by Redis's PUBLISH; a script gives the messages of groups with history their positions.

    A Cluster (of version 7 or later) carries them by sharded channels, over a line for each node.
    """

    def __init__(self, config: GroupsConfig, receiver: Receiver) -> None:
        super().__init__(config, receiver)
        self._clients = Clients(config)
        self._keys = Keys(config.prefix)
        self._publish = "SPUBLISH" if config.cluster else "PUBLISH"
        self._names: dict[bytes, str] = {}
        """The groups of the channels that are subscribed."""
        self._nodes: dict[bytes, str] = {}
        self._lines: dict[str, Line] = {}
        self._lock = threading.Lock()
        self._counts: RedisCounts | None = None
        self._presence = Presence(self._clients, self._keys, receiver, self._publish, config.timeout)

    @classmethod
    def check(cls, config: GroupsConfig) -> None:
        read_locations(config)

    # Sending

    def publish(self, message: GroupMessage, history: History | None) -> None:
        keys, name = self._keys, message.group
        if history is None:
            self._clients.execute(self._publish, keys.channel(name), message.encode())
            return
        ttl = int(history.ttl * 1000)
        self._clients.call(
            KEEP,
            [keys.meta(name), keys.stream(name), keys.channel(name)],
            [
                secrets.token_hex(5),
                history.size,
                ttl,
                ttl + META_SECONDS * 1000,
                self._publish,
                message.kind,
                message.exclude or "-",
                message.body,
            ],
        )

    # Receiving

    def subscribe(self, name: str) -> None:
        channel = self._keys.channel(name).encode()
        deadline = time.monotonic() + self.config.timeout
        self._names[channel] = name
        self._presence.start()
        while not self._line_of(channel).subscribe(channel, deadline):
            if time.monotonic() >= deadline:
                raise GroupsUnavailable(f"no subscription to group {name} within {self.config.timeout} seconds")
            time.sleep(0.02)  # its place in the Cluster has changed

    def listen(self, name: str) -> None:
        channel = self._keys.channel(name).encode()
        self._names[channel] = name
        try:
            self._line_of(channel).add(channel)
        except GroupsUnavailable:
            self._line("").add(channel)  # no node of that name, so it looks for the right one as long as it must

    def unsubscribe(self, name: str) -> None:
        channel = self._keys.channel(name).encode()
        self._names.pop(channel, None)
        line = self._lines.get(self._nodes.pop(channel, ""))
        if line is not None:
            line.discard(channel)

    def _line_of(self, channel: bytes) -> Line:
        node = self._nodes.get(channel)
        if node is None:
            try:
                node = self._nodes[channel] = self._clients.node_of(channel.decode())
            except (RedisError, OSError) as error:
                raise GroupsUnavailable(f"Redis: {error}") from error
        return self._line(node)

    def _line(self, node: str) -> Line:
        with self._lock:
            line = self._lines.get(node)
            if line is None:
                line = self._lines[node] = Line(
                    lambda: self._clients.connect(node),
                    self,
                    self.config.timeout,
                    sharded=self.config.cluster,
                    name=node,
                )
            return line

    # Called by the lines

    def message(self, channel: bytes, payload: bytes) -> None:
        """A message has come."""
        name = self._names.get(channel)
        if name is None:
            return
        try:
            self.receiver.deliver(GroupMessage.decode(name, payload))
        except Exception:
            logger.exception("Could not deliver a message to group %s", name)

    def batch_ended(self) -> None:
        """Let members be served before there are more. Comes every few seconds at least, with the answer to a PING."""
        self.receiver.wait_for_room()
        self.receiver.fill_gaps()

    def restored(self, channels: list[bytes], seconds: float) -> None:
        """There may be gaps."""
        names = [self._names[channel] for channel in channels if channel in self._names]
        self.receiver.interrupted(names, f"the connection to Redis was lost for {seconds:.1f} seconds")
        self._presence.refresh()

    def moved(self, channels: list[bytes]) -> None:
        """Find out which node has them now."""
        try:
            self._clients.learn_nodes()
        except (RedisError, OSError) as error:
            logger.info("No node of the cluster answers: %s", error)
        for channel in channels:
            if channel not in self._names:
                continue
            before = self._nodes.pop(channel, None)
            try:
                line = self._line_of(channel)
            except GroupsUnavailable:
                self._nodes[channel] = before or ""
                line = self._line(before or "")
            line.add(channel, was_interrupted=True)
        time.sleep(0.05)

    # History

    def read_history(self, name: str, after: Position | None, *, trusted: bool = False) -> Page:
        keys = self._keys
        place = START if after is None else after
        epoch, number, complete, entries = self._clients.call(
            READ,
            [keys.meta(name), keys.stream(name)],
            [place.epoch, place.number, 0 if after is None else PAGE_SIZE, int(trusted), secrets.token_hex(5)],
        )
        position = Position(epoch.decode(), int(number)) if epoch else START
        messages = [
            GroupMessage(
                name,
                kind.decode(),
                body,
                None if exclude == b"-" else exclude.decode(),
                Position(position.epoch, int(n)),
            )
            for n, kind, exclude, body in entries
        ]
        return Page(messages, position, bool(complete))

    # Presence

    def member_joined(self, name: str, number: int, info: Any) -> None:
        self._presence.joined(name, number, info)

    def member_left(self, name: str, number: int, info: Any) -> None:
        self._presence.left(name, number, info)

    def members(self, name: str) -> list[Any]:
        return self._presence.members(name)

    def count(self, name: str) -> int:
        return self._presence.count(name)

    # Counts

    def share_counts(self, own: Mapping[str, int]) -> RedisCounts:
        self._counts = RedisCounts(self.config, self._keys, own)
        return self._counts

    # The end

    def close(self) -> None:
        if self._counts is not None:
            self._counts.close()
        self._presence.close()
        for line in list(self._lines.values()):
            line.close()
        self._clients.close()

    def forget(self) -> None:
        for line in self._lines.values():
            line.forget()
