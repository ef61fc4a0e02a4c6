"""Groups that are large."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from .served import Served, attack, percentile, retried, round_trips

Serving = Callable[..., AbstractContextManager[Served]]
Record = Callable[[str, object], None]


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_messages_to_thousands_hold_nobody_up(serving: Serving, many: int, record_property: Record) -> None:
    def measure() -> float:
        with serving(settings={"WEBSOCKET_PING_INTERVAL": None}) as served, served.open("/echo/") as honest:
            with attack("fanout", served.port, many, 8) as members:
                times = round_trips(served, honest, 6)
                assert members.stdout is not None
                print(f"{int(members.stdout.read())} deliveries a second to {many}; {len(times)} round trips")
            served.wait_state(connections=2, seconds=30)
            return percentile(times, 0.99)

    retried(measure, 0.05, record_property)
