"""How fast one connection's messages are inflated, on a clock that only moves on request."""

from __future__ import annotations

from django_websocket.pacing import BURST_MESSAGES, EXCESS_RATE, PATIENCE, RATIO, Pacer
from django_websocket.testing.memory import MemoryScheduler, connect

MEBIBYTE = 1024 * 1024
SLICE = 64 * 1024
BURST = BURST_MESSAGES * MEBIBYTE


class Flood:
    """A connection that has a slice to inflate whenever it may."""

    def __init__(self, ratio: float, max_message_size: int = MEBIBYTE) -> None:
        self.scheduler = MemoryScheduler()
        self.ratio = ratio
        self.inflated = 0
        self.closed_at: float | None = None
        self.limit: float = 0
        channel, _ = connect(self.scheduler)
        self.pacer = Pacer(channel, max_message_size, self.proceed)

    def proceed(self) -> None:
        self.inflated += SLICE
        if self.inflated < self.limit and not self.pacer.schedule(round(SLICE / self.ratio), SLICE):
            self.closed_at = self.scheduler.clock()

    def run(self, size: float, seconds: float = 0) -> None:
        """Have ``size`` bytes more to inflate, for ``seconds``."""
        self.limit = self.inflated + size
        self.proceed()
        self.scheduler.run(seconds)


def test_what_real_data_inflates_to_is_never_slowed_down() -> None:
    flood = Flood(RATIO)
    flood.run(1000 * MEBIBYTE)
    assert flood.inflated == 1000 * MEBIBYTE


def test_a_burst_is_not_slowed_down() -> None:
    flood = Flood(1000)
    flood.run(BURST)
    assert flood.inflated == BURST


def test_the_burst_grows_with_the_size_of_messages() -> None:
    flood = Flood(1000, max_message_size=10 * MEBIBYTE)
    flood.run(10 * BURST)
    assert flood.inflated == 10 * BURST


def test_more_than_a_burst_is_slowed_down_to_the_rate() -> None:
    flood = Flood(1000)
    flood.run(1000 * MEBIBYTE)
    excess_share = 1 - RATIO / 1000
    assert abs(flood.inflated * excess_share - BURST) <= 2 * SLICE
    before = flood.inflated
    flood.scheduler.run(5)
    assert abs((flood.inflated - before) * excess_share - 5 * EXCESS_RATE) <= 2 * SLICE
    assert flood.closed_at is None


def test_what_keeps_it_up_is_told_to_stop() -> None:
    flood = Flood(1000)
    flood.run(1000 * MEBIBYTE, 10 * PATIENCE)
    assert flood.closed_at is not None
    assert PATIENCE < flood.closed_at < PATIENCE + 1


def test_what_pauses_by_itself_is_not() -> None:
    """Every minute as much as is inflated at once, and a few seconds at the rate."""
    flood = Flood(1000)
    for _ in range(20):
        flood.run(BURST + PATIENCE / 2 * EXCESS_RATE)
        flood.scheduler.run(60)
    assert flood.closed_at is None
    assert flood.inflated >= 20 * BURST


def test_what_is_scheduled_is_not_scheduled_twice() -> None:
    flood = Flood(1000)
    assert flood.pacer.schedule(100, SLICE)
    assert flood.pacer.schedule(100, SLICE)
    flood.scheduler.run()
    assert flood.inflated == SLICE
