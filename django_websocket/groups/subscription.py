"""Messages of a group for code, rather than for a client."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ..exceptions import ConcurrencyError
from .config import History
from .events import Event, new_event
from .local_group import end_of, is_caught_up
from .message import CLIENT_KINDS, JOINED, NOTICES, GroupMessage
from .position import Position, parse_position
from .receivers import receivers

__all__ = ["MAX_QUEUE", "MAX_QUEUED_BYTES", "Notice", "Subscription"]

MAX_QUEUE = 1000
"""Messages that a subscription holds."""

MAX_QUEUED_BYTES = 8 * 1024 * 1024

BUDGET = 64
"""Messages that a busy reader may take before it must let others run."""


@dataclass(frozen=True)
class Notice:
    """A member has joined or left; for subscriptions with ``presence``."""

    joined: bool
    """False if it has left."""
    info: Any
    """What it gave when it joined: see :meth:`.WebSocket.join`."""


class Subscription:
    """Gets the messages that are sent to a group from now on, or since a position. Use it as a context manager::

        with Group("room.42").subscribe() as messages:
            for message in messages:
                ...

    One greenlet or thread at a time may wait. A thousand messages wait to be taken, 8 MiB at most; then those of a
    group with history stay there until they are wanted, and of another group the oldest are dropped: :attr:`lost`
    counts them, the first is logged, and :data:`~django_websocket.signals.messages_lost` is sent.
    """

    def __init__(
        self,
        group: Any,
        history: History | None,
        since: str | None = None,
        *,
        presence: bool = False,
        messages: bool = True,
    ) -> None:
        self.group = group
        """The :class:`.Group`."""
        self.lost = 0
        """Messages that were dropped because nobody took them."""
        self.closed = False
        """Whether :meth:`close` was called."""
        self.complete = True
        """Whether nothing is missing behind ``since``, as far as it has been read."""
        self._name: str = group.name
        self._kinds = (CLIENT_KINDS if messages else frozenset()) | (NOTICES if presence else frozenset())
        self._queue: deque[GroupMessage] = deque()
        self._queued_bytes = 0
        self._event: Event | None = None
        self._is_waiting = False
        self._wakers: tuple[Callable[[], None], ...] = ()
        self._behind: Position | None = None
        """Where to read on in the history, instead of taking messages as they come."""
        self._ahead: Position | None = None
        """Of the last message that came from the history."""
        self._taken = 0
        self._link = _Link(self)
        after = None if since is None else parse_position(since)
        if history is None and after is not None:
            self.complete = False
        if history is not None and messages:
            self._behind = after
        self._position = receivers.attach(self._name, self._link, history)
        if after is not None and history is not None:
            self._position = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}{' closed' if self.closed else ''}>"

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        link = self.__dict__.get("_link")
        if link is not None and not self.closed:
            receivers.detach_soon(self._name, link)

    @property
    def position(self) -> str | None:
        """Of the last message that was taken, or at first the group's; None in a group without history."""
        return None if self._position is None else str(self._position)

    # Taking

    def wait(self, timeout: float | None = None) -> Any:
        """Return the next message: ``str``, or ``bytes`` if it is binary; None once the subscription is closed.

        Raises TimeoutError if none arrives within ``timeout`` seconds, :exc:`.ConcurrencyError` if another greenlet or
        thread is waiting, and :exc:`.GroupsUnavailable` if the history can't be read; the next call tries again.
        """
        message = self.wait_message(timeout)
        return None if message is None else _content(message)

    def wait_message(self, timeout: float | None = None) -> GroupMessage | None:
        """What :meth:`wait` does, with everything that belongs to the message."""
        if self._is_waiting:
            raise ConcurrencyError("another greenlet already waits for a message of this subscription")
        self._is_waiting = True
        end = None if timeout is None else time.monotonic() + timeout
        timed_out = False
        try:
            while True:
                if (message := self._take()) is not None or self.closed:
                    return message
                left = None if end is None else max(end - time.monotonic(), 0)
                if timed_out or left == 0:
                    raise TimeoutError(f"no message within {timeout} seconds")
                self._event = event = new_event()
                if not self.is_ready:
                    timed_out = not event.wait(left)
        finally:
            self._event = None
            self._is_waiting = False

    def read(self, fallback: Any = None) -> Any:
        """Return a message that has already arrived, or ``fallback``. Raises :exc:`.GroupsUnavailable`."""
        message = self._take()
        return fallback if message is None else _content(message)

    def has_messages(self) -> bool:
        """Whether a message has arrived and not been taken yet. Raises as :meth:`read` does."""
        while not self._queue and self._behind is not None and not self.closed:
            self._read_on()
        return bool(self._queue)

    def __iter__(self) -> Iterator[Any]:
        """Yield messages until the subscription is closed. Raises what :meth:`wait` raises, except TimeoutError."""
        while (message := self.wait()) is not None:
            yield message

    @property
    def is_ready(self) -> bool:
        """Whether :meth:`wait` would not block, except to read the history."""
        return bool(self._queue) or self.closed or self._behind is not None

    def _take(self) -> GroupMessage | None:
        while not self._queue and self._behind is not None and not self.closed:
            self._read_on()
        with receivers.lock:
            if not self._queue:
                return None
            message = self._queue.popleft()
            self._queued_bytes -= len(message.body)
        if message.position is not None:
            self._position = message.position
        self._taken += 1
        if self._taken % BUDGET == 0:
            time.sleep(0)  # on a patched server, lets other greenlets run
        return message

    def _read_on(self) -> None:
        """Take what the history has behind the last message; once that is all, take messages as they come."""
        behind = self._behind
        assert behind is not None, "there is something to read"
        before = receivers.last_position(self._name)
        page = receivers.backend.read_history(self._name, behind)
        self.complete = self.complete and page.complete
        with receivers.lock:
            self._queue.extend(page.messages)
            self._queued_bytes += sum(len(message.body) for message in page.messages)
            self._behind = end_of(page)
            if page.is_last and is_caught_up(before, receivers.last_position(self._name), self._behind):
                self._behind, self._ahead = None, self._behind

    # Whoever delivers

    def put(self, message: GroupMessage) -> None:
        """Take a message that is delivered."""
        if message.kind not in self._kinds:
            return
        if message.position is not None:
            if self._behind is not None:
                self._wake()
                return
            ahead = self._ahead
            if ahead is not None:
                if message.position.epoch == ahead.epoch and message.position.number <= ahead.number:
                    return
                self._ahead = None
        while len(self._queue) >= MAX_QUEUE or (self._queue and self._queued_bytes > MAX_QUEUED_BYTES):
            if message.position is not None:
                # The history has it.
                self._behind = Position(message.position.epoch, message.position.number - 1)
                return
            self._drop_oldest()
        self._queue.append(message)
        self._queued_bytes += len(message.body)
        self._wake()

    def _drop_oldest(self) -> None:
        try:
            dropped = self._queue.popleft()
        except IndexError:
            return
        self._queued_bytes -= len(dropped.body)
        self.lost += 1
        if self.lost == 1:
            receivers.overflowed(self._name)

    def _wake(self) -> None:
        event = self._event
        if event is not None:
            event.set()
        for waker in self._wakers:
            waker()

    def add_waker(self, waker: Callable[[], None]) -> None:
        """Have ``waker()`` called whenever a message has arrived."""
        self._wakers += (waker,)

    def remove_waker(self, waker: Callable[[], None]) -> None:
        """Stop."""
        self._wakers = tuple(one for one in self._wakers if one != waker)

    def close(self) -> None:
        """Get no more messages; what has arrived may still be taken. May be called from anywhere, and again."""
        if not self.closed:
            self.closed = True
            receivers.detach(self._name, self._link)
            self._wake()


class _Link:
    """Keeps a subscription that nobody has any more from being kept by its group."""

    __slots__ = ("__weakref__", "_subscription")

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = weakref.ref(subscription)

    def put(self, message: GroupMessage) -> None:
        subscription = self._subscription()
        if subscription is not None:
            subscription.put(message)


def _content(message: GroupMessage) -> Any:
    if message.is_for_clients:
        return message.content
    return Notice(message.kind == JOINED, message.info)
