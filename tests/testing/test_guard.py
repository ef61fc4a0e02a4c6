"""A view that blocks in real time or loops fails its test, and says where."""

from __future__ import annotations

import bdb
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import greenlet
import pytest

from django_websocket.testing import ViewStuck, WebSocketClient
from django_websocket.testing.guard import Guard
from django_websocket.testing.world import world_of_thread
from tests.deadlines import deadline

SHORT = deadline(0.5)


@pytest.fixture
def client() -> WebSocketClient:
    """One that has opened a websocket before: what that imports isn't what a view takes."""
    client = WebSocketClient()
    with client.websocket("/echo/"):
        pass
    return client


@contextmanager
def impatient() -> Iterator[None]:
    """Only here: elsewhere a busy machine may take its time."""
    guard = world_of_thread().guard
    patient, guard.seconds = guard.seconds, SHORT
    yield
    guard.seconds = patient


@pytest.mark.parametrize(
    ("view", "line"),
    [
        ("loops_before", r"in loops_before: (while True:|pass)"),
        ("blocks_before", r"in blocks_before: queue.SimpleQueue\[None\]\(\).get\(\)"),
    ],
)
@pytest.mark.parametrize("raises", [True, False])
def test_before_the_accept(client: WebSocketClient, view: str, line: str, raises: bool) -> None:
    client.raise_request_exception = raises
    client.view_timeout = SHORT
    with pytest.raises(ViewStuck, match=f"/{view}/: the view has blocked the test for {SHORT:g} seconds, at .*{line}"):
        client.websocket(f"/{view}/")


@pytest.mark.parametrize("view", ["loops_after", "blocks_after"])
def test_after_the_accept(client: WebSocketClient, view: str) -> None:
    with client.websocket("/echo/") as other, client.websocket(f"/{view}/") as socket:
        says = f"/{view}/: the view has blocked the test .* in {view}: .*\nWaiting for"
        with impatient(), pytest.raises(ViewStuck, match=says):
            socket.send("go")
        other.send("well")
        assert other.receive() == "well"


def test_a_view_that_can_not_be_ended(client: WebSocketClient) -> None:
    socket = client.websocket("/never_gives_up/")
    with impatient(), pytest.raises(ViewStuck):
        socket.send("go")
    with impatient(), pytest.raises(ViewStuck, match="/never_gives_up/"):
        socket.end()
    with client.websocket("/echo/") as socket:
        socket.send("still here")
        assert socket.receive() == "still here"


def test_no_limit(client: WebSocketClient) -> None:
    client.view_timeout = None
    with client.websocket("/echo/"):
        assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


# The alarm signal


@pytest.fixture(autouse=True)
def alarms() -> Iterator[list[int]]:
    """Alarms that were none of the guard's. The one of the time limit of this test run is set aside."""
    handler, timer = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 0)
    rung: list[int] = []
    signal.signal(signal.SIGALRM, lambda signum, frame: rung.append(signum))
    yield rung
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


def spin(until: Any) -> None:
    end = time.monotonic() + deadline(30)
    while not until():
        assert time.monotonic() < end


def guarding(seconds: float) -> Guard:
    guard = Guard(greenlet.getcurrent(), lambda frame: ViewStuck("too long"))
    guard.seconds = seconds
    return guard


def test_a_body_that_goes_on(alarms: list[int]) -> None:
    """It is interrupted again."""

    def body() -> None:
        for _ in range(3):
            with pytest.raises(BaseException, match=r"^$"):
                spin(lambda: False)

    with pytest.raises(ViewStuck, match="too long"), guarding(0.01):
        body()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_later_alarm_is_kept(alarms: list[int]) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 100, 7)
    guard = guarding(0.03)
    with pytest.raises(ViewStuck), guard, guard:
        spin(lambda: False)
    assert signal.getsignal(signal.SIGALRM) == handler
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 60 < left <= 100 - 0.03
    assert interval == 7
    assert not alarms


def test_an_alarm_that_comes_with_the_end_of_the_body(alarms: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    guard = guarding(3600)
    disarm = guard._disarm

    def disarm_late() -> None:
        signal.raise_signal(signal.SIGALRM)
        disarm()

    monkeypatch.setattr(guard, "_disarm", disarm_late)
    with guard:
        pass
    assert signal.getsignal(signal.SIGALRM) == handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert not alarms


def test_an_alarm_of_others_that_comes_with_the_beginning_is_theirs(
    alarms: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timer = signal.setitimer
    signal.setitimer(signal.ITIMER_REAL, 0.02)

    def set_late(which: int, seconds: float, interval: float = 0.0) -> tuple[float, float]:
        """Held up until the other alarm is due."""
        spin(lambda: alarms)
        return set_timer(which, seconds, interval)

    monkeypatch.setattr(signal, "setitimer", set_late)
    with guarding(3600):
        pass
    assert alarms


def test_an_earlier_alarm_goes_first(alarms: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    with guarding(3600):
        spin(lambda: alarms)


def test_a_handler_that_the_body_installs(alarms: list[int]) -> None:
    own: list[int] = []
    with guarding(3600):
        signal.signal(signal.SIGALRM, lambda signum, frame: own.append(signum))
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    spin(lambda: own)


def test_other_threads_have_no_guard() -> None:
    outcome: list[object] = []

    def body() -> None:
        with guarding(3600):
            outcome.append(signal.getitimer(signal.ITIMER_REAL)[0])

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert outcome == [0.0]


def test_a_debugger_has_all_the_time_it_wants() -> None:
    seen: list[int] = []
    guard = guarding(0.1)

    class Debugger(bdb.Bdb):
        def user_line(self, frame: Any) -> None:
            spin(lambda: guard._fired > 2)
            seen.append(guard._fired)
            self.set_quit()

    with guard:
        try:
            Debugger().run("pass")
        except bdb.BdbQuit:
            pass
    assert seen
