"""Deadlines and stalls, on a hub whose clock the test moves."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from django_websocket.serving.green import stalls
from django_websocket.serving.green.stalls import GRACE, LONGEST_TURN, WAITING, StallMeter, meter_of
from django_websocket.serving.patch import eventlet
from tests.deadlines import deadline

STALL = 20.0


class Hub:
    """As much of eventlet's as it needs. ``events`` are what comes: from when on it can be polled, and its callback."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Any]] = []
        self.events: list[tuple[float, Callable[[], None]]] = []
        self.stop_polling: float = 0

    def monotonic(self) -> float:
        return self.now

    def add_timer(self, timer: Any) -> float:
        self.timers.append((self.now + timer.seconds, timer))
        return self.timers[-1][0]

    def timer_canceled(self, timer: Any) -> None:
        pass

    def do_poll(self, seconds: float) -> list[Callable[[], None]]:
        arrivals = [arrival for arrival, _ in self.events]
        self.now = max(self.now, min([self.now + seconds, *arrivals])) + self.stop_polling
        self.stop_polling = 0
        ready = [event for event in self.events if event[0] <= self.now]
        self.events = [event for event in self.events if event not in ready]
        return [callback for _, callback in ready]

    def turn(self) -> None:
        """What BaseHub.run() does again and again."""
        due = sorted((timer for timer in self.timers if timer[0] <= self.now), key=lambda timer: timer[0])
        self.timers = [timer for timer in self.timers if timer not in due]
        for _, timer in due:
            timer()
        left = min((when for when, _ in self.timers), default=self.now + 60) - self.now
        for callback in self.do_poll(max(0.0, left)):
            callback()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.turn()

    def at(self, seconds: float, callback: Callable[[], None]) -> None:
        """Let something arrive in ``seconds``."""
        self.events.append((self.now + seconds, callback))

    def stall(self, seconds: float = STALL) -> None:
        self.now += seconds


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    monkeypatch.setattr(stalls, "time", SimpleNamespace(monotonic=hub.monotonic))
    # What a canceled timer tells its hub.
    monkeypatch.setattr(eventlet.hubs, "get_hub", lambda: hub)
    return hub


@pytest.fixture
def meter(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Any:
    meter = meter_of(hub)
    with meter.measuring():
        hub.turn()  # the turn in which it begins is not measured
        yield meter
    assert "do_poll" not in vars(hub)


@pytest.fixture
def fired(hub: Hub, meter: StallMeter) -> list[float]:
    """When the deadline of ten seconds fired, in seconds from now."""
    hub.timers.clear()
    fired: list[float] = []
    start = hub.now
    meter.call_at_deadline(10, lambda: fired.append(hub.now - start))
    return fired


def test_a_deadline_is_on_time(hub: Hub, meter: StallMeter, fired: list[float]) -> None:
    hub.run(9.9)
    assert not fired
    hub.run(0.2)
    hub.turn()
    assert fired == [10]


def test_what_arrives_at_the_deadline_comes_first(hub: Hub, meter: StallMeter, fired: list[float]) -> None:
    seen: list[bool] = []
    hub.at(10, lambda: seen.append(bool(fired)))
    hub.run(10.1)
    hub.turn()
    assert seen == [False]
    assert fired


@pytest.mark.parametrize("begin", [0.5, 5, 9.9])
def test_a_stall_does_not_count(hub: Hub, meter: StallMeter, fired: list[float], begin: float) -> None:
    hub.at(begin, hub.stall)
    hub.run(100)
    [seconds] = fired
    expected = STALL - LONGEST_TURN + max(10, begin + LONGEST_TURN)
    assert expected - 0.01 <= seconds <= expected + GRACE + 0.01


def test_what_arrived_in_a_stall_comes_first(hub: Hub, meter: StallMeter) -> None:
    log: list[str] = []
    timer = meter.call_at_deadline(10, log.append, "deadline")

    def arrive() -> None:
        log.append("arrived")
        timer.cancel()

    hub.at(9.99, hub.stall)
    hub.at(12, arrive)
    hub.run(60)
    assert log == ["arrived"]


def test_a_deadline_within_a_stall_leaves_the_client_a_moment(hub: Hub, meter: StallMeter, fired: list[float]) -> None:
    """What it sends once it hears from us, a little after the stall, is not too late."""
    hub.at(9.9, hub.stall)
    hub.run(9.9 + STALL + 0.9 * GRACE)
    assert not fired
    hub.run(1)
    hub.turn()
    assert fired


def test_a_process_stopped_while_it_polls_is_stalled(hub: Hub, meter: StallMeter, fired: list[float]) -> None:
    clock = meter.clock()
    hub.stop_polling = STALL
    hub.turn()
    assert not fired
    assert meter.clock() - clock == pytest.approx(10 + LONGEST_TURN)
    assert meter.stalled() == pytest.approx(STALL - LONGEST_TURN)
    hub.turn()
    hub.turn()
    assert not fired, "it has its grace"
    hub.run(2 * GRACE)
    assert fired


def test_slow_turns_do_not_put_off_a_deadline_for_ever(hub: Hub, meter: StallMeter, fired: list[float]) -> None:
    def slow() -> None:
        hub.stall(1)
        hub.at(0, slow)

    hub.at(0, slow)
    hub.run(10 / LONGEST_TURN + 10)
    assert len(fired) == 1


def test_the_clock_stands_still_in_a_stall(hub: Hub, meter: StallMeter) -> None:
    start = meter.clock()
    clocks: list[float] = []

    def stall() -> None:
        clocks.append(meter.clock() - start)
        hub.stall()
        clocks.append(meter.clock() - start)

    hub.at(1, stall)
    hub.at(1, lambda: clocks.append(meter.clock() - start))
    hub.turn()
    hub.at(0, lambda: clocks.append(meter.clock() - start))
    hub.turn()
    hub.at(5, lambda: clocks.append(meter.clock() - start))
    hub.run(5)
    expected = [1, 1 + LONGEST_TURN, 1 + LONGEST_TURN, 1 + LONGEST_TURN, 6 + LONGEST_TURN]
    assert clocks == pytest.approx(expected)


def test_a_canceled_deadline_never_fires(hub: Hub, meter: StallMeter) -> None:
    fired: list[int] = []
    timer = meter.call_at_deadline(1, fired.append, 1)
    hub.at(1, timer.cancel)  # when it has been called once
    hub.run(10)
    assert not fired


def test_late_turns_are_reported(hub: Hub, meter: StallMeter) -> None:
    reported: list[float] = []
    meter.watch(1, reported.append)
    assert meter.turn_began() < WAITING
    hub.at(1, lambda: hub.stall(0.9))
    hub.run(5)
    assert reported == []
    start = hub.now
    hub.at(1, hub.stall)
    hub.run(50)
    assert reported == [start + 1]
    meter.unwatch()
    hub.at(1, hub.stall)
    hub.run(50)
    assert len(reported) == 1


def test_without_measuring_the_clock_is_the_plain_one(hub: Hub) -> None:
    meter = meter_of(hub)
    assert meter_of(hub) is meter
    hub.at(0, hub.stall)
    hub.turn()
    hub.turn()
    assert meter.clock() == hub.now


def test_the_last_to_measure_removes_it(hub: Hub) -> None:
    meter = meter_of(hub)
    first, second = meter.measuring(), meter.measuring()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert "do_poll" in vars(hub)
    second.__exit__(None, None, None)
    assert "do_poll" not in vars(hub)


def test_a_hub_that_does_not_tell_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Any = SimpleNamespace()
    meter = StallMeter(hub)
    with meter.measuring():
        assert not vars(hub)
    assert not meter.can_measure


@pytest.mark.skipif(
    os.environ.get("EVENTLET_HUB", "epolls") not in ("epolls", "poll"), reason="this hub does not tell when it waits"
)
def test_the_real_hub_is_measured() -> None:
    hub = eventlet.hubs.get_hub()
    meter = StallMeter(hub)
    fired: list[float] = []
    reader, writer = os.pipe()  # without a descriptor to watch, the hub does not poll
    listener = hub.add(hub.READ, reader, lambda fd: None, lambda error: None, None)
    with meter.measuring():
        eventlet.sleep(0)
        eventlet.sleep(0)  # a hub that has just been started runs timers before it first polls
        meter.call_at_deadline(0.05, lambda: fired.append(meter.clock()))
        eventlet.patcher.original("time").sleep(2 * LONGEST_TURN)
        eventlet.sleep(0)
        assert not fired
        assert meter.stalled() > LONGEST_TURN / 2
        eventlet.sleep(0)
        with eventlet.Timeout(GRACE + deadline(10)):
            while not fired:
                eventlet.sleep(0.01)
    hub.remove(listener)
    os.close(reader)
    os.close(writer)
