"""One client does too much of something, and honest ones are served beside it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.deadlines import deadline

from .machine import Stopwatch
from .peer import Peer, available_descriptors, crowd, handshake
from .served import Served, attack, percentile, round_trips

Serving = Callable[..., AbstractContextManager[Served]]
Record = Callable[[str, object], None]

HONEST = "127.0.0.2"
"""The address of those who do nothing wrong."""

PHASES = 5

SLACK = 0.05
"""Seconds that their 99th percentile may grow by, on whatever machine this runs; what it did is recorded."""


def compare(record: Record, quiet: list[float], attacked: list[float]) -> None:
    """Judge the 99th percentiles of phases in turn, by their medians."""
    before, after = statistics.median(quiet), statistics.median(attacked)
    text = f"p99 {before * 1000:.2f} ms when quiet, {after * 1000:.2f} ms under attack ({after / before:.2f} x)"
    print(text)
    record("p99", text)
    assert after < before + deadline(SLACK), text


@pytest.mark.heavy
@pytest.mark.timeout(400)
def test_fifty_thousand_handshakes_of_one_address(serving: Serving, record_property: Record) -> None:
    with (
        serving(settings={"WEBSOCKET_HANDSHAKE_RATE": "20/s"}) as served,
        Peer(served.port, source=HONEST).open("/echo/") as honest,
    ):
        quiet: list[float] = []
        attacked: list[float] = []
        connects: list[float] = []
        for _ in range(PHASES):
            quiet.append(percentile(round_trips(served, honest, 2), 0.99))
            with attack("handshakes", served.port, "/echo/", 50_000 // PHASES) as attacker:
                times: list[float] = []
                while attacker.poll() is None:
                    times += round_trips(served, honest, 0.5)
                    with Peer(served.port, source=HONEST) as newcomer:
                        watch = Stopwatch(served.process.pid)
                        newcomer.send(handshake("/echo/"))
                        assert newcomer.head()[0] == 101
                        connects.append(watch.seconds())
                attacked.append(percentile(times, 0.99))
                assert attacker.stdout is not None
                seconds, *statuses = attacker.stdout.read().split()
                counts = {status: int(count) for status, _, count in (one.partition(":") for one in statuses)}
                print(f"{seconds} s: {counts}")
                assert set(counts) == {"101", "429", "closed"}
                assert counts["429"] <= 11 * (float(seconds) + 2)
                assert counts["101"] <= 20 * (float(seconds) + 1) + 1
        print(f"an honest handshake meanwhile: {statistics.median(connects) * 1000:.2f} ms")
        compare(record_property, quiet, attacked)
        assert served.log().count("begins too many (429)") <= 2 * PHASES
        served.wait_state(websockets=1)


@pytest.mark.heavy
@pytest.mark.timeout(400)
def test_a_flood_from_one_of_a_thousand(serving: Serving, record_property: Record) -> None:
    size = min(1000, available_descriptors() - 200)
    with (
        serving(settings={"WEBSOCKET_RATE": "50/s"}) as served,
        crowd(served.port, "/echo/", size - 1) as others,
    ):
        quiet: list[float] = []
        attacked: list[float] = []

        def measure(seconds: float) -> float:
            # One after another, so that none comes near its own rate.
            times: list[float] = []
            for peer in others[: int(seconds * 20)]:
                times += round_trips(served, peer, 0.05)
            return percentile(times, 0.99)

        for _ in range(PHASES):
            quiet.append(measure(3))
            with attack("messages", served.port, "/echo/", 4) as attacker:
                attacked.append(measure(3))
                assert attacker.stdout is not None
                answered, seconds = attacker.stdout.read().split()
                print(f"{answered} of the flood were answered in {seconds} s")
                assert 1 <= int(answered) <= 50 * (float(seconds) + 1) + 1
        compare(record_property, quiet, attacked)
        served.wait_logged("Slowed down /echo/ of 127.0.0.1")
        assert served.log().count("Slowed down") <= 2
        served.wait_state(websockets=size - 1)
