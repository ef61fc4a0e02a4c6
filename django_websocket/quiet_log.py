"""Log lines that an attacker could cause by the thousand: each text is logged once, then how often it came again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .background import background

__all__ = ["QuietLog", "quiet_log"]

logger = logging.getLogger("django_websocket.limits")

PERIOD = 60.0
"""Seconds after which repetitions are reported, as long as there are any."""

MAX_TEXTS = 100
"""Texts that are told apart. They name clients, of which there may be millions; the others are only counted."""

TICK = 1.0
"""Seconds between two looks at what there is to log, while a server serves."""


class QuietLog:
    """May be told of anything anywhere, the scheduler included: a job of the server's does the logging.

    Where no server serves, lines are logged at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._new: list[str] = []
        self._texts: dict[str, int] = {}
        """How often each came again."""
        self._others = 0
        self._next_report = 0.0
        self._is_served = False

    def warn(self, text: str) -> None:
        """Log ``text`` as a warning, soon, or count it if it was logged already."""
        if not self._texts and not self._others:
            self._next_report = self._clock() + PERIOD
        if text in self._texts:
            self._texts[text] += 1
        elif len(self._texts) < MAX_TEXTS:
            self._texts[text] = 0
            self._new.append(text)
        else:
            self._others += 1
        if not self._is_served:
            self.flush()

    def warn_of_nobody(self) -> None:
        """Log that a client can't be told from others."""
        self.warn("The proxy names no address in X-Forwarded-For, so no limit for each address applies")

    def flush(self, *, final: bool = False) -> None:
        """Log what is new, and what is due; with ``final``, everything."""
        new, self._new = self._new, []
        for text in new:
            logger.warning("%s", text)
        if not (self._texts or self._others) or (not final and self._clock() < self._next_report):
            return
        texts, self._texts = self._texts, {}
        others, self._others = self._others, 0
        for text, count in texts.items():
            if count:
                logger.warning("%s (%d more times)", text, count)
                if not final:
                    self._texts.setdefault(text, 0)  # it may go on
        if others:
            logger.warning("The same for others (%d more times)", others)
        self._next_report = self._clock() + PERIOD

    def serve(self) -> None:
        """Log for as long as the server lives: a job for :data:`.background`."""
        self._is_served = True
        try:
            while True:
                time.sleep(TICK)
                self.flush()
        finally:
            self._is_served = False
            self.flush(final=True)


quiet_log = QuietLog()
"""That of this process."""
background.add(quiet_log.serve)
