"""What the machine took from us: on a busy one, a stopwatch shows others' work too."""

from __future__ import annotations

import time

__all__ = ["Stopwatch", "waited"]


def waited(process: int | str = "thread-self") -> float:
    """Seconds for which a process' main thread (or this thread) was ready to run and got no processor so far."""
    try:
        with open(f"/proc/{process}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except FileNotFoundError:  # a kernel without these statistics
        return 0.0


class Stopwatch:
    """Time since it was made, less the time for which this thread or process ``pid`` had to wait for a processor."""

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid
        self._waited = self._both_waited()
        self._start = time.perf_counter()

    def _both_waited(self) -> float:
        return waited() + (0.0 if self._pid is None else waited(self._pid))

    def seconds(self) -> float:
        elapsed = time.perf_counter() - self._start
        # Both may have waited at the same time, which is subtracted twice: hence the floor.
        return max(elapsed - (self._both_waited() - self._waited), elapsed / 100)
