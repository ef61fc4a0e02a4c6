"""Spreads long work over several turns of the hub, so that everything else that is ready runs in between."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["TURN_SECONDS", "Turns", "turns_of"]

logger = logging.getLogger("django_websocket")

TURN_SECONDS = 0.002
"""Seconds that this work may take in each turn of the hub; the last call may exceed them."""


_ATTRIBUTE = "_django_websocket_turns"


class Turns:
    """Calls that run in the order in which they were appended, a few in each of the hub's turns."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._calls: deque[Callable[[], object]] = deque()
        self._is_scheduled = False

    def append(self, call: Callable[[], object]) -> None:
        """Have ``call()`` called by the hub; its exceptions are logged."""
        self._calls.append(call)
        self._schedule()

    def _schedule(self) -> None:
        if self._calls and not self._is_scheduled:
            self._is_scheduled = True
            self._hub.schedule_call_global(0, self._run)

    def _run(self) -> None:
        clock, calls = self._hub.clock, self._calls
        end = clock() + TURN_SECONDS
        try:
            # What these calls append waits for the next turn.
            for _ in range(len(calls)):
                call = calls.popleft()
                try:
                    call()
                except Exception:
                    logger.exception("call to %r failed", call)
                if clock() >= end:
                    break
        finally:
            self._is_scheduled = False
            self._schedule()


def turns_of(hub: Any) -> Turns:
    """The turns of ``hub``."""
    turns: Turns | None = vars(hub).get(_ATTRIBUTE)
    if turns is None:
        turns = vars(hub)[_ATTRIBUTE] = Turns(hub)
    return turns
