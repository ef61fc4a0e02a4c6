"""Hand-over: the handshake is an HTTP response, and the view that accepted it runs on in its own greenlet.

A view that blocked inside Django's middleware would keep the whole chain active for as long as its socket lives. So the
view runs in a new greenlet, and its caller (the *starter*) waits for its outcome:

* The view ends without touching the socket. Its response or exception goes to the starter.
* The view accepts: its greenlet parks, and :meth:`Handover.start` returns :data:`ACCEPTED`. The starter answers 101 and
  unwinds. Later the server either resumes the view or, if the 101 was never sent, aborts it.

Why this is more than two switches:

* A greenlet that blocks on a hub gets the hub as its parent, and control passes to the parent when it ends. The view
  may block before its outcome is known, so it sets the starter as its parent before it ends, or switches to it.
* An exception that escaped the view's greenlet would end the hub. :meth:`Handover._main` catches all of them.
* A new greenlet has an empty ``contextvars`` context. The view's gets a copy of the starter's.
* The starter can be killed, or time out, while it waits. That ends the view, too.
* An event loop may run in either of them, if the view accepts in a coroutine. It is hidden from the other.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from enum import Enum
from types import FrameType
from typing import Any, Final, NoReturn

import greenlet

from .compat.event_loops import outside_loop

__all__ = ["ACCEPTED", "Handover", "State"]

logger = logging.getLogger("django_websocket")


_abandoned: list[greenlet.greenlet] = []
"""Kept, because a greenlet without references is resumed with GreenletExit."""


class State(Enum):
    """The state of a hand-over."""

    NEW = "new"
    RUNNING = "running"
    """The view runs or blocks, and its starter waits for it."""
    PARKED = "parked"
    """The view accepted and waits for its 101 to be sent."""
    OPEN = "open"
    """The view runs independently; no starter waits for it."""
    ENDING = "ending"
    """The starter was killed while it waited, and the view is being ended."""
    ENDED = "ended"


class _Accepted:
    def __repr__(self) -> str:
        return "ACCEPTED"


ACCEPTED: Final = _Accepted()
"""What :meth:`Handover.start` returns when the view has accepted."""


class Handover:
    """One run of ``view`` in its own greenlet.

    ``on_end(result, error)`` is called in the view's greenlet when the view ends after it was resumed (or aborted):
    with its return value, or with the exception that it raised, of any kind.
    """

    __slots__ = ("_error", "_greenlet", "_on_end", "_result", "_starter", "_view", "context", "state")

    def __init__(self, view: Callable[[], Any], on_end: Callable[[Any, BaseException | None], None]) -> None:
        self._view: Callable[[], Any] | None = view
        self._on_end: Callable[[Any, BaseException | None], None] | None = on_end
        self._starter: greenlet.greenlet | None = None
        self._greenlet: greenlet.greenlet | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self.context = contextvars.copy_context()
        """The view's context; values set in it before the start are visible to the view only."""
        self.state = State.NEW

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in the view's own greenlet."""
        return self._greenlet is not None and greenlet.getcurrent() is self._greenlet

    @property
    def frame(self) -> FrameType | None:
        """Where the view is blocked: its innermost frame; None while it runs and once it has ended."""
        return None if self._greenlet is None else self._greenlet.gr_frame

    # In the starter

    def start(self) -> Any:
        """Run the view until it ends or accepts.

        Returns :data:`ACCEPTED` or what the view returned, raises what the view raised.
        """
        assert self.state is State.NEW, "a hand-over is used once"
        self._starter = greenlet.getcurrent()
        view_greenlet = self._greenlet = greenlet.greenlet(self._main)
        view_greenlet.gr_context = self.context
        self.state = State.RUNNING
        try:
            outside_loop(view_greenlet.switch)
        except BaseException:
            # Not the view's exception: the starter was killed or timed out.
            self._end_for_starter(view_greenlet)
            raise
        finally:
            self._starter = None
            if view_greenlet.dead or self.state is State.PARKED:
                # A switch to a dead greenlet (by a late timer, say) goes to its parent. So does control when a view
                # ends while parked, because its own timeout was raised in it. That parent must not be the starter.
                view_greenlet.parent = greenlet.getcurrent().parent or greenlet.getcurrent()
        if self.state is State.PARKED:
            return ACCEPTED
        assert self.state is State.ENDED, "only an outcome switches to the starter"
        error, result = self._error, self._result
        self._error = self._result = None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame
        return result

    def _end_for_starter(self, view_greenlet: greenlet.greenlet) -> None:
        """End the view and wait until it has ended; if the starter is killed again, stop waiting."""
        self.state = State.ENDING
        view_greenlet.parent = greenlet.getcurrent()
        try:
            outside_loop(view_greenlet.throw, greenlet.GreenletExit)
        finally:
            self._error = self._result = None

    # In the view's greenlet

    def _main(self) -> None:
        view = self._view
        self._view = None
        assert view is not None
        result = error = None
        try:
            result = view()
        except BaseException as exception:
            error = exception
        del view
        if self.state in (State.RUNNING, State.ENDING):
            if self.state is State.ENDING and isinstance(error, Exception):
                logger.error("Websocket view failed while it was being ended", exc_info=error)
            self.state = State.ENDED
            self._greenlet = self._on_end = None
            starter = self._starter
            if starter is not None:
                self._result, self._error = result, error
                greenlet.getcurrent().parent = starter
            del error  # its traceback refers to this frame
            return
        try:
            self._call_on_end(result, error)
        finally:
            del error  # its traceback refers to this frame

    def _call_on_end(self, result: Any, error: BaseException | None) -> None:
        on_end, self._on_end = self._on_end, None
        try:
            if on_end is not None:
                on_end(result, error)
        except BaseException:
            logger.exception("Cleanup after a websocket view failed")
        finally:
            del error  # its traceback refers to this frame
            self.state = State.ENDED
            self._greenlet = None

    def abandon(self) -> NoReturn:
        """End the calling view, which swallows every exception: it counts as returned, and never runs again.

        Its frames can't be unwound, so their memory is lost.
        """
        assert self.is_current, "only a view can abandon itself"
        self._call_on_end(None, None)
        current = greenlet.getcurrent()
        _abandoned.append(current)
        while True:
            try:
                outside_loop((current.parent or current).switch)
            except BaseException:
                pass  # a timeout of its own, for example

    def check_acceptable(self) -> None:
        """Raise what :meth:`accept` would raise immediately."""
        if not self.is_current:
            raise RuntimeError(
                "a websocket must be accepted in its view's greenlet before other greenlets and threads can use it: "
                "call its accept() there first"
            )
        if self.state is State.ENDING:
            raise greenlet.GreenletExit
        if self.state is not State.RUNNING:
            raise RuntimeError(f"can't accept a websocket whose view is {self.state.value}")

    def accept(self) -> None:
        """Park the view; returns once the server resumes it.

        Raises the exception passed to :meth:`abort` if the 101 never reaches the client, RuntimeError if the caller is
        not the view's own greenlet or the view has accepted before, and GreenletExit if the view is being ended: a view
        that caught its first GreenletExit gets another one here.
        """
        self.check_acceptable()
        starter = self._starter
        assert starter is not None, "a running view has a starter"
        self.state = State.PARKED
        try:
            outside_loop(starter.switch)
        except BaseException:
            if self.state is State.PARKED:
                self.state = State.OPEN  # for example by a timeout of its own: nothing to resume
            raise

    # In the server

    def divert(self, on_end: Callable[[Any, BaseException | None], None]) -> None:
        """Call ``on_end`` when the view ends, instead of the callback given at construction."""
        if self._on_end is not None:
            self._on_end = on_end

    def resume(self) -> None:
        """Resume the parked view; called once its 101 is sent, from the hub or a greenlet that may become its parent.

        Returns when the view blocks or ends.
        """
        assert self.state is State.PARKED, "only a parked view is resumed"
        view_greenlet = self._greenlet
        assert view_greenlet is not None
        self.state = State.OPEN
        view_greenlet.parent = greenlet.getcurrent()
        view_greenlet.switch()

    def abort(self, error: BaseException) -> None:
        """Raise ``error`` in the view, whether parked or open; does nothing if it has ended.

        Called from the hub. Returns when the view blocks or ends.
        """
        view_greenlet = self._greenlet
        if view_greenlet is None or view_greenlet.dead:
            return
        assert not self.is_current, "a view can't abort itself"
        self.state = State.OPEN
        view_greenlet.parent = greenlet.getcurrent()
        view_greenlet.throw(error)
