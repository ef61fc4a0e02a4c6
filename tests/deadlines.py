"""The one place that scales the tests' time-outs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

SCALE = float(os.environ.get("TEST_TIMEOUT_SCALE", "1"))


def deadline(seconds: float) -> float:
    """``seconds``, stretched for slow machines by the environment variable TEST_TIMEOUT_SCALE."""
    return seconds * SCALE


def wait_until(condition: Callable[[], bool], seconds: float = 10, what: str = "condition") -> None:
    """Poll ``condition`` until it is true; AssertionError once ``seconds`` (scaled) have passed."""
    end = time.monotonic() + deadline(seconds)
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {deadline(seconds)} s")
        time.sleep(0.01)
