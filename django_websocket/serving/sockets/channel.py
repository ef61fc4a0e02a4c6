"""The channel of an open websocket on eventlet's hub.

Eventlet's blocking ``recv`` adds the descriptor to epoll and removes it again for every wait. Here each websocket keeps
one READ listener for its lifetime.

* Callbacks must not raise: the hub would print the exception and drop the descriptor.
* Listeners are removed before the descriptor is closed, so that a reused number never reaches an old socket.
* A turn of the hub also calls those that were removed since it has polled, so they lose their callbacks, too.
* OpenSSL may hold input that polling the descriptor does not report. Whatever has received a part of it, the rest is
  called back for.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Callable
from typing import Any

import greenlet

from ...channel import Timer
from ..green import eventlet, hub_thread
from ..green.stalls import meter_of
from ..green.thread_calls import ThreadCalls
from ..green.turns import turns_of
from ..wire import TLSWire, Wire

__all__ = ["EventletChannel"]

hubs = eventlet.hubs
READ = hubs.hub.READ
WRITE = hubs.hub.WRITE


class EventletChannel:
    """A :class:`~django_websocket.channel.Channel` over ``wire``, which it takes over.

    ``thread_calls`` takes the calls of other threads; without it, there are none.
    """

    __slots__ = (
        "_hub",
        "_is_due",
        "_reader",
        "_stalls",
        "_thread_calls",
        "_wire",
        "_writer",
        "clock",
        "receive",
        "send",
    )

    def __init__(self, wire: Wire, thread_calls: ThreadCalls | None = None) -> None:
        self._hub: Any = hubs.get_hub()
        self._thread_calls = thread_calls
        self._wire = wire
        self._reader: Any = None
        self._writer: Any = None
        self._is_due = False  # to be called because of pending input
        self.receive = self._receive_secure if isinstance(wire, TLSWire) else wire.receive
        self.send = wire.send
        self._stalls = meter_of(self._hub)
        self.clock: Callable[[], float] = self._stalls.clock

    def fileno(self) -> int:
        """The socket's descriptor, -1 once it is closed."""
        return self._wire.sock.fileno()

    # Watching

    def watch_readable(self, callback: Callable[[int], None], on_lost: Callable[[Exception], None]) -> None:
        self._reader = self._hub.add(READ, self._wire.fd, callback, on_lost, None)
        self._look_at_pending()

    def unwatch_readable(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            self._hub.remove(reader)
            reader.cb = _ignore

    def watch_writable(self, callback: Callable[[int], None], on_lost: Callable[[Exception], None]) -> None:
        self._writer = self._hub.add(WRITE, self._wire.fd, callback, on_lost, None)

    def unwatch_writable(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._hub.remove(writer)
            writer.cb = _ignore

    def _receive_secure(self, size: int) -> bytes:
        data = self._wire.receive(size)
        self._look_at_pending()
        return data

    def _look_at_pending(self) -> None:
        if self._reader is not None and not self._is_due and self._wire.has_pending:
            self._is_due = True
            self._hub.schedule_call_global(0, self._call_for_pending)

    def _call_for_pending(self) -> None:
        self._is_due = False
        if self._reader is not None and self._wire.has_pending:
            self._reader.cb(self._wire.fd)

    # Ending

    def shut_down(self) -> None:
        self._wire.shut_down()

    def close(self) -> None:
        self.unwatch_readable()
        self.unwatch_writable()
        self._wire.close()
        self.receive = self._wire.receive  # not a method of this object's, which nobody but the collector could free

    # Scheduling

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        if seconds > 0:
            return self._stalls.call_at_deadline(seconds, callback, *args)
        timer: Timer = self._hub.schedule_call_global(0, callback, *args)
        return timer

    def call_in_turn(self, callback: Callable[[], object]) -> None:
        turns_of(self._hub).append(callback)

    def park(self) -> Any:
        hub = self._hub
        # hub.switch() sets the parent first; a view has had the right one since it was resumed. It also hides an event
        # loop, which runs here if a coroutine waits for a message.
        has_hub_as_parent: bool = greenlet.getcurrent().parent is hub.greenlet and _get_running_loop() is None
        return hub.greenlet.switch() if has_hub_as_parent else hub.switch()

    def pause(self, seconds: float = 0) -> None:
        current: Any = greenlet.getcurrent()
        if current is self._hub.greenlet:
            return
        timer = self._hub.schedule_call_global(seconds, current.switch)
        try:
            self._hub.switch()
        finally:
            timer.cancel()

    def can_pause(self) -> bool:
        return greenlet.getcurrent() is not self._hub.greenlet

    # Other threads

    def in_own_thread(self) -> bool:
        return hub_thread.is_current()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._thread_calls is None:
            raise RuntimeError("this channel takes no calls of other threads")
        return self._thread_calls.call(function, *args)


def _ignore(_: int) -> None:
    """For a listener that was removed."""
