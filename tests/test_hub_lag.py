"""The lag, in a thread: where it is measured there is a hub in its place."""

from __future__ import annotations

import threading
import time

from django_websocket.hub_lag import LagMeter
from tests.deadlines import wait_until


def test_it_is_measured_while_somebody_looks() -> None:
    meter = LagMeter()
    threading.Thread(target=meter.run, daemon=True).start()
    wait_until(lambda: meter._wake is not None, 5, "it sleeps")
    assert not meter._measured
    assert meter.peak(10) is None
    wait_until(lambda: meter.peak(10) is not None, 5, "it measures")
    peak = meter.peak(10)
    assert peak is not None
    assert peak >= 0
    meter._until = 0.0
    wait_until(lambda: meter._wake is not None, 5, "it sleeps again")
    assert not meter._measured


def test_it_is_measured_while_somebody_follows() -> None:
    meter = LagMeter()
    threading.Thread(target=meter.run, daemon=True).start()
    wait_until(lambda: meter._wake is not None, 5, "it sleeps")
    told: list[tuple[float, float]] = []
    with meter.following(lambda now, due: told.append((now, due))):
        wait_until(lambda: len(told) >= 2, 5, "it measures")
    assert all(now - due >= 0 for now, due in told)
    wait_until(lambda: meter._wake is not None, 5, "it sleeps again")


def test_the_peak_is_that_of_the_time_asked_for() -> None:
    meter = LagMeter()
    now = time.monotonic()
    meter._measured.extend([(now - 60, 3.0), (now - 0.2, 0.5), (now - 0.1, 0.25)])
    assert meter.peak(10) == 0.5
    assert meter.peak(100) == 3.0
    assert meter.peak(0) is None
