"""An in-memory channel: no socket, no thread, and a clock that only moves on request.

So runs are deterministic. The scheduler's greenlet is the one that calls :meth:`MemoryScheduler.run`; callbacks and the
greenlets that they wake run inside that call, which returns once nothing is left to do.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any, Protocol

import greenlet

from ..channel import Timer

__all__ = ["MemoryChannel", "MemoryPeer", "MemoryScheduler", "Watched", "connect"]

BUFFER_SIZE = 256 * 1024
"""Bytes that may be in flight in each direction."""

MAX_ROUNDS = 100_000
"""Rounds without time passing after which a run is treated as an endless loop."""

MAX_IDLE_ROUNDS = 1000
"""Rounds in which only greenlets ran and no byte moved, after which these greenlets are taken to be polling."""


class _Call:
    """A scheduled call."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        self.callback = None


class Watched(Protocol):
    """One end of a connection."""

    def call_watchers(self) -> bool:
        """Run the callbacks that are ready; return False if there are none."""


class MemoryScheduler:
    """Runs scheduled calls, on its own clock, and the callbacks of its channels."""

    def __init__(self) -> None:
        self._now = 0.0
        self._calls: list[tuple[float, int, _Call]] = []
        self._order = count()
        self._channels: list[Watched] = []
        self._owner = greenlet.getcurrent()
        self._thread = threading.get_native_id()
        self._running: greenlet.greenlet | None = None

    def clock(self) -> float:
        """Seconds that have passed in all runs."""
        return self._now

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call ``callback(*args)`` during a run, once ``seconds`` have passed."""
        call = _Call(callback, args)
        heapq.heappush(self._calls, (self._now + seconds, next(self._order), call))
        return call

    def call_in_turn(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` in the next round."""
        self.call_later(0, callback)

    def spawn(self, function: Callable[..., object], *args: Any) -> greenlet.greenlet:
        """Start ``function(*args)`` in a new greenlet, in the next round."""
        started = greenlet.greenlet(function)
        self.call_later(0, started.switch, *args)
        return started

    def run(self, seconds: float = 0, until: Callable[[], object] | None = None) -> None:
        """Run everything that is due, advancing the clock by up to ``seconds``; stop early once ``until()`` is true.

        Greenlets that poll without a pause don't stop time: they run again when the clock has moved, and in the next
        run.

        Only the greenlet that created the scheduler may call this: greenlets that have parked end there. Raises
        RuntimeError in another greenlet, inside another run, and if bytes are moved without end.
        """
        if self._running is not None or greenlet.getcurrent() is not self._owner:
            raise RuntimeError("the scheduler is already running, or was created in another greenlet")
        self._running = greenlet.getcurrent()
        end = self._now + seconds
        rounds = idle_rounds = 0
        try:
            while until is None or not until():
                due = self._take_due()
                is_active = self._run_due(due)
                is_active = self._run_watched() or is_active
                rounds += 1
                idle_rounds = 0 if is_active else idle_rounds + 1
                if rounds > MAX_ROUNDS:
                    raise RuntimeError(f"still not idle after {MAX_ROUNDS} rounds")
                if is_active or (due and idle_rounds < MAX_IDLE_ROUNDS):
                    continue
                following = min(
                    (when for when, _, call in self._calls if when > self._now and call.callback), default=end
                )
                if following > end or self._now == end:
                    self._now = end
                    return
                self._now = following
                rounds = idle_rounds = 0
        finally:
            self._running = None

    def _take_due(self) -> list[_Call]:
        """Return the calls that are due now; calls that they schedule wait for the next round."""
        due = []
        while self._calls and self._calls[0][0] <= self._now:
            due.append(heapq.heappop(self._calls)[2])
        return due

    def _run_due(self, due: list[_Call]) -> bool:
        """Run the calls of ``due``; return whether one did anything but wake a greenlet."""
        is_active = False
        for call in due:
            callback, call.callback = call.callback, None
            if callback is None:
                continue
            owner = getattr(callback, "__self__", None)
            if not isinstance(owner, greenlet.greenlet):
                is_active = True
            elif not owner.dead:
                owner.parent = greenlet.getcurrent()  # returns here when it ends
            callback(*call.args)
        return is_active

    def _run_watched(self) -> bool:
        """Run the callbacks of the channels that are readable or writable."""
        called = False
        for channel in list(self._channels):
            called = channel.call_watchers() or called
        return called

    def park(self) -> Any:
        """Switch from the calling greenlet to the one that runs the scheduler."""
        running = self._running
        if running is None or running is greenlet.getcurrent():
            raise RuntimeError("this would block forever: the scheduler is not running")
        greenlet.getcurrent().parent = running
        return running.switch()

    def is_parked(self, frame: FrameType | None) -> bool:
        """Whether a greenlet whose innermost frame is ``frame`` waits here, or not at all."""
        return frame is None or frame.f_code is MemoryScheduler.park.__code__

    @property
    def is_running(self) -> bool:
        """Whether :meth:`run` is on the stack."""
        return self._running is not None

    def skip(self, seconds: float) -> None:
        """Advance the clock without running anything."""
        self._now += seconds

    def pause(self, seconds: float = 0) -> None:
        """Let everything else that is ready run once, and whatever else for ``seconds``."""
        current = greenlet.getcurrent()
        if self._running is None or current is self._running:
            return
        timer = self.call_later(seconds, current.switch)
        try:
            self.park()
        finally:
            timer.cancel()

    def can_pause(self) -> bool:
        """Whether the caller is a greenlet that may wait, and not the one that runs the scheduler."""
        return self._running is not None and greenlet.getcurrent() is not self._running

    def in_own_thread(self) -> bool:
        """Whether the caller runs in the thread that created the scheduler."""
        return threading.get_native_id() == self._thread

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Raises RuntimeError: runs would not be deterministic."""
        raise RuntimeError("the in-memory channel takes no calls of other threads: use it in the thread that made it")

    def add(self, channel: Watched) -> None:
        """Start serving ``channel``."""
        self._channels.append(channel)

    def discard(self, channel: Watched) -> None:
        """Stop serving ``channel``; does nothing if it is not served."""
        if channel in self._channels:
            self._channels.remove(channel)


class _Pipe:
    """The bytes in flight in one direction."""

    __slots__ = ("data", "ended", "error")

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.error: OSError | None = None

    def receive(self, size: int) -> bytes:
        if self.error is not None:
            raise self.error
        if self.data:
            data = bytes(self.data[:size])
            del self.data[:size]
            return data
        if self.ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes | memoryview) -> int:
        if self.error is not None:
            raise self.error
        if self.ended:
            raise BrokenPipeError("the stream has ended")
        room = BUFFER_SIZE - len(self.data)
        if room <= 0 and len(data):
            raise BlockingIOError
        taken = bytes(data[:room])
        self.data += taken
        return len(taken)

    @property
    def is_readable(self) -> bool:
        return bool(self.data) or self.ended or self.error is not None

    @property
    def is_writable(self) -> bool:
        return len(self.data) < BUFFER_SIZE or self.ended or self.error is not None


class MemoryChannel:
    """A :class:`~django_websocket.channel.Channel` over two pipes."""

    def __init__(self, scheduler: MemoryScheduler, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._scheduler = scheduler
        self._incoming = incoming
        self._outgoing = outgoing
        self._reader: Callable[[int], None] | None = None
        self._writer: Callable[[int], None] | None = None
        self.receive: Callable[[int], bytes] = incoming.receive
        self.send: Callable[[bytes | memoryview], int] = outgoing.send
        self.clock = scheduler.clock
        self.call_later = scheduler.call_later
        self.call_in_turn = scheduler.call_in_turn
        self.park = scheduler.park
        self.pause = scheduler.pause
        self.can_pause = scheduler.can_pause
        self.in_own_thread = scheduler.in_own_thread
        self.call = scheduler.call
        scheduler.add(self)

    def watch_readable(self, callback: Callable[[int], None], on_lost: Callable[[Exception], None]) -> None:
        self._reader = callback

    def unwatch_readable(self) -> None:
        self._reader = None

    def watch_writable(self, callback: Callable[[int], None], on_lost: Callable[[Exception], None]) -> None:
        self._writer = callback

    def unwatch_writable(self) -> None:
        self._writer = None

    def shut_down(self) -> None:
        if self._outgoing.error is not None:
            raise self._outgoing.error
        self._outgoing.ended = True

    def close(self) -> None:
        self._reader = self._writer = None
        self._scheduler.discard(self)
        self._outgoing.ended = True
        self._incoming.error = BrokenPipeError("the other side has closed the connection")

    def call_watchers(self) -> bool:
        """Run the callbacks that are ready; return False if there are none."""
        called = False
        if self._reader is not None and self._incoming.is_readable:
            called = True
            self._reader(-1)
        if self._writer is not None and self._outgoing.is_writable:
            called = True
            self._writer(-1)
        return called


class MemoryPeer:
    """The client's end of a :class:`MemoryChannel`."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send(self, data: bytes) -> int:
        """Send what fits and return the number of bytes sent.

        Raises BlockingIOError if nothing fits, any other OSError if the connection is closed.
        """
        return self._outgoing.send(data)

    def receive(self, size: int = BUFFER_SIZE) -> bytes:
        """Return at most ``size`` bytes, ``b""`` at the end of the stream.

        Raises BlockingIOError if none are available yet, any other OSError if the connection is closed.
        """
        return self._incoming.receive(size)

    @property
    def is_readable(self) -> bool:
        """Whether :meth:`receive` would not raise BlockingIOError."""
        return self._incoming.is_readable

    @property
    def is_writable(self) -> bool:
        """Whether :meth:`send` would not raise BlockingIOError."""
        return self._outgoing.is_writable

    def shut_down(self) -> None:
        """End the outgoing stream; receiving continues."""
        self._outgoing.ended = True

    def close(self) -> None:
        """Close the connection cleanly."""
        self._outgoing.ended = True
        self._incoming.error = BrokenPipeError("the other side has closed the connection")

    def reset(self) -> None:
        """Reset the connection: data in flight is lost in both directions."""
        self._incoming.error = self._outgoing.error = ConnectionResetError("connection reset by the other side")


def connect(scheduler: MemoryScheduler) -> tuple[MemoryChannel, MemoryPeer]:
    """Return a new channel and the client's end of it."""
    to_server, to_client = _Pipe(), _Pipe()
    return MemoryChannel(scheduler, to_server, to_client), MemoryPeer(to_client, to_server)
