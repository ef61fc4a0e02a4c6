"""Pings on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from django.test import override_settings

from django_websocket.keepalive import SLICE, Keepalive
from django_websocket.websocket import WebSocket


class Timer:
    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.canceled = False

    def cancel(self) -> None:
        self.canceled = True


class Hub:
    """A clock and timers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def clock(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now + seconds, call))
        return self.timers[-1]

    @property
    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.canceled]

    def run(self, seconds: float) -> None:
        """Let time pass, and timers fire."""
        end = self.now + seconds
        while due := [timer for timer in self.pending if timer.due <= end]:
            timer = min(due, key=lambda timer: timer.due)
            self.timers.remove(timer)
            self.now = max(self.now, timer.due)
            timer.call()
        self.now = end


class Driver:
    """Moves the bytes of a socket whose client may answer."""

    def __init__(self, hub: Hub, *, answers: bool) -> None:
        self.bytes_received = 0
        self.is_paused = False
        self.buffered_amount = 0
        self.answers = answers
        self.pinged: list[float] = []
        self.timed_out: float | None = None
        self.on_time_out: Callable[[], None] = lambda: None
        self._hub = hub

    def ping_nowait(self) -> None:
        self.pinged.append(self._hub.now)
        if self.answers:
            self.bytes_received += 6

    def time_out(self, reason: str) -> None:
        self.timed_out = self._hub.now
        self.on_time_out()


OWNER = object()


class Socket:
    """As much of a websocket as a sweep needs."""

    def __init__(self, driver: Driver, owner: object) -> None:
        self.driver = driver
        self.owner = owner


def open_socket(hub: Hub, keepalive: Keepalive, *, answers: bool = True, owner: object = OWNER) -> Driver:
    """Open a websocket; returns what moves its bytes."""
    driver = Driver(hub, answers=answers)
    websocket = cast(WebSocket, Socket(driver, owner))
    driver.on_time_out = lambda: keepalive.socket_closed(websocket)
    keepalive.socket_opened(websocket)
    return driver


Make = Callable[..., tuple[Hub, Keepalive]]


@pytest.fixture
def make() -> Make:
    def with_times(interval: float | None = 20, timeout: float = 20) -> tuple[Hub, Keepalive]:
        hub = Hub()
        with override_settings(WEBSOCKET_PING_INTERVAL=interval, WEBSOCKET_PING_TIMEOUT=timeout):
            return hub, Keepalive(OWNER, hub.clock, hub.call_later)

    return with_times


def test_who_answers_is_pinged_once_an_interval(make: Make) -> None:
    hub, pings = make()
    driver = open_socket(hub, pings)
    hub.run(1000)
    assert driver.timed_out is None
    gaps = [later - earlier for earlier, later in pairwise(driver.pinged)]
    assert len(gaps) > 40
    assert all(20 <= gap <= 21 for gap in gaps)


@pytest.mark.parametrize(("interval", "timeout"), [(20, 20), (20, 5), (5, 20), (1, 60), (60, 1), (0.5, 0.5)])
@pytest.mark.parametrize("alive", [0, 1.01, 3.3, 10])
def test_who_vanishes_is_dropped_within_interval_and_timeout(
    make: Make, interval: float, timeout: float, alive: float
) -> None:
    hub, pings = make(interval, timeout)
    driver = open_socket(hub, pings)
    hub.run(alive * interval)
    driver.answers = False
    vanished = hub.now
    hub.run(10 * (interval + timeout))
    assert driver.timed_out is not None
    assert timeout <= driver.timed_out - vanished + interval
    assert driver.timed_out - vanished <= interval + timeout + 2


def test_whatever_comes_shows_life(make: Make) -> None:
    hub, pings = make()
    driver = open_socket(hub, pings, answers=False)
    for _ in range(100):
        driver.bytes_received += 1
        hub.run(15)
    assert driver.timed_out is None
    hub.run(41)
    assert driver.timed_out is not None


def test_where_reading_pauses_nothing_is_known(make: Make) -> None:
    hub, pings = make()
    driver = open_socket(hub, pings, answers=False)
    driver.is_paused = True
    hub.run(1000)
    assert driver.timed_out is None


def test_who_has_not_taken_all_yet_is_not_judged(make: Make) -> None:
    hub, pings = make()
    driver = open_socket(hub, pings, answers=False)
    driver.buffered_amount = 1
    hub.run(1000)
    assert driver.timed_out is None
    driver.buffered_amount = 0
    hub.run(41)
    assert driver.timed_out is not None


def test_after_a_standstill_input_comes_first(make: Make) -> None:
    hub, pings = make()
    driver = open_socket(hub, pings, answers=False)
    hub.run(25)
    assert len(driver.pinged) == 1
    hub.now += 3600
    timer = min(hub.pending, key=lambda timer: timer.due)
    hub.timers.remove(timer)
    timer.call()
    assert driver.timed_out is None
    driver.bytes_received += 6  # what has waited in the kernel
    hub.run(5)
    assert driver.timed_out is None


def test_a_sweep_sees_to_a_few_at_a_time(make: Make) -> None:
    hub, pings = make()
    drivers = [open_socket(hub, pings) for _ in range(3 * SLICE)]
    most = 0
    while not drivers[-1].pinged:
        before = sum(len(driver.pinged) for driver in drivers)
        [timer] = hub.pending
        hub.now = max(hub.now, timer.due)
        hub.timers.remove(timer)
        timer.call()
        most = max(most, sum(len(driver.pinged) for driver in drivers) - before)
    assert most == SLICE
    assert hub.now < 122


def test_a_sweep_drops_a_slice_at_a_time(make: Make) -> None:
    hub, pings = make(interval=20, timeout=5)
    drivers = [open_socket(hub, pings, answers=False) for _ in range(3 * SLICE)]
    most = 0
    while any(driver.timed_out is None for driver in drivers):
        before = sum(driver.timed_out is not None for driver in drivers)
        [timer] = hub.pending
        hub.now = max(hub.now, timer.due)
        hub.timers.remove(timer)
        timer.call()
        most = max(most, sum(driver.timed_out is not None for driver in drivers) - before)
    assert most == SLICE


def test_one_timer_serves_all_and_goes_with_the_last(make: Make) -> None:
    hub, pings = make()
    drivers = [open_socket(hub, pings) for _ in range(10)]
    hub.run(100)
    assert len(hub.pending) == 1
    for driver in drivers:
        driver.on_time_out()
    assert hub.pending == []
    hub.run(100)
    open_socket(hub, pings)
    assert len(hub.pending) == 1


@pytest.mark.parametrize("interval", [None, 0])
def test_pings_can_be_turned_off(make: Make, interval: float | None) -> None:
    hub, pings = make(interval)
    driver = open_socket(hub, pings, answers=False)
    hub.run(1000)
    assert driver.pinged == []
    assert hub.timers == []


def test_what_goes_wrong_with_one_does_not_end_it(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, pings = make()
    wrong, right = open_socket(hub, pings), open_socket(hub, pings)

    def fail() -> Any:
        raise ValueError("on purpose")

    monkeypatch.setattr(wrong, "ping_nowait", fail)
    hub.run(100)
    assert len(right.pinged) >= 4
    assert "on purpose" in caplog.text


def test_another_servers_sockets_are_left_alone(make: Make) -> None:
    hub, pings = make()
    driver = open_socket(hub, pings, owner=object())
    hub.run(100)
    assert driver.pinged == []
