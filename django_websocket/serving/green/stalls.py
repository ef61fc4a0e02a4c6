"""Deadlines that don't run while the process is stalled and can't serve clients.

A call that blocks in C, or SIGSTOP, stalls the process: nothing that clients send meanwhile is read. When it resumes,
eventlet's hub runs its timers before it polls, so an expired deadline would take effect before an answer that arrived
in time is read. Therefore

* time spent in a stall does not count (:attr:`StallMeter.clock`);
* a deadline takes effect only after the hub has polled once more (:meth:`StallMeter.call_at_deadline`).

The hub's own timers, and with them ``eventlet.sleep`` and ``eventlet.Timeout``, are unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...channel import Timer
from . import eventlet
from .forks import at_fork

if TYPE_CHECKING:
    import time
else:
    time = eventlet.patcher.original("time")

__all__ = ["GRACE", "LONGEST_TURN", "WAITING", "StallMeter", "meter_of"]

LONGEST_TURN = 0.25
"""Seconds; the time a turn of the hub takes beyond this is a stall."""

GRACE = 1.0
"""Minimum seconds, granted once, before a deadline interrupted by a stall expires: the hub may have to poll several
times, and the client may still have to send what our full buffers held back."""

WAITING = float("inf")
"""The value of :attr:`StallMeter.turn_began` while the hub waits for events."""

_ATTRIBUTE = "_django_websocket_stalls"


class StallMeter:
    """Measures the turns of ``hub``. There is one for each hub; see :func:`meter_of`."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self._users = 0
        self._watcher: tuple[float, Callable[[float], None]] | None = None
        # Closures, because one of them is called in each of the hub's turns.
        monotonic, waiting, longest = time.monotonic, WAITING, LONGEST_TURN
        noticed = longest
        began, stalled = waiting, 0.0
        poll: Any = None

        def do_poll(seconds: float) -> Any:
            nonlocal began, stalled
            now = monotonic()
            if now - began > noticed:
                end_long_turn(now)
            began = waiting
            events = poll(seconds)
            began = monotonic()
            if began - now > seconds + longest:
                stalled += began - now - seconds - longest
            return events

        def end_long_turn(now: float) -> None:
            nonlocal stalled
            stalled += max(0.0, now - began - longest)
            if self._watcher is not None and now - began > self._watcher[0]:
                self._watcher[1](began)

        def watch(watcher: tuple[float, Callable[[float], None]] | None) -> None:
            nonlocal noticed
            self._watcher = watcher
            noticed = longest if watcher is None else min(longest, watcher[0])

        def clock() -> float:
            """Seconds on a monotonic clock that stops during stalls."""
            now = monotonic()
            return (now if now - began < longest else began + longest) - stalled

        def install() -> None:
            nonlocal poll
            # With epoll, the hub's method does nothing else.
            poll = hub.poll.poll if type(hub).__module__ == "eventlet.hubs.epolls" else hub.do_poll
            hub.do_poll = do_poll

        def uninstall() -> None:
            nonlocal began
            vars(hub).pop("do_poll", None)
            began = waiting

        self.clock = clock
        self.turn_began: Callable[[], float] = lambda: began
        """The start of the hub's turn on the system's monotonic clock; :data:`WAITING` while it waits."""
        self.stalled: Callable[[], float] = lambda: stalled
        """Total seconds of all completed stalls."""
        self._install, self._uninstall, self._watch = install, uninstall, watch

    @property
    def can_measure(self) -> bool:
        """Whether the hub exposes when it waits; those for ``select`` and ``kqueue`` don't."""
        return hasattr(self.hub, "do_poll")

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure while the context is open; otherwise, the clock is the system's. Contexts may overlap."""
        if not self.can_measure:
            yield
            return
        self._users += 1
        if self._users == 1:
            self._install()
        try:
            with at_fork(child=self._forget):
                yield
        finally:
            if self._users:
                self._users -= 1
                if not self._users:
                    self._uninstall()

    def _forget(self) -> None:
        """In a forked child: the hub polls another descriptor, and no server runs."""
        self._users = 0
        self._uninstall()

    def watch(self, limit: float, on_late_turn: Callable[[float], None]) -> None:
        """Call ``on_late_turn(began)`` at the end of each turn that took more than ``limit`` seconds."""
        self._watch((limit, on_late_turn))

    def unwatch(self) -> None:
        """Undo :meth:`watch`."""
        self._watch(None)

    def call_at_deadline(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Have the hub call ``callback(*args)`` once ``seconds`` have passed on :attr:`clock` and it has polled for
        events after that.
        """
        timer = _Deadline(seconds, callback, *args)
        timer.start(self)
        return timer


class _Deadline(eventlet.hubs.timer.Timer):  # type: ignore[misc]  # eventlet has no types
    """A timer that checks, when the hub calls it, whether its deadline has passed."""

    _has_polled = False
    _has_grace = True

    def start(self, meter: StallMeter) -> None:
        """Schedule it for ``seconds`` from now."""
        self._meter = meter
        self._stalled = meter.stalled()
        self._due: float = meter.hub.add_timer(self)

    def __call__(self, *args: Any) -> None:
        if self.called:
            return
        meter, now = self._meter, time.monotonic()
        stalled = meter.stalled()
        left = self._due + stalled - self._stalled - now
        if self._has_polled and self._has_grace and stalled != self._stalled:
            self._has_grace = False
            left = max(left, GRACE)
            self._due, self._stalled = now + left, stalled
        if self._has_polled and left <= 0:
            super().__call__()
            return
        self._has_polled = left <= 0
        self.seconds = max(left, 0.0)
        meter.hub.add_timer(self)


def meter_of(hub: Any) -> StallMeter:
    """The meter of ``hub``."""
    meter: StallMeter | None = vars(hub).get(_ATTRIBUTE)
    if meter is None:
        meter = vars(hub)[_ATTRIBUTE] = StallMeter(hub)
    return meter
