"""A window of measurement: what the server and this client used between two moments."""

from __future__ import annotations

import time

from ..procfs import processor_time, session_pids


class Meter:
    """Starts when it is made; ``session`` is the server's session id."""

    def __init__(self, session: int) -> None:
        self._pids = session_pids(session)
        self._server = processor_time(self._pids)
        self._client = time.process_time()
        self._start = time.perf_counter()

    def read(self, units: int) -> dict[str, float]:
        """The samples that every rate has: units a second, the server's microseconds for each, and both sides' load.

        ``server_busy`` and ``client_busy`` are shares of one core.
        """
        seconds = time.perf_counter() - self._start
        server = processor_time(self._pids).since(self._server)
        client = time.process_time() - self._client
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
        }
