"""Somebody who asks a server for its metrics while it is measured."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from .processes import Failure
from .procfs import listens

SCRAPE_SECONDS = 2.0
"""Between two scrapes: more often than any Prometheus asks."""


PATIENCE = 10.0


@contextmanager
def scraped(session: int, port: int) -> Iterator[None]:
    """Scrape ``port``, on which ``session`` will listen, at once and then regularly. Raises Failure if that failed."""
    faults: list[Exception] = []
    is_over = threading.Event()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def scrape() -> None:
        with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
            assert b"\ndjango_websocket_processes 1.0\n" in response.read()

    def run() -> None:
        while not is_over.wait(SCRAPE_SECONDS):
            try:
                scrape()
            except Exception as error:
                faults.append(error)

    end = time.monotonic() + PATIENCE
    while not listens(session, port):
        if time.monotonic() > end:
            raise Failure("no metrics")
        time.sleep(0.02)
    scrape()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if faults:
        raise Failure(f"{len(faults)} scrapes failed, for example: {faults[0]!r}")
