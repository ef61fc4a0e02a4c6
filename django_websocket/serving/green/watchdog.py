"""Logs calls that block the hub.

Code that waits in C without being patched for green threads (a database driver, ``time.sleep`` of an extension, a lock)
or computes for long stalls every socket of the process. The watchdog logs the blocking call.

:mod:`.stalls` measures when the hub starts and stops waiting for events. It shows how long a turn took, but only
afterwards; the cause must be found while the turn lasts, by a native thread. That thread must not use locks of green
threads, so it leaves its finding for the hub to log. Each wake-up takes 100 to 200 µs of processor time on an idle
machine, so it checks often only for a while after the start and after each slow turn.
"""

from __future__ import annotations

import itertools
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from . import eventlet
from .forks import at_fork
from .outputs import tell
from .stalls import WAITING, StallMeter, meter_of

if TYPE_CHECKING:
    import threading
    import time
else:
    threading = eventlet.patcher.original("threading")
    time = eventlet.patcher.original("time")

__all__ = ["excuse", "watch_hub"]

logger = logging.getLogger("django_websocket.server")

FIRST_SECONDS = 60.0
ATTENTIVE_SECONDS = 300.0
"""Seconds after the start, and after a slow turn, during which the thread checks often enough to catch a slow turn."""

DROWSY_SECONDS = 300.0
"""Seconds between two checks at other times, which find only calls that never return."""

CONFIRM_SECONDS = 0.02
"""Seconds between checks that must find the same greenlet: many short turns mean a busy process, not a blocked hub."""

ENDLESS_SECONDS = 10.0
"""A turn that takes longer may never end, so the hub may never log it; it is reported on stderr, too."""

LOG_SECONDS = 60.0
"""Minimum seconds between two log lines."""

FRAMES = 15
"""Number of innermost calls to show."""

_excused: set[CodeType] = set()


def excuse(code: CodeType) -> None:
    """Log nothing of what ``code`` and its callees block: nobody could do anything about it."""
    _excused.add(code)


@contextmanager
def watch_hub(limit: float | None, *, attentive: bool = False) -> Iterator[None]:
    """While the context is open, log what blocks the hub for longer than ``limit`` seconds; None: log nothing.

    With ``attentive``, it always checks often and so finds the cause even of the first slow turn; this costs half a
    minute of processor time a day. The hubs for ``select`` and ``kqueue`` don't expose when they wait, so they are not
    watched.
    """
    meter = meter_of(eventlet.hubs.get_hub())
    if limit is None or not meter.can_measure:
        yield
        return
    watchdog = _Watchdog(meter, limit, WAITING if attentive else FIRST_SECONDS)
    with meter.measuring():
        watchdog.start()
        try:
            with at_fork(before=watchdog.pause, parent=watchdog.resume, child=watchdog.forget):
                yield
        finally:
            watchdog.stop()


@dataclass(frozen=True, slots=True)
class _Finding:
    """What the thread found about the turn that began at ``began``."""

    began: float
    text: str
    is_excused: bool = False


class _Watchdog:
    def __init__(self, meter: StallMeter, limit: float, first_seconds: float) -> None:
        self._meter = meter
        self._limit = limit
        self._turn = meter.turn_began
        self._hub_thread = threading.get_ident()
        self._finding: _Finding | None = None
        self._attentive_until = time.monotonic() + first_seconds
        self._wake = threading.Lock()
        """Released only to wake the thread, which acquires it again."""
        self._wake.acquire()
        self._running = False
        self._thread: Any = None
        self._next_line = 0.0
        self._unlogged = 0

    # In the hub's thread

    def start(self) -> None:
        self._meter.watch(self._limit, self._on_late_turn)
        self.resume()

    def stop(self) -> None:
        self._meter.unwatch()
        self.pause()

    def forget(self) -> None:
        """Stop watching in a forked child, which has neither the thread nor a server."""
        self._meter.unwatch()
        self._thread = None

    def resume(self) -> None:
        self._wake.acquire(blocking=False)
        self._running = True
        self._thread = threading.Thread(target=self._run, name="django_websocket watchdog", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """End the thread; a process should have only one thread when it forks."""
        if self._thread is None:
            return
        self._running = False
        self._rouse()
        self._thread.join()

    def _rouse(self) -> None:
        if self._wake.locked():
            self._wake.release()

    def _on_late_turn(self, began: float) -> None:
        now = time.monotonic()
        finding, self._finding = self._finding, None
        drowsy = now > self._attentive_until
        self._attentive_until = max(self._attentive_until, now + ATTENTIVE_SECONDS)
        if drowsy:
            self._rouse()
        if finding is not None and finding.began != began:
            finding = None
        if finding is not None and finding.is_excused:
            return
        if now < self._next_line:
            self._unlogged += 1
            return
        self._next_line = now + LOG_SECONDS
        text = (
            "The blocking call is unknown: it returned before it could be sampled, held the GIL, or the process was"
            " suspended. The process is sampled more often for the next few minutes."
        )
        if finding is not None:
            text = finding.text
        more = f" (and {self._unlogged} more times since the last report)" if self._unlogged else ""
        self._unlogged = 0
        # From a greenlet: a log handler may wait for a lock, and the hub can't.
        eventlet.spawn_n(logger.warning, "the process was blocked for %.2f s%s. %s", now - began, more, text)

    # In the thread

    def _run(self) -> None:
        told_of = 0.0
        while self._running:
            now, began = time.monotonic(), self._turn()
            if now - began > self._limit:
                self._look(began)
                if now - began > ENDLESS_SECONDS and told_of != began and self._finding is not None:
                    told_of = began
                    self._tell_stderr(now - began)
            attentive = now < self._attentive_until or now - began > self._limit
            seconds = DROWSY_SECONDS
            if began <= now < began + self._limit:
                seconds = began + self._limit - now
            elif attentive:
                seconds = self._limit
            self._wake.acquire(timeout=seconds + CONFIRM_SECONDS)

    def _look(self, began: float) -> None:
        """Find out what blocks the hub."""
        first = _outermost(self._hub_thread)
        time.sleep(CONFIRM_SECONDS)
        frame = sys._current_frames().get(self._hub_thread)
        if frame is None or self._turn() != began:
            return
        chain = _chain(frame)
        if chain[-1] is first:
            is_excused = any(frame.f_code in _excused for frame in chain)
            found = self._finding
            if is_excused and found is not None and found.began == began and not found.is_excused:
                return  # it came later in the same turn, and must not hide what came first
            self._finding = _Finding(began, _describe(frame), is_excused)
        else:
            self._finding = _Finding(began, "No single call blocked it: the process is overloaded.")

    def _tell_stderr(self, seconds: float) -> None:
        assert self._finding is not None
        tell(f"django_websocket: the process has been blocked for {seconds:.0f} s so far. {self._finding.text}")


def _chain(frame: FrameType | None) -> list[FrameType]:
    """``frame`` and its callers in the same greenlet, innermost first."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _outermost(thread: int) -> FrameType | None:
    frames = _chain(sys._current_frames().get(thread))
    return frames[-1] if frames else None


def _describe(frame: FrameType) -> str:
    """The innermost calls, and the path of the request they belong to."""
    frames = _chain(frame)
    stack = traceback.StackSummary.extract((f, f.f_lineno) for f in itertools.islice(frames, FRAMES))
    stack.reverse()
    path = next((path for f in frames if (path := _path(f)) is not None), None)
    # The path may contain line breaks.
    request = "" if path is None else f" (in a request for {path!r})"
    return f"Blocking call{request}:\n" + "".join(stack.format()).rstrip()


def _path(frame: FrameType) -> str | None:
    if "request" not in frame.f_code.co_varnames:
        return None
    path = getattr(frame.f_locals.get("request"), "path", None)
    return path if isinstance(path, str) else None
