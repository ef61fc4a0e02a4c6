"""The greenlets that wait for the locks of database files, each file with a queue of its own.

Those who want to write wait in the order in which they came, and only the first of them tries again. It is woken when
a connection of this process lets go of its locks; of those that other processes hold nobody tells, so it also looks
again every few milliseconds, as SQLite itself does. Now and then the queue lets a moment pass: passed on at once from
one to the next, the lock would never be free when another process looks.

Who wants to read, or to commit, is held up by whoever writes or reads just now and not by those who want to, so these
stand beside the queue.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import greenlet

from .. import eventlet, hub_thread
from ..hub_thread import monotonic, sleep

__all__ = ["Place", "pause", "queues", "tell"]

DELAYS = (0.001, 0.002, 0.005, 0.01, 0.02)
"""Seconds between two looks at a lock; the last one again and again."""

SHARE = 0.25
"""Seconds for which those in the queue pass the lock on among themselves,"""

INTERVAL = 0.02
"""and then seconds in which none of them takes it."""


class Queue:
    """Those who wait for one file."""

    __slots__ = ("_closed_until", "_open_until", "beside", "in_turn")

    def __init__(self) -> None:
        self._open_until = monotonic() + SHARE
        self._closed_until = 0.0
        self.in_turn: deque[Place] = deque()
        self.beside: set[Place] = set()

    def let_others(self) -> None:
        """The lock is free; leave it to other processes for a moment, if it is time."""
        now = monotonic()
        if now > self._open_until:
            self._closed_until = now + INTERVAL
            self._open_until = now + INTERVAL + SHARE

    @property
    def closed_for(self) -> float:
        """Seconds until the first in the queue may try."""
        return self._closed_until - monotonic()


#: The files that somebody waits for. While it is empty, as it mostly is, nobody need be told of anything.
queues: dict[object, Queue] = {}

os.register_at_fork(after_in_child=queues.clear)


def pause(seconds: float) -> None:
    """Sleep, and let others run where that is possible."""
    (eventlet.sleep if hub_thread.can_switch() else sleep)(seconds)


def tell(file: object, *, was_held: bool) -> None:
    """A connection to ``file`` is done with what may have taken locks; ``was_held``: that of a whole transaction.

    In a native thread, which can't tell anybody, nothing happens.
    """
    queue = queues.get(file)
    if queue is None or not hub_thread.is_current():
        return
    if was_held:
        queue.let_others()
    if queue.in_turn:
        queue.in_turn[0].wake()
    for place in queue.beside:
        place.wake()


class Place:
    """A greenlet's place among those who wait for ``file``, taken and left as a context manager.

    ``in_turn``: it stands in the queue; otherwise beside it. In native threads, and where the hub itself calls, nobody
    can let others run: these sleep as SQLite does, and have no place.
    """

    __slots__ = ("_delays", "_file", "_greenlet", "_in_turn", "_is_green", "_tries_at_once", "_until", "_woken")

    def __init__(self, file: object, until: float, *, in_turn: bool, has_tried: bool) -> None:
        self._file = file
        self._until = until
        self._in_turn = in_turn
        self._greenlet: greenlet.greenlet | None = None
        self._is_green = hub_thread.can_switch()
        self._delays = 0
        self._woken = not has_tried

    def __enter__(self) -> Place:
        if self._is_green:
            queue = queues.setdefault(self._file, Queue())
            if self._in_turn:
                queue.in_turn.append(self)
            else:
                queue.beside.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        queue = queues.get(self._file) if self._is_green else None
        if queue is None:
            return
        if self._in_turn:
            was_first = queue.in_turn[0] is self
            queue.in_turn.remove(self)
            if was_first and queue.in_turn:
                queue.in_turn[0].wake()
        else:
            queue.beside.discard(self)
        if not queue.in_turn and not queue.beside:
            del queues[self._file]

    @property
    def is_over(self) -> bool:
        """Whether there is no time left to wait."""
        return monotonic() >= self._until

    def wait(self) -> None:
        """Return when it is worth while to try (again), or when the time is over."""
        is_due = self._woken
        while (left := self._until - monotonic()) > 0:
            seconds = self._seconds_to_turn()
            if seconds <= 0:
                if is_due or self._woken:
                    break
                is_due = True
                seconds = DELAYS[self._delays]
                self._delays = min(self._delays + 1, len(DELAYS) - 1)
            self._pause(min(left, seconds))
        self._woken = False

    def _seconds_to_turn(self) -> float:
        """Seconds until it is this one's turn; positive, and unknown, if others stand before it."""
        if not (self._is_green and self._in_turn):
            return 0.0
        queue = queues[self._file]
        return queue.closed_for if queue.in_turn[0] is self else float("inf")

    def _pause(self, seconds: float) -> None:
        if not self._is_green:
            sleep(seconds)
            return
        hub = eventlet.hubs.get_hub()
        timer: Any = hub.schedule_call_global(seconds, self._resume)
        self._greenlet = greenlet.getcurrent()
        try:
            hub.switch()
        finally:
            self._greenlet = None
            timer.cancel()

    def wake(self) -> None:
        """Let :meth:`wait` return, at the hub's next turn; called in the hub's thread."""
        self._woken = True
        if self._greenlet is not None:
            eventlet.hubs.get_hub().schedule_call_global(0, self._resume)

    def _resume(self) -> None:
        # On the hub. The greenlet may have been woken or killed meanwhile, and wait for something else.
        if self._greenlet is not None:
            self._greenlet.switch()
