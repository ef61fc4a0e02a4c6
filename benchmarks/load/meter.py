"""A measurement window: what the server and this client used between two points in time."""

from __future__ import annotations

import os
import time

from ..procfs import core_time, processor_time, session_pids


class Meter:
    """Starts when it is made; ``session`` is the server's session id."""

    def __init__(self, session: int) -> None:
        self._pids = session_pids(session)
        self._core = min(os.sched_getaffinity(session))
        self._core_busy = core_time(self._core)
        self._server = processor_time(self._pids)
        self._client = time.process_time()
        self._start = time.perf_counter()

    def read(self, units: int) -> dict[str, float]:
        """The samples that every rate has: units a second, the server's microseconds for each, and both sides' load.

        ``server_busy`` and ``client_busy`` are shares of one core, ``others_busy`` what other processes took of the
        server's.
        """
        seconds = time.perf_counter() - self._start
        server = processor_time(self._pids).since(self._server)
        client = time.process_time() - self._client
        others = core_time(self._core) - self._core_busy - server.user - server.system
        each = 1e6 / max(units, 1)
        return {
            "rate": units / seconds,
            "units": units,
            "seconds": seconds,
            "user_us": server.user * each,
            "system_us": server.system * each,
            "cpu_us": (server.user + server.system) * each,
            "server_busy": (server.user + server.system) / seconds,
            "client_busy": client / seconds,
            "others_busy": max(0.0, others / seconds),
        }
