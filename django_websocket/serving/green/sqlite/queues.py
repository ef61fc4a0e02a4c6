"""Queues of greenlets that wait for the locks of database files, one queue per file.

Writers wait in order of arrival, and only the first one retries. It is woken when a connection of this process releases
its locks. Locks of other processes are released without notice, so it also polls every few milliseconds, as SQLite
itself does. From time to time the queue pauses: if the lock were always handed on at once, other processes would never
find it free.

Readers and commits wait only for connections that are writing or reading at the moment, not for queued ones, so they
wait beside the queue.
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
"""Seconds between attempts to take a lock; the last value repeats."""

SHARE = 0.25
"""Seconds for which queued writers may hand the lock to each other."""

INTERVAL = 0.02
"""Seconds for which the queue then leaves the lock to other processes."""


class Queue:
    """The greenlets that wait for one file."""

    __slots__ = ("_closed_until", "_open_until", "beside", "in_turn")

    def __init__(self) -> None:
        self._open_until = monotonic() + SHARE
        self._closed_until = 0.0
        self.in_turn: deque[Place] = deque()
        self.beside: set[Place] = set()

    def let_others(self) -> None:
        """The lock is free: leave it to other processes for a moment, if due."""
        now = monotonic()
        if now > self._open_until:
            self._closed_until = now + INTERVAL
            self._open_until = now + INTERVAL + SHARE

    @property
    def closed_for(self) -> float:
        """Seconds until the first in the queue may try."""
        return self._closed_until - monotonic()


#: The queues of files that are being waited for. Usually empty; then nothing need be woken.
queues: dict[object, Queue] = {}

os.register_at_fork(after_in_child=queues.clear)


def pause(seconds: float) -> None:
    """Sleep for ``seconds``; let others run meanwhile if possible."""
    (eventlet.sleep if hub_thread.can_switch() else sleep)(seconds)


def tell(file: object, *, was_held: bool) -> None:
    """Wake waiters: a connection to ``file`` may have released locks; ``was_held``: those of a whole transaction.

    Does nothing in a native thread, which can't wake greenlets.
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
    """A greenlet's place among those that wait for ``file``: a context manager.

    With ``in_turn`` it waits in the queue, otherwise beside it. Native threads, and calls from the hub itself, can't
    let others run: they sleep as SQLite does, and take no place.
    """

    __slots__ = ("_delays", "_file", "_greenlet", "_in_turn", "_is_green", "_until", "_woken")

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
        """Whether the deadline has passed."""
        return monotonic() >= self._until

    def wait(self) -> None:
        """Return when it is time to try (again), or when the deadline has passed."""
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
        """Seconds until this one may try; not positive if it may try now, infinity if others are ahead in the queue."""
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
        """Make :meth:`wait` return in the hub's next turn, unless others are ahead. Call it in the hub's thread."""
        self._woken = True
        if self._greenlet is not None:
            eventlet.hubs.get_hub().schedule_call_global(0, self._resume)

    def _resume(self) -> None:
        # Runs on the hub. The greenlet may have been woken or killed meanwhile, and wait for something else.
        if self._greenlet is not None:
            self._greenlet.switch()
