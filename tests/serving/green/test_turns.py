"""Work that is spread over the hub's turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from django_websocket.serving.green.turns import TURN_SECONDS, Turns, turns_of
from django_websocket.serving.patch import eventlet


class Hub:
    """As much of eventlet's as it needs: the test moves the clock and runs the turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Callable[[], None]] = []

    def clock(self) -> float:
        return self.now

    def schedule_call_global(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == 0
        self.timers.append(call)

    def turn(self) -> None:
        timers, self.timers = self.timers, []
        assert len(timers) <= 1
        for timer in timers:
            timer()


def work(hub: Hub, log: list[int], number: int, seconds: float) -> Callable[[], None]:
    def call() -> None:
        log.append(number)
        hub.now += seconds

    return call


def test_a_turn_takes_no_longer_than_it_may() -> None:
    hub, log = Hub(), list[int]()
    turns = Turns(hub)
    for number in range(6):
        turns.append(work(hub, log, number, TURN_SECONDS * 0.4))
    for expected in ([0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]):
        hub.turn()
        assert log == expected
    assert not hub.timers


def test_one_call_always_runs() -> None:
    hub, log = Hub(), list[int]()
    turns = Turns(hub)
    turns.append(work(hub, log, 1, 10 * TURN_SECONDS))
    turns.append(work(hub, log, 2, 10 * TURN_SECONDS))
    hub.turn()
    assert log == [1]
    hub.turn()
    assert log == [1, 2]


def test_what_a_call_appends_waits_for_the_next_turn() -> None:
    hub, log = Hub(), list[int]()
    turns = Turns(hub)

    def again() -> None:
        log.append(1)
        turns.append(again)

    turns.append(again)
    for count in range(1, 5):
        hub.turn()
        assert log == [1] * count


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_call_that_fails_does_not_stop_the_others(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    hub, log = Hub(), list[int]()
    turns = Turns(hub)

    def fail() -> None:
        raise error("on purpose")

    turns.append(fail)
    turns.append(work(hub, log, 1, 0))
    try:
        hub.turn()
    except SystemExit:
        hub.turn()
    assert log == [1]
    assert len(caplog.records) == (error is ValueError)


def test_a_hub_has_one_queue() -> None:
    hub = eventlet.hubs.get_hub()
    assert turns_of(hub) is turns_of(hub)
    log: list[int] = []
    turns_of(hub).append(lambda: log.append(1))
    assert log == []
    eventlet.sleep(0)
    eventlet.sleep(0)
    assert log == [1]
