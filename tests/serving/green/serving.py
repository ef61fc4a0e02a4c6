"""The project of these tests in a server process, with its database in a file, and sockets that must go on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.faults.machine import Stopwatch
from tests.faults.served import Served, serve

__all__ = ["all_at_once", "longest_gap", "serve_project"]

T = TypeVar("T")


@contextmanager
def serve_project(directory: Path, journal_mode: str = "delete", **options: Any) -> Iterator[tuple[Served, Path]]:
    """The server, and its database; ``options`` are the database's."""
    database = directory / "db.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(f"PRAGMA journal_mode = {journal_mode}").fetchone() == (journal_mode,)
    settings = {
        "ROOT_URLCONF": "tests.serving.green.urls",
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database), "OPTIONS": options}},
        "WEBSOCKET_SESSION_CHECK_INTERVAL": None,
        "WEBSOCKET_DRAIN_TIMEOUT": 1,
    }
    with serve(directory / "log", settings=settings, migrate=True) as served:
        yield served, database


def all_at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of ``calls``, each made in a thread."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@contextmanager
def longest_gap(served: Served, sockets: int = 5) -> Iterator[list[float]]:
    """While the context is open messages go to and fro; then the list has the longest that each socket stood still.

    What others took of the processors is not counted.
    """
    gaps: list[float] = []
    ended = threading.Event()
    beaten = threading.Barrier(sockets + 1)

    def beat() -> None:
        with served.open("/echo/") as peer:
            peer.send_text("first")
            peer.text()
            beaten.wait()
            longest = 0.0
            while not ended.is_set():
                watch = Stopwatch(served.process.pid)
                peer.send_text("beat")
                assert peer.text() == "beat"
                longest = max(longest, watch.seconds())
                ended.wait(0.005)
            gaps.append(longest)

    with ThreadPoolExecutor(sockets) as pool:
        beating = [pool.submit(beat) for _ in range(sockets)]
        beaten.wait()
        try:
            yield gaps
        finally:
            ended.set()
        for each in beating:
            each.result()
