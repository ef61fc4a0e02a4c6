"""Jobs that run beside the views of a server for as long as it serves.

Whoever needs one adds it, before the server starts or while it serves: the server knows how to run it, and no job knows
the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Background", "background"]

Job = Callable[[], None]


class Background:
    """The jobs of this process."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._spawn: Callable[[Job], Any] | None = None
        self._running: list[Any] = []

    def add(self, job: Job) -> None:
        """Run ``job()`` in a greenlet of its own while a server serves; the end of the server kills it."""
        self._jobs.append(job)
        if self._spawn is not None:
            self._running.append(self._spawn(job))

    @contextmanager
    def running(self, spawn: Callable[[Job], Any]) -> Iterator[None]:
        """Run the jobs while the context is open. What ``spawn(job)`` returns has a ``kill()``."""
        self._spawn = spawn
        self._running = [spawn(job) for job in self._jobs]
        try:
            yield
        finally:
            running, self._running, self._spawn = self._running, [], None
            for greenlet in running:
                greenlet.kill()


background = Background()
