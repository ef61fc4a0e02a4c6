"""Somebody who asks for pages."""

from __future__ import annotations

import threading
import time

from .running import Gunicorn

__all__ = ["Visitor"]


class Visitor:
    """Asks for a page again and again while the context is open; what goes wrong is taken down."""

    def __init__(self, server: Gunicorn, path: str = "/common/plain/") -> None:
        self.answers = 0
        self.longest = 0.0
        """Seconds that the slowest answer took."""
        self.faults: list[object] = []
        self.pause = 0.0
        """Seconds between an answer and the next question."""
        self._server = server
        self._path = path
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._is_over.is_set():
            began = time.monotonic()
            try:
                status, _ = self._server.get(self._path)
                if status != 200:
                    self.faults.append(status)
            except OSError as error:
                self.faults.append(error)
            self.answers += 1
            self.longest = max(self.longest, time.monotonic() - began)
            self._is_over.wait(self.pause)

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
