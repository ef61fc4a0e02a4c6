"""The soak's own judgement; the soak itself is run by ``make soak``."""

from __future__ import annotations

import random
import time
from itertools import islice

from .soak import Outages, schedule, unexpected

PURPOSE = """LOG django.request ERROR Websocket view failed: /raises/
Traceback (most recent call last):
  File "wrong.py", line 1, in raises
ValueError: on purpose, late
LOG django.request WARNING Not Found: /nowhere/
"""

CHAINED = """Traceback (most recent call last):
  File "base.py", line 1, in execute
psycopg.errors.UndefinedColumn: column "nonsense" does not exist
LINE 1: SELECT nonsense
               ^

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "utils.py", line 2, in execute
django.db.utils.ProgrammingError: column "nonsense" does not exist
LINE 1: SELECT nonsense
"""

BAD = """Traceback (most recent call last):
  File "driver.py", line 1, in _feed
KeyError: 'x'
LOG django_websocket ERROR something
"""


def test_exceptions_that_nobody_raised_on_purpose_are_told() -> None:
    assert unexpected(PURPOSE + CHAINED) == []
    assert unexpected(PURPOSE + BAD + CHAINED + BAD) == ["KeyError: 'x'"] * 2
    assert unexpected("Traceback (most recent call last):\n  cut off") == ["\n  cut off"]


def test_a_seed_gives_the_same_schedule_again() -> None:
    def names(seed: int, spent: int) -> list[tuple[str, float]]:
        drawn = []
        for function, chance in islice(schedule(random.Random(seed)), 50):
            drawn.append((function.__name__, chance.random()))
            for _ in range(spent):
                chance.random()  # as a client that comes to another end would
        return drawn

    assert names(1, 0) == names(1, 3)
    assert names(1, 0) != names(2, 0)
    assert len({name for name, _ in names(1, 0)}) > 5


def test_failures_during_an_outage_are_told_apart() -> None:
    outages = Outages()
    begun_before = time.monotonic()
    assert not outages.touched(begun_before)
    with outages():
        assert outages.touched(begun_before)
        assert outages.touched(time.monotonic())
    assert outages.touched(begun_before)
    assert not outages.touched(time.monotonic() + 2)
