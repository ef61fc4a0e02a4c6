"""Hand-over: the handshake is an HTTP response, and the view that caused it lives on in a greenlet of its own.

A view that blocked inside Django's middleware would hold the whole chain open for as long as its socket lives. So the
view runs in a new greenlet, and whoever called it (the *starter*) waits for its outcome:

* The view ends without having touched the socket. Its response or its exception is the starter's.
* The view accepts: its greenlet parks, and :meth:`Handover.start` returns :data:`ACCEPTED`. The starter answers 101 and
  unwinds. Later the server either resumes the view, or aborts it because the 101 was never sent.

What makes this more than two switches:

* A greenlet that blocks on a hub gets the hub as its parent. The view may have blocked before its outcome is known, so
  it never ends towards its parent by accident: it makes the starter its parent before it ends, or switches to it.
* An exception that left the view's greenlet would end the hub. :meth:`Handover._main` lets none out.
* A new greenlet has an empty ``contextvars`` context. The view's gets a copy of the starter's.
* The starter can be killed, or time out, while it waits. The view is ended then, too.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import greenlet

__all__ = ["ACCEPTED", "Handover", "State"]

logger = logging.getLogger("django_websocket")


class State(Enum):
    """Where a hand-over stands."""

    NEW = "new"
    RUNNING = "running"
    """The view runs, or blocks, and its starter waits for it."""
    PARKED = "parked"
    """The view accepted and waits for its 101 to be on the wire."""
    OPEN = "open"
    """The view runs on its own; nobody waits for it."""
    ENDING = "ending"
    """The starter was killed while it waited, and the view is told to end."""
    ENDED = "ended"


class _Accepted:
    def __repr__(self) -> str:
        return "ACCEPTED"


ACCEPTED: Final = _Accepted()
"""What :meth:`Handover.start` returns when the view has accepted."""


class Handover:
    """One run of ``view`` in a greenlet of its own.

    ``on_end(result, error)`` is called in the view's greenlet when the view ends after it was resumed (or aborted):
    with what it returned, or with the exception that left it, of any kind.
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
        """The view's context; what is set in it before the start is seen by the view alone."""
        self.state = State.NEW

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in the view's own greenlet."""
        return self._greenlet is not None and greenlet.getcurrent() is self._greenlet

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
            view_greenlet.switch()
        except BaseException:
            # Not the view's: somebody killed the starter, or its time is up.
            self._end_for_starter(view_greenlet)
            raise
        finally:
            self._starter = None
            if view_greenlet.dead or self.state is State.PARKED:
                # Who switches to a dead greenlet, as a belated timer does, gets to its parent; so does a view that ends
                # while it is parked, because its own time-out is raised in it. That must not be us.
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
        """End the view and wait until it has; if the starter is killed a second time, the view is left to itself."""
        self.state = State.ENDING
        view_greenlet.parent = greenlet.getcurrent()
        try:
            view_greenlet.throw(greenlet.GreenletExit)
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
                logger.error("A websocket view failed while it was ended", exc_info=error)
            self.state = State.ENDED
            self._greenlet = self._on_end = None
            starter = self._starter
            if starter is not None:
                self._result, self._error = result, error
                greenlet.getcurrent().parent = starter
            del error  # its traceback refers to this frame
            return
        on_end, self._on_end = self._on_end, None
        try:
            if on_end is not None:
                on_end(result, error)
        except BaseException:
            logger.exception("The end of a websocket view failed")
        finally:
            del error  # its traceback refers to this frame
            self.state = State.ENDED
            self._greenlet = None

    def check_acceptable(self) -> None:
        """Raise what :meth:`accept` would raise at once."""
        if not self.is_current:
            raise RuntimeError("a websocket is accepted by its view; only then may other greenlets use it")
        if self.state is State.ENDING:
            raise greenlet.GreenletExit
        if self.state is not State.RUNNING:
            raise RuntimeError(f"a view that is {self.state.value} can't accept its websocket")

    def accept(self) -> None:
        """Park the view; return once the server resumes it.

        Raises what :meth:`abort` is called with, if the 101 never reaches the client. Only the view's own greenlet may
        accept: RuntimeError otherwise. A view that catches its GreenletExit and goes on gets another one here.
        """
        self.check_acceptable()
        starter = self._starter
        assert starter is not None, "a running view has a starter"
        self.state = State.PARKED
        try:
            starter.switch()
        except BaseException:
            if self.state is State.PARKED:
                self.state = State.OPEN  # a time-out of its own, say: there is nothing to resume
            raise

    # In the server

    def resume(self) -> None:
        """Let the parked view go on; called once its 101 is on the wire, from the hub or where it does no harm.

        Returns when the view blocks or ends.
        """
        assert self.state is State.PARKED, "only a parked view is resumed"
        view_greenlet = self._greenlet
        assert view_greenlet is not None
        self.state = State.OPEN
        view_greenlet.parent = greenlet.getcurrent()
        view_greenlet.switch()

    def abort(self, error: BaseException) -> None:
        """Raise ``error`` where the view is, be it parked or open; nothing happens if it has ended.

        Called from the hub. Returns when the view blocks or ends.
        """
        view_greenlet = self._greenlet
        if view_greenlet is None or view_greenlet.dead:
            return
        assert not self.is_current, "a view does not abort itself"
        self.state = State.OPEN
        view_greenlet.parent = greenlet.getcurrent()
        view_greenlet.throw(error)
