"""Groups while a test runs: within its process, and empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from ..conf import get_setting
from ..waiter import Waiter

__all__ = ["SchedulerEvent", "groups_in_memory"]


@contextmanager
def groups_in_memory() -> Iterator[None]:
    """Whatever ``WEBSOCKET_GROUPS`` names as its backend, messages stay in this process; histories are kept as set."""
    setting = {"HISTORY": get_setting("WEBSOCKET_GROUPS").get("HISTORY", {})}
    with override_settings(WEBSOCKET_GROUPS=setting):
        yield


class SchedulerEvent:
    """An event that a view waits for on the test's clock."""

    def __init__(self, scheduler: Any) -> None:
        self._waiter = Waiter(scheduler)
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Block the view until it is set; False if ``timeout`` seconds pass on the test's clock first."""
        return self._is_set or self._waiter.park(timeout)

    def set(self) -> None:
        """Wake the view."""
        self._is_set = True
        self._waiter.wake()
