"""Views and greenlets that go on using a closed websocket, whatever that raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import greenlet
import pytest

from django_websocket import handover as handover_module
from django_websocket.exceptions import ConnectionClosed
from django_websocket.handover import ACCEPTED, Handover, State
from django_websocket.options import resolve_options
from django_websocket.protocol.handshake import Handshake
from django_websocket.testing import memory
from django_websocket.testing.memory import MemoryScheduler, connect
from django_websocket.websocket import WebSocket

Use = Callable[[WebSocket], object]

WAIT: Use = WebSocket.wait


def send(websocket: WebSocket) -> None:
    websocket.send("x")


class Run:
    """A view that does ``use`` again and again once its client is gone, and counts what comes of it."""

    def __init__(self, use: Use, limit: int = 1_000_000) -> None:
        self.scheduler = MemoryScheduler()
        channel, peer = connect(self.scheduler)
        self.websocket = WebSocket(Handshake("key", (), ()), resolve_options({}))
        self.websocket.attach(channel, "", None, lambda _: None).start(b"")
        peer.close()
        self.scheduler.run()
        self.returned = self.raised = 0
        self.limit = limit
        self.ends: list[tuple[Any, BaseException | None]] = []
        self.use = use

    def loop(self) -> None:
        while self.returned + self.raised < self.limit:
            try:
                self.use(self.websocket)
                self.returned += 1
            except BaseException:
                self.raised += 1

    def view(self) -> None:
        self.handover.accept()
        self.loop()

    def run_view(self) -> None:
        self.handover = Handover(self.view, lambda result, error: self.ends.append((result, error)))
        assert self.handover.start() is ACCEPTED
        self.websocket.bind(None, self.handover)
        self.scheduler.call_later(0, self.handover.resume)
        self.scheduler.run()

    def run_greenlet(self, seconds: float) -> None:
        self.scheduler.spawn(self.loop)
        self.scheduler.run(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to which each look adds the second number."""
    clock = [1000.0, 0.0]

    def look() -> float:
        clock[0] += clock[1]
        return clock[0]

    monkeypatch.setattr(MemoryScheduler, "clock", lambda scheduler: look())
    return clock


@pytest.fixture(autouse=True)
def long_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't stop a loop that only polls before it is stopped by what is tested."""
    monkeypatch.setattr(memory, "MAX_IDLE_ROUNDS", memory.MAX_ROUNDS)


@pytest.mark.parametrize(("use", "returned"), [(WAIT, 1000), (send, 0)])
def test_a_view_is_stopped_for_good(
    clock: list[float], caplog: pytest.LogCaptureFixture, use: Use, returned: int
) -> None:
    run = Run(use)
    run.run_view()
    assert (run.returned, run.raised) == (returned, 1000)
    assert run.ends == [(None, None)]
    assert run.handover.state is State.ENDED
    assert len(caplog.records) == 1
    # Nothing that may still refer to it wakes it.
    stopped = handover_module._abandoned[-1]
    run.handover.abort(greenlet.GreenletExit())
    for wake in (stopped.switch, lambda: stopped.throw(ValueError)):
        run.scheduler.call_later(0, wake)
        run.scheduler.run()
    assert run.raised == 1000
    assert run.ends == [(None, None)]
    assert not stopped.dead


def test_what_is_slow_is_no_loop(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    clock[1] = 0.07
    run = Run(send, limit=10_000)
    run.run_view()
    assert run.raised == 10_000
    assert run.handover.state is State.ENDED
    assert not caplog.records


def test_another_greenlet_is_slowed_down(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    run = Run(WAIT, limit=2020)
    run.run_greenlet(0.5)
    assert (run.returned, run.raised) == (1000, 1000)
    run.scheduler.run(10)
    assert run.raised == 1010
    assert len(caplog.records) == 1
    run.scheduler.run(10)
    assert run.raised == 1020


def test_another_greenlet_may_send_to_closed_sockets_for_ever(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """It serves many, and need not forget each that has left."""
    run = Run(send, limit=5000)
    run.run_greenlet(0)
    assert run.raised == 5000
    assert not caplog.records


def test_the_error_says_that_it_is_closed() -> None:
    errors: list[BaseException] = []

    def use(websocket: WebSocket) -> None:
        try:
            websocket.wait()
        except BaseException as error:
            errors.append(error)

    Run(use, limit=1010).run_greenlet(0)
    assert len(errors) == 10
    assert all(isinstance(error, ConnectionClosed) for error in errors)
