"""The members of this process, and how a message gets to them.

A message is written to each member's socket; no view is woken. The scheduler does that in slices, so that a large group
holds nobody up, and messages that meet before their slice leave in one send. All of it belongs to the scheduler's
thread.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from ..channel import Channel
from ..exceptions import ConnectionClosed
from ..protocol.shared import SharedMessage
from ..registry import SocketObserver, registry
from ..websocket import WebSocket

__all__ = ["MAX_QUEUED_BYTES", "MAX_QUEUED_DELIVERIES", "Members", "members"]

MAX_QUEUED_BYTES = 256 * 1024
"""Bytes of messages that may wait for their slices before senders wait, too. Well below ``WEBSOCKET_MAX_OUTBOX``, so
that members are not closed as too slow because a sender is fast."""

MAX_QUEUED_DELIVERIES = 200_000
"""The same for messages times members."""


class Members(SocketObserver):
    """Who is in which group, each with its info."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[WebSocket, Any]] = {}
        self._queued_bytes = 0
        self._queued_deliveries = 0

    def forget(self) -> None:
        """In a forked child: the members are the parent's."""
        self._groups = {}
        self._queued_bytes = self._queued_deliveries = 0

    def join(self, name: str, websocket: WebSocket, info: Any) -> None:
        """Add ``websocket``; a member again only gets another ``info``.

        Raises :exc:`.ConnectionClosed` if it is closed.
        """
        if websocket.closed:
            raise ConnectionClosed(*websocket.connection.close_received, websocket.connection.close_sent)
        self._groups.setdefault(name, {})[websocket] = info
        if name not in websocket.groups:
            websocket.groups += (name,)

    def leave(self, name: str, websocket: WebSocket) -> None:
        """Remove ``websocket``; does nothing if it is no member."""
        group = self._groups.get(name)
        if group is None or websocket not in group:
            return
        del group[websocket]
        if not group:
            del self._groups[name]
        websocket.groups = tuple(other for other in websocket.groups if other != name)

    def leave_all(self, websocket: WebSocket) -> None:
        """Remove ``websocket`` from all its groups."""
        for name in websocket.groups:
            self.leave(name, websocket)

    def socket_closed(self, websocket: WebSocket) -> None:
        self.leave_all(websocket)

    def infos(self, name: str) -> list[Any]:
        """The infos of the members, in the order in which they joined."""
        return list(self._groups.get(name, {}).values())

    def count(self, name: str) -> int:
        """The number of members."""
        return len(self._groups.get(name, ()))

    def send(self, name: str, message: SharedMessage, exclude: WebSocket | None = None) -> None:
        """Send ``message`` to the members; wait while too much is queued, where the caller may wait."""
        channel = self._channel(name)
        if channel is None:
            return
        if not channel.in_own_thread():
            self._call(channel, self.send, name, message, exclude)
            return
        group = self._groups.get(name)
        if not group:
            return
        for websocket in group:
            if websocket is not exclude:
                websocket.driver.write_shared(message)  # type: ignore[union-attr]  # a member is open
        self._queued_bytes += len(message.payload)
        self._queued_deliveries += len(group)
        channel.call_in_turn(partial(self._sent, len(message.payload), len(group)))
        while self._is_full and channel.can_pause():
            channel.pause()

    @property
    def _is_full(self) -> bool:
        return self._queued_bytes > MAX_QUEUED_BYTES or self._queued_deliveries > MAX_QUEUED_DELIVERIES

    def _sent(self, size: int, deliveries: int) -> None:
        """A message has been sent to its last member: the calls of the scheduler run in order."""
        self._queued_bytes -= size
        self._queued_deliveries -= deliveries

    def close(self, name: str, code: int, reason: str) -> None:
        """Close the members' websockets."""
        channel = self._channel(name)
        if channel is None:
            return
        if not channel.in_own_thread():
            self._call(channel, self.close, name, code, reason)
            return
        for websocket in list(self._groups.get(name, ())):
            channel.call_in_turn(partial(websocket.close, code, reason))

    def _channel(self, name: str) -> Channel | None:
        """The channel of any member. Another thread may ask."""
        for websocket in list(self._groups.get(name, ()))[:1]:
            driver = websocket.driver
            assert driver is not None, "a member is open"
            return driver.channel
        return None

    def _call(self, channel: Channel, function: Any, *args: Any) -> None:
        try:
            channel.call(function, *args)
        except ConnectionAbortedError:
            pass  # the server has stopped, and the members are gone


members = Members()
"""Those of this process."""
registry.subscribe(members)
os.register_at_fork(after_in_child=members.forget)
