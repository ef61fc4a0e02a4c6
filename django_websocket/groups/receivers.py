"""The members and subscriptions of this process: they join and leave here, and what a backend delivers goes to them.

Members belong to the scheduler's thread; subscriptions may be used in any.

Where messages have positions, each group knows that of the last one that was delivered here. A later one that isn't the
next shows a gap, and the history fills it. A member that joins ``since`` a position first gets the messages from the
history, as fast as its client takes them, while live ones pass it by; the last look at the history and the change to
live messages happen without anything in between.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from django.core.signals import setting_changed

from ..channel import Channel
from ..conf import get_setting
from ..exceptions import ConnectionClosed, GroupsUnavailable
from ..registry import SocketObserver, registry
from ..signals import messages_lost
from ..websocket import WebSocket
from .backend import Backend, load_backend
from .config import GroupsConfig, History
from .fan_out import FanOut
from .local_group import LocalGroup, Subscriber, end_of, is_caught_up, is_next, is_old
from .message import CLOSE, GroupMessage
from .names import OURS
from .position import Position
from .process import process_id

__all__ = ["Joined", "Receivers", "receivers"]

logger = logging.getLogger("django_websocket")

RETRY_SECONDS = 1.0
"""Seconds until a history that could not be read is tried again."""

_numbers = count(1)


@dataclass(frozen=True)
class Joined:
    """What :meth:`.WebSocket.join` returns."""

    complete: bool
    """Whether all messages behind ``since`` were, or will be, sent; True without ``since``."""
    position: str | None
    """That of the group's last message at the time; None in a group without history."""


class Receivers(SocketObserver):
    """Who is in which group, each with its info, and who else gets its messages."""

    def __init__(self) -> None:
        self._groups: dict[str, LocalGroup] = {}
        self.fan_out = FanOut()
        self.sends = 0
        """Messages that this process has sent to groups."""
        self.lock = threading.RLock()
        """Held while a message is handed out and receivers come or go; never while anything waits."""
        self._abandoned: deque[tuple[str, Subscriber]] = deque()
        self._overflowed: deque[str] = deque()
        self._gaps: dict[str, str] = {}
        """Groups whose history could not be read when it had to, and why it had to."""
        self._next_try = 0.0
        self._backend: Backend | None = None
        self._config: GroupsConfig | None = None

    # The backend

    @property
    def config(self) -> GroupsConfig:
        """``WEBSOCKET_GROUPS``."""
        if self._config is None:
            self._config = GroupsConfig.of(get_setting("WEBSOCKET_GROUPS"))
        return self._config

    @property
    def backend(self) -> Backend:
        """That of ``WEBSOCKET_GROUPS``."""
        if self._backend is None:
            made = load_backend(self.config)(self.config, self)  # not under the lock: it imports
            with self.lock:
                if self._backend is None:
                    self._backend = made
        return self._backend

    def close_backend(self) -> None:
        """Close the backend; the next use makes another one."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close()

    def reconfigure(self) -> None:
        """Read the setting again."""
        self.close_backend()
        self._config = None

    def forget(self) -> None:
        """In a forked child: the members are the parent's."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.forget()
        self.lock = threading.RLock()  # another thread may have held it
        self._groups = {}
        self.fan_out.forget()

    # Sending

    def publish(self, message: GroupMessage, history: History | None) -> None:
        """Carry ``message`` to the members in all processes; block while too much waits. Raises what backends raise."""
        self.backend.publish(message, history)
        self.sends += 1
        self.fan_out.wait_for_room()

    # Groups come and go

    @contextmanager
    def _used(self, name: str) -> Iterator[LocalGroup]:
        """The group, which stays as long as this lasts."""
        with self.lock:
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = LocalGroup()
            group.users += 1
        try:
            yield group
        finally:
            with self.lock:
                group.users -= 1
                self._drop_unused(name, group)

    def _drop_unused(self, name: str, group: LocalGroup) -> None:
        if group.is_unused and self._groups.get(name) is group:
            del self._groups[name]
            self.backend.unsubscribe(name)

    def _subscribe(self, name: str, group: LocalGroup, history: History | None) -> None:
        """Have messages delivered from now on, and none from before."""
        backend = self.backend
        backend.subscribe(name)
        group.is_subscribed = True
        if history is not None and group.last is None:
            position = backend.read_history(name, None).position
            with self.lock:
                if group.last is None:
                    group.last = position

    # Members

    def join(
        self, name: str, websocket: WebSocket, info: Any, since: Position | None, history: History | None
    ) -> Joined:
        """Add ``websocket``; a member again only gets another ``info``.

        Raises :exc:`.ConnectionClosed` if it is closed, and :exc:`.GroupsUnavailable`.
        """
        _check_open(websocket)
        with self._used(name) as group:
            if not websocket.number:
                websocket.number = next(_numbers)
            self._subscribe(name, group, history)
            _check_open(websocket)
            is_new = websocket not in group.members
            if not is_new and group.members[websocket] == info:
                return _joined(group, since is None)
            group.members[websocket] = info
            if is_new:
                websocket.groups += (name,)
            self.backend.member_joined(name, websocket.number, info)
            complete = since is None
            if is_new and since is not None and history is not None:
                complete = self._replay(name, group, websocket, since)
            return _joined(group, complete)

    def _replay(self, name: str, group: LocalGroup, websocket: WebSocket, since: Position) -> bool:
        """Send what the history has behind ``since``; return whether that is everything."""
        driver = websocket.driver
        assert driver is not None, "it is open"
        complete = True
        end = None
        group.begin_replay(websocket)
        try:
            while True:
                before = group.last
                page = self.backend.read_history(name, since)
                complete = complete and page.complete
                _check_open(websocket)
                if page.messages:
                    try:
                        driver.write_messages([message.shared for message in page.messages])
                    except OSError:
                        pass
                    _check_open(websocket)
                since = end_of(page)
                if page.is_last and is_caught_up(before, group.last, since):
                    # From here on nothing may switch.
                    end = since
                    return complete
        except BaseException:
            self.leave(name, websocket)
            raise
        finally:
            group.end_replay(websocket, end)

    def leave(self, name: str, websocket: WebSocket) -> None:
        """Remove ``websocket``; does nothing if it is no member."""
        group = self._groups.get(name)
        if group is None or websocket not in group.members:
            return
        with self.lock:
            info = group.remove(websocket)
            websocket.groups = tuple(other for other in websocket.groups if other != name)
            self.backend.member_left(name, websocket.number, info)
            self._drop_unused(name, group)

    def leave_all(self, websocket: WebSocket) -> None:
        """Remove ``websocket`` from all its groups."""
        for name in websocket.groups:
            self.leave(name, websocket)

    def socket_closed(self, websocket: WebSocket) -> None:
        self.leave_all(websocket)

    def names(self) -> list[str]:
        return [name for name, group in list(self._groups.items()) if group.members]

    def members_of(self, name: str) -> list[tuple[int, Any]]:
        group = self._groups.get(name)
        return [] if group is None else [(websocket.number, info) for websocket, info in list(group.members.items())]

    def count(self, name: str) -> int:
        group = self._groups.get(name)
        return 0 if group is None else len(group.members)

    def count_memberships(self) -> int:
        """The members of all groups in this process: a websocket in two groups counts twice."""
        return sum(len(group.members) for group in list(self._groups.values()))

    def address(self, websocket: WebSocket) -> str:
        """What stands for ``websocket`` in all processes."""
        if not websocket.number:
            websocket.number = next(_numbers)
        return f"{process_id()}:{websocket.number}"

    # Subscriptions

    def attach(self, name: str, subscriber: Subscriber, history: History | None) -> Position | None:
        """Have ``subscriber`` get the messages from now on; return the position of the last one before."""
        self._detach_abandoned()
        with self._used(name) as group:
            self._subscribe(name, group, history)
            with self.lock:
                group.subscribers += (subscriber,)
                return group.last

    def listen(self, name: str, subscriber: Subscriber) -> None:
        """Have ``subscriber`` get the messages soon, without blocking or raising."""
        with self._used(name) as group, self.lock:
            group.subscribers += (subscriber,)
            group.is_subscribed = True
        self.backend.listen(name)

    def detach(self, name: str, subscriber: Subscriber) -> None:
        """Stop; does nothing if it is not attached."""
        with self.lock:
            group = self._groups.get(name)
            if group is not None and subscriber in group.subscribers:
                group.subscribers = tuple(one for one in group.subscribers if one is not subscriber)
                self._drop_unused(name, group)

    def detach_soon(self, name: str, subscriber: Subscriber) -> None:
        """Stop later: for the garbage collector, which may run anywhere."""
        self._abandoned.append((name, subscriber))

    def _detach_abandoned(self) -> None:
        while self._abandoned:
            self.detach(*self._abandoned.popleft())

    def last_position(self, name: str) -> Position | None:
        """Of the last message that was delivered to the group's receivers in this process."""
        group = self._groups.get(name)
        return None if group is None else group.last

    # Messages

    def deliver(self, message: GroupMessage) -> None:
        channel = self._channel(message.group)
        if channel is not None and not channel.in_own_thread():
            try:
                channel.call(self.deliver, message)
            except ConnectionAbortedError:
                pass  # the server has stopped, and the members are gone
            return
        group = self._groups.get(message.group)
        if group is None or not group.is_subscribed:
            return
        if message.position is not None and group.last is not None and not is_next(message.position, group.last):
            if not is_old(message.position, group.last):
                self._fill(message.group, group, "messages were skipped", at_least=message.position)
            return
        self._hand_out(group, message)
        if self._abandoned:
            self._detach_abandoned()
        if self._overflowed:
            self._report_overflowed()

    def overflowed(self, name: str) -> None:
        """A subscription has dropped a message. Called while the lock is held, so it is told later."""
        self._overflowed.append(name)

    def _report_overflowed(self) -> None:
        names = list(dict.fromkeys(self._overflowed))
        self._overflowed.clear()
        report_lost(names, "a subscription is full")

    def interrupted(self, names: Iterable[str], reason: str) -> None:
        lost = []
        for name in names:
            group = self._groups.get(name)
            if group is None or not group.is_subscribed:
                continue
            if name.startswith(OURS):
                continue  # what is lost there is asked again, or found out in another way
            if group.last is None:
                lost.append(name)
            else:
                self._fill(name, group, reason)
        if lost:
            report_lost(lost, reason)

    def _fill(self, name: str, group: LocalGroup, reason: str, at_least: Position | None = None) -> None:
        """Hand out what the history has behind the last message.

        If it can't be read, the next message tries again, or :meth:`fill_gaps`: none is handed out before its
        predecessors.
        """
        assert group.last is not None, "a group without history has no gaps to fill"
        if at_least is not None and at_least.epoch != group.last.epoch:
            group.last = Position(at_least.epoch, 0)
        complete = True
        try:
            while True:
                page = self.backend.read_history(name, group.last, trusted=True)
                complete = complete and page.complete
                for message in page.messages:
                    self._hand_out(group, message)
                    self.wait_for_room()
                if page.is_last:
                    group.last = page.position
                    break
        except GroupsUnavailable as error:
            if name not in self._gaps:
                logger.warning("Could not read the history of group %s, will retry: %s", name, error)
            self._gaps[name] = reason
            self._next_try = time.monotonic() + RETRY_SECONDS
            return
        self._gaps.pop(name, None)
        if not complete:
            report_lost([name], reason)

    def fill_gaps(self) -> None:
        if not self._gaps or time.monotonic() < self._next_try:
            return
        for name, reason in list(self._gaps.items()):
            group = self._groups.get(name)
            if group is None or group.last is None:
                del self._gaps[name]
            else:
                self._fill(name, group, reason)

    def _hand_out(self, group: LocalGroup, message: GroupMessage) -> None:
        with self.lock:
            if message.position is not None:
                group.last = message.position
            for subscriber in group.subscribers:
                subscriber.put(message)
            if not group.members:
                return
            if message.is_for_clients:
                channel = self._channel(message.group)
                assert channel is not None, "there are members"
                self.fan_out.write(message, group.recipients(message), channel)
            elif message.kind == CLOSE:
                self.fan_out.close(message, list(group.members))

    def wait_for_room(self) -> None:
        self.fan_out.wait_for_room()

    def _channel(self, name: str) -> Channel | None:
        """The channel of any member. Another thread may ask."""
        group = self._groups.get(name)
        if group is None:
            return None
        with self.lock:
            websocket = next(iter(group.members), None)
        return None if websocket is None or websocket.driver is None else websocket.driver.channel


def _check_open(websocket: WebSocket) -> None:
    if websocket.closed:
        raise ConnectionClosed(*websocket.connection.close_received, websocket.connection.close_sent)


def _joined(group: LocalGroup, complete: bool) -> Joined:
    return Joined(complete, None if group.last is None else str(group.last))


def report_lost(names: list[str], reason: str) -> None:
    """Say that messages may be lost, by a line in the log and a signal."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    logger.warning("Messages may be lost, %s: group %s", reason, shown)
    for receiver, error in messages_lost.send_robust(WebSocket.group_class, groups=names, reason=reason):
        if isinstance(error, Exception):
            logger.error("%r failed to handle lost messages", receiver, exc_info=error)


receivers = Receivers()
"""Those of this process."""
registry.subscribe(receivers)
os.register_at_fork(after_in_child=receivers.forget)


def _reconfigure(*, setting: str, **kwargs: Any) -> None:
    if setting == "WEBSOCKET_GROUPS":
        receivers.reconfigure()


setting_changed.connect(_reconfigure, dispatch_uid="django_websocket.groups")
