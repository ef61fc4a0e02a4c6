"""The world of a test: its clock, the open websockets, and the views behind them.

The test's greenlet runs the scheduler; views run in greenlets of the same thread, only while the test uses one of its
websockets. ``time.sleep`` in a view waits for the test's clock.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import FrameType
from typing import Any, Protocol

import greenlet
from django.core.signals import got_request_exception

from ..admission.watch import ticket_watch
from ..channel import Upgrade
from ..conf import get_setting
from ..groups.events import Event, event_makers
from ..groups.subscription import Subscription
from ..handover import Handover
from ..keepalive import Keepalive
from ..registry import SocketObserver, registry
from ..sessions import session_watch
from ..websocket import WebSocket
from .connections import SharedConnections, atomic_depths
from .failures import ViewStuck, user_line
from .groups import SchedulerEvent
from .guard import Guard
from .memory import MemoryScheduler

__all__ = ["World", "world_of_thread"]

_in_world: ContextVar[World | None] = ContextVar("django_websocket.testing", default=None)
"""The world whose handshake or view is running. A view's greenlet has a copy of its handshake's context."""

_abandoned: list[object] = []
"""Views that swallow GreenletExit. Without a reference they would get another one, and could block again."""

_sleep = time.sleep


def _new_event() -> Event | None:
    """An event for code that waits for a group, if a view that is under test does."""
    world = _in_world.get()
    if world is None or not (world.scheduler.in_own_thread() and world.scheduler.can_pause()):
        return None
    return SchedulerEvent(world.scheduler)


event_makers.append(_new_event)


def _sleep_in_world(seconds: float) -> None:
    """Replaces ``time.sleep`` while websockets are open."""
    world = _in_world.get()
    if world is None or not world.sleep(seconds):
        _sleep(seconds)


class ClientSocket(Protocol):
    """The client's end of a websocket."""

    closed: bool

    @property
    def websocket(self) -> WebSocket:
        """The view's end."""

    def view_failed(self, error: BaseException | None) -> None:
        """Take what the view has raised."""

    def raise_view_error(self) -> None:
        """Raise what the view has raised, once."""

    def end(self) -> None:
        """Close the connection and end the view."""


class World(SocketObserver):
    """The websockets that the tests of one thread have open."""

    def __init__(self) -> None:
        self.scheduler = MemoryScheduler()
        self.greenlet = greenlet.getcurrent()
        self._sockets: dict[WebSocket, ClientSocket] = {}
        self._keepalive: Keepalive | None = None
        self._patched: list[Any] = []
        self.guard = Guard(self.greenlet, self._describe_stuck)
        self._opening = ""
        self._depths: dict[str, int] = {}
        self._loans: list[SharedConnections] = []

    def __iter__(self) -> Iterator[ClientSocket]:
        return iter(list(self._sockets.values()))

    def __len__(self) -> int:
        return len(self._sockets)

    # Handshakes

    @contextmanager
    def handshake(self, path: str) -> Iterator[Upgrade]:
        """While the request of a handshake is handled, and its view runs up to the accept."""
        self._start()
        token = _in_world.set(self)
        self._opening = path
        self._depths = atomic_depths()
        try:
            with self.guard:
                try:
                    yield Upgrade(self._new_loan)
                finally:
                    self._end_loans()
        finally:
            _in_world.reset(token)
            self._stop_if_unused()

    def _new_loan(self) -> SharedConnections:
        loan = SharedConnections(self._depths)
        self._loans.append(loan)
        return loan

    def _end_loans(self) -> None:
        if self.guard.error is not None:
            _abandoned.extend(loan.greenlet for loan in self._loans)
        self._loans.clear()

    def add(self, websocket: WebSocket, socket: ClientSocket) -> None:
        """Add an open websocket and the client's end of it."""
        self._sockets[websocket] = socket

    def discard(self, websocket: WebSocket) -> None:
        """Remove a websocket whose view has ended and whose client has closed it."""
        self._sockets.pop(websocket, None)
        self._stop_if_unused()

    def abandon(self, websocket: WebSocket) -> None:
        """Keep a view that can't be ended."""
        _abandoned.append(websocket.handover)

    def _start(self) -> None:
        if self._keepalive is not None:
            return
        scheduler = self.scheduler
        self._keepalive = Keepalive(self, scheduler.clock, scheduler.call_later)
        registry.subscribe(self._keepalive)
        registry.subscribe(self)
        got_request_exception.connect(self._take_error, sender=WebSocket)
        interval = get_setting("WEBSOCKET_SESSION_CHECK_INTERVAL")
        if interval:
            scheduler.call_later(interval, self._check_sessions, self._keepalive, interval)
        for module in _sleeping_modules(len(sys.modules)):
            if module.__dict__.get("sleep") is _sleep:
                module.__dict__["sleep"] = _sleep_in_world
                self._patched.append(module)

    def _stop_if_unused(self) -> None:
        if self._sockets or self._keepalive is None:
            return
        registry.unsubscribe(self._keepalive)
        registry.unsubscribe(self)
        got_request_exception.disconnect(self._take_error, sender=WebSocket)
        self._keepalive = None
        for module in self._patched:
            if module.__dict__.get("sleep") is _sleep_in_world:
                module.__dict__["sleep"] = _sleep
        self._patched.clear()

    def _check_sessions(self, keepalive: Keepalive, interval: float) -> None:
        if self._keepalive is keepalive:
            session_watch.check()
            ticket_watch.check()
            self.scheduler.call_later(interval, self._check_sessions, keepalive, interval)

    # Views

    def sleep(self, seconds: float) -> bool:
        """Sleep in a view, by the test's clock; False where the caller must do it itself."""
        scheduler = self.scheduler
        if not scheduler.in_own_thread() or greenlet.getcurrent() is self.greenlet:
            return False
        if scheduler.is_running:
            scheduler.pause(seconds)
        else:
            scheduler.skip(seconds)  # the test waits for the handshake
        return True

    def view_ended(self, websocket: WebSocket) -> None:
        """Have the view's greenlet return to the test when it ends. A view that blocked on a hub has another parent."""
        if websocket in self._sockets and greenlet.getcurrent() is not self.greenlet:
            greenlet.getcurrent().parent = self.greenlet

    def _take_error(self, request: Any, **kwargs: Any) -> None:
        socket = self._sockets.get(getattr(request, "websocket", None))  # type: ignore[arg-type]  # None has none
        if socket is not None:
            socket.view_failed(sys.exc_info()[1])

    def run(self, seconds: float = 0, until: Callable[[], object] | None = None) -> None:
        """Let the views run, and up to ``seconds`` pass on the test's clock."""
        if greenlet.getcurrent() is not self.greenlet or not self.scheduler.in_own_thread():
            raise RuntimeError("use a test's websockets in the thread that opened them")
        with self.guard:
            self.scheduler.run(seconds, until)

    def _describe_stuck(self, frame: FrameType | None) -> ViewStuck:
        path, place = self._find_view(frame)
        return ViewStuck(
            f"{path}: the view has blocked the test for {self.guard.seconds:g} seconds, at {place or '?'}\n"
            "Waiting for the websocket and sleeping take no real time in a test; anything else must end by itself. "
            "If it only takes longer than that, set view_timeout of the client."
        )

    def waits_for_time(self) -> bool:
        """Whether a view sleeps, or waits with a timeout of its own."""
        return any(_waits_for_time(websocket.handover) for websocket in self._sockets)

    def _find_view(self, frame: FrameType | None) -> tuple[str, str | None]:
        """The path of the view that doesn't return, and where it is."""
        for websocket in self._sockets:
            handover = websocket.handover
            if handover is not None and handover.is_current:
                return websocket.path, user_line(frame)
        for loan in self._loans:
            if loan.greenlet is greenlet.getcurrent():
                return self._opening, user_line(frame)
        # In a patched process, a view that blocks has switched to the hub.
        for websocket in self._sockets:
            handover = websocket.handover
            if handover is not None and not self.scheduler.is_parked(handover.frame):
                return websocket.path, user_line(handover.frame)
        for loan in reversed(self._loans):
            if loan.greenlet is not None and loan.greenlet.gr_frame is not None:
                return self._opening, user_line(loan.greenlet.gr_frame)
        return self._opening, user_line(frame)


@lru_cache(maxsize=1)
def _sleeping_modules(loaded: int) -> list[Any]:
    """The modules that have ``time.sleep`` under its own name; looked for again once more are ``loaded``."""
    modules = list(sys.modules.values())
    return [module for module in modules if getattr(module, "__dict__", {}).get("sleep") is _sleep]


_WAITS = {WebSocket.wait.__code__, WebSocket.wait_until.__code__, Subscription.wait_message.__code__}


def _waits_for_time(handover: Handover | None) -> bool:
    frame = None if handover is None else handover.frame
    while frame is not None:
        if frame.f_code is World.sleep.__code__:
            return True
        if frame.f_code in _WAITS:
            return frame.f_locals["timeout"] is not None
        frame = frame.f_back
    return False


_worlds: dict[int, World] = {}


def world_of_thread() -> World:
    """The world of the calling thread; a new one if the thread's greenlet has changed and nothing is open."""
    key = threading.get_native_id()
    world = _worlds.get(key)
    if world is None or (not len(world) and world.greenlet is not greenlet.getcurrent()):
        world = _worlds[key] = World()
    return world


def close_forgotten() -> None:
    """End what the calling thread still has open.

    Raises AssertionError if the test forgot a websocket, and what a view raised that no call of the test has seen.
    """
    world = _worlds.pop(threading.get_native_id(), None)
    if world is None:
        return
    faults = []
    error: BaseException | None = None
    for socket in world:
        if not socket.closed:
            faults.append(
                f"{socket.websocket.path} is still open: use 'with client.websocket(...) as socket:', or close it"
            )
        try:
            socket.end()
            socket.raise_view_error()
        except ViewStuck as stuck:
            faults.append(str(stuck))
        except BaseException as raised:
            error = error or raised
    if error is not None:
        raise error
    if faults:
        raise AssertionError("\n".join(faults))
