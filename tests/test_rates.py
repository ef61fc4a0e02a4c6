"""The notation of rates, and the buckets that keep to them, by a clock of their own."""

from __future__ import annotations

import pytest

from django_websocket import rates
from django_websocket.rates import Amount, KeyedRate, Rate, parse_rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50/s", Rate(Amount(50, 1), None)),
        ("300/m", Rate(Amount(300, 60), None)),
        ("1/h", Rate(Amount(1, 3600), None)),
        ("100KiB/s", Rate(None, Amount(102400, 1))),
        ("1MiB/m", Rate(None, Amount(1048576, 60))),
        ("500B/s", Rate(None, Amount(500, 1))),
        ("50/s, 100KiB/s", Rate(Amount(50, 1), Amount(102400, 1))),
        ("1MiB/m,50/s", Rate(Amount(50, 1), Amount(1048576, 60))),
    ],
)
def test_notation(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "50", "/s", "0/s", "-1/s", "1.5/s", "50/d", "50/2s", "50 KB/s", "50/s 1KiB/s", "50/s,", "50/s, 1/m"]
)
def test_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no rate|says the same thing twice"):
        parse_rate(text)


def test_as_many_at_once_and_then_one_after_another() -> None:
    clock = Clock()
    rate = KeyedRate(Amount(10, 5.0), clock)
    assert [rate.take("a") for _ in range(10)] == [0.0] * 10
    assert rate.take("a") == pytest.approx(0.5)
    assert rate.take("b") == 0.0, "it is everybody's own"
    clock.now += 0.25
    assert rate.take("a") == pytest.approx(0.25), "a refusal costs nothing"
    clock.now += 0.25
    assert rate.take("a") == 0.0
    assert rate.take("a") == pytest.approx(0.5)
    clock.now += 5.0
    assert sum(rate.take("a") == 0.0 for _ in range(20)) == 10


def test_in_the_long_run_no_more_than_the_rate() -> None:
    clock = Clock()
    rate = KeyedRate(Amount(7, 1.0), clock)
    admitted = 0
    for _ in range(100_000):
        admitted += rate.take("a") == 0.0
        clock.now += 0.001
    assert admitted in (706, 707)


def test_buckets_that_are_full_again_go() -> None:
    clock = Clock()
    rate = KeyedRate(Amount(10, 1.0), clock)
    for number in range(100_000):
        rate.take(str(number))
        clock.now += 0.001
    assert len(rate) <= 110


def test_so_many_clients_at_once_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_KEYS", 100)
    rate = KeyedRate(Amount(1, 3600.0), Clock())
    for number in range(1000):
        rate.take(str(number))
    assert len(rate) == 100
    assert rate.take("999") > 0
    assert rate.take("0") == 0.0
