"""Answers a query for this process: its totals, and no more rows than a page shows.

It walks through all open websockets and lets others run between slices. It never takes more than a tenth of a core,
however many people look: who asks too early waits.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from heapq import nlargest, nsmallest
from typing import Any

from ..groups.process import process_id
from ..groups.receivers import receivers
from ..hub_lag import lag_meter
from ..registry import SocketObserver, registry
from ..websocket import WebSocket
from .columns import COLUMNS, MAX_TEXT, Column, describe
from .query import LIMIT, Position, Query

__all__ = ["Answer", "Census", "census"]

SLICE = 250
"""Open websockets that are looked at in one go: in about a millisecond, if there is a search."""

MAX_SHARE = 0.1
"""Of a core, for all who look."""

MAX_VIEWS = 50
"""Views whose websockets are counted; more would be none to choose from."""

ATTENTION = 30.0
"""Seconds after its last question for which a page counts, and the traffic of websockets that close is added up."""

DRIFT = 0.5
"""Seconds by which the clocks of a process may part before their difference is taken anew: the order by age stays."""


@dataclass
class Answer:
    """One process's part of a page, as JSON can hold it."""

    process: str
    """See :func:`.process_id`."""
    pid: int
    host: str
    sockets: int = 0
    """Open ones, whatever is searched for."""
    received: int = 0
    """Messages, of open websockets and of those that were closed since :attr:`epoch` began."""
    sent: int = 0
    epoch: int = 0
    at: float = 0.0
    """Seconds on a clock of this process: when the counting began."""
    cost: float = 0.0
    """Seconds of a core that the answer took."""
    pages: int = 1
    """How many live pages ask this process."""
    lag: float | None = None
    """Seconds, the longest since the last question; None if it was not measured."""
    matching: int = 0
    """Websockets that match the query."""
    passed: int = 0
    """Those of them that the cursor has left behind."""
    views: dict[str, int] = field(default_factory=dict)
    """Open websockets of each view, the most frequent ones."""
    rows: list[tuple[Any, int, dict[str, Any]]] = field(default_factory=list)
    """Value that is sorted by, number, and what is shown; in order, nearest to the cursor first."""

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` takes."""
        return asdict(self)

    @classmethod
    def parse(cls, data: Any) -> Answer:
        """The answer of another process. Raises TypeError or ValueError if it isn't one: it may have other code."""
        answer = cls(**data)
        answer.rows = [(value, number, row) for value, number, row in answer.rows]
        return answer

    def position(self, row: tuple[Any, int, dict[str, Any]]) -> Position:
        """Where one of :attr:`rows` is."""
        return row[0], self.process, row[1]


class Census(SocketObserver):
    """Counts the websockets of this process. Used in the scheduler's thread only."""

    def __init__(self, sleep: Callable[[float], object] = lambda seconds: time.sleep(seconds)) -> None:
        self._sleep = sleep
        self._free_at = 0.0
        self._cost = 0.0
        self._epoch = 0
        self._until = 0.0
        self._is_observing = False
        self._pages: dict[str, float] = {}
        """When each live page asked last."""
        self._left_received = self._left_sent = 0
        self._clocks_apart: float | None = None

    def answer(self, query: Query, page: str, span: float = 1.0) -> Answer:
        """The answer to ``query``, for a live page with the name ``page``; ``span``: seconds since its last question.

        Lets others run.
        """
        pages = self._count_pages(page)
        self._wait_for_turn()
        self._observe()
        answer = Answer(process_id(), os.getpid(), socket.gethostname()[:MAX_TEXT], epoch=self._epoch)
        answer.pages = pages
        answer.lag = lag_meter.peak(span)
        answer.at = time.monotonic()
        answer.received, answer.sent = self._left_received, self._left_sent
        _Walk(query, answer, self._apart()).run(self._sleep)
        self._cost = answer.cost
        return answer

    def _count_pages(self, page: str) -> int:
        now = time.monotonic()
        self._pages[page] = now
        if min(self._pages.values()) < now - ATTENTION:
            self._pages = {name: at for name, at in self._pages.items() if at >= now - ATTENTION}
        return len(self._pages)

    def _wait_for_turn(self) -> None:
        now = time.monotonic()
        wait = self._free_at - now
        self._free_at = max(self._free_at, now) + self._cost / MAX_SHARE
        if wait > 0:
            self._sleep(wait)

    def _apart(self) -> float:
        """Seconds between the websockets' clock and that of the world."""
        driver = next((one.driver for one in registry if one.driver is not None), None)
        if driver is not None:
            apart = time.time() - driver.channel.clock()
            if self._clocks_apart is None or abs(apart - self._clocks_apart) > DRIFT:
                self._clocks_apart = apart
        return self._clocks_apart or 0.0

    # The traffic of those that close

    def _observe(self) -> None:
        self._until = time.monotonic() + ATTENTION
        if not self._is_observing:
            self._is_observing = True
            self._epoch += 1
            self._left_received = self._left_sent = 0
            registry.subscribe(self)

    def socket_closed(self, websocket: WebSocket) -> None:
        if time.monotonic() > self._until:
            self._is_observing = False
            registry.unsubscribe(self)
            return
        self._left_received += websocket.connection.messages_received
        self._left_sent += websocket.connection.messages_sent


class _Walk:
    """Through all open websockets, once."""

    def __init__(self, query: Query, answer: Answer, clocks_apart: float) -> None:
        self._query = query
        self._answer = answer
        self._matches = query.test()
        self._column: Column = COLUMNS[query.sort]
        self._shift = clocks_apart if self._column.is_time else 0
        self._views: Counter[str] = Counter()
        self._best: list[tuple[Any, int, WebSocket]] = []

    def run(self, sleep: Callable[[float], object]) -> None:
        answer = self._answer
        began = time.perf_counter()
        websockets = [one for one in registry if one.driver is not None and not one.driver.is_lost]
        answer.sockets = len(websockets)
        for start in range(0, len(websockets), SLICE):
            if start:
                answer.cost += time.perf_counter() - began
                sleep(0)
                began = time.perf_counter()
            self._look_at(websockets[start : start + SLICE])
        answer.views = dict(self._views.most_common(MAX_VIEWS))
        answer.rows = [
            (value, number, describe(websocket))
            for value, number, websocket in self._best
            if websocket.driver is not None
        ]
        answer.cost += time.perf_counter() - began

    def _look_at(self, websockets: list[WebSocket]) -> None:
        query, answer, matches, value_of = self._query, self._answer, self._matches, self._column.value
        process, shift, views = answer.process, self._shift, self._views
        found = self._best
        for websocket in websockets:
            answer.received += websocket.connection.messages_received
            answer.sent += websocket.connection.messages_sent
            views[websocket.view_name] += 1
            if not matches(websocket):
                continue
            answer.matching += 1
            if not websocket.number:
                receivers.address(websocket)
            value = value_of(websocket) - shift if shift else value_of(websocket)
            if query.is_wanted((value, process, websocket.number)):
                found.append((value, websocket.number, websocket))
            else:
                answer.passed += 1
        choose = nsmallest if query.upwards else nlargest
        self._best = choose(LIMIT, found, key=_place)


def _place(entry: tuple[Any, int, WebSocket]) -> tuple[Any, int]:
    return entry[:2]


census = Census()
"""That of this process."""
