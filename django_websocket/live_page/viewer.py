"""One live page, at its websocket: it gets what it asks for again and again until it asks for something else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ..close_codes import CloseCode
from ..database import release_connections
from ..websocket import WebSocket
from .census import Census
from .closing import Order
from .inquiry import Inquiry, Page
from .query import LIMIT, Query

__all__ = ["MAX_VIEWERS", "Viewer"]

INTERVAL = 1.0
"""Seconds between two pages, at least."""

MAX_INTERVAL = 10.0

COST_SHARE = 25
"""The pause is that many times as long as the walks for all pages take in the slowest process: 4 % of a core there."""

CHECK_SECONDS = 10.0
"""Seconds after which it is looked up anew whether the user may still look."""

MAX_VIEWERS = 20
"""Live pages that one process serves at a time."""

_open = 0


class Viewer:
    """``may(action)`` says whether the user may "view" or "close", as the database has it now."""

    def __init__(
        self, websocket: WebSocket, census: Census, by: str, may: Callable[[str], bool], *, is_alone: bool
    ) -> None:
        self._websocket = websocket
        self._inquiry = Inquiry(census)
        self._by = by
        self._may = may
        self._is_alone = is_alone
        """Whether there are processes that can't be asked."""
        self._query = Query()
        self._number = 0
        self._is_paused = False
        self._is_answered = False
        """Whether there was a page for the query: one that is paused gets one."""
        self._checked = time.monotonic()

    def run(self) -> None:
        """Serve the page until it is closed."""
        global _open
        if _open >= MAX_VIEWERS:
            self._websocket.close(CloseCode.TRY_AGAIN_LATER, "too many live pages are open")
            return
        _open += 1
        try:
            self._run()
        finally:
            _open -= 1
            self._inquiry.close()

    def _run(self) -> None:
        websocket = self._websocket
        while not websocket.closed:
            interval: float | None = None
            if not (self._is_paused and self._is_answered):
                page = self._inquiry.ask(self._query)
                self._query, self._is_answered = page.query, True
                websocket.send_json({"number": self._number, "page": _shown(page, self._is_alone)})
                if not self._is_paused:
                    interval = min(max(INTERVAL, page.cost * COST_SHARE), MAX_INTERVAL)
            try:
                message = websocket.wait(interval)
            except TimeoutError:
                message = websocket.read()
            else:
                if message is None:
                    return
            while message is not None:
                try:
                    self._handle(json.loads(message))
                except (ValueError, RecursionError):
                    websocket.close(CloseCode.POLICY_VIOLATION, "that is nothing a page sends")
                    return
                message = websocket.read()
            if time.monotonic() - self._checked > CHECK_SECONDS and not self._check("view"):
                websocket.close(CloseCode.POLICY_VIOLATION, "you may not look at this any more")

    def _handle(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise ValueError("not a message")
        if "query" in message:
            number = message.get("number")
            if not isinstance(number, int):
                raise ValueError("a query has a number")
            self._query, self._number, self._is_answered = Query.parse(message["query"]), number, False
        if "paused" in message:
            self._is_paused = message["paused"] is True
        if "order" in message:
            self._order(Order.parse(message["order"], self._by))

    def _order(self, order: Order) -> None:
        if not self._check("close"):
            self._websocket.send_json({"refused": "You may not close websockets."})
            return
        closed = self._inquiry.order(order)
        self._websocket.send_json(
            {"closed": closed.number, "missing": closed.missing, "unavailable": closed.unavailable}
        )

    def _check(self, action: str) -> bool:
        self._checked = time.monotonic()
        try:
            return self._may(action)
        finally:
            release_connections()


def _shown(page: Page, is_alone: bool) -> dict[str, Any]:
    """What the browser gets."""
    return {
        "rows": [{"id": f"{position[1]}:{position[2]}", "position": position, **row} for position, row in page.rows],
        "first": page.first,
        "limit": LIMIT,
        "matching": page.matching,
        "sockets": page.sockets,
        "received_rate": page.received_rate,
        "sent_rate": page.sent_rate,
        "lag": page.lag,
        "views": page.views,
        "query": page.query.to_json(),
        "processes": [
            {"pid": one.pid, "host": one.host, "sockets": one.sockets, "lag": one.lag} for one in page.processes
        ],
        "late": [{"pid": one.pid, "host": one.host, "seconds": round(seconds)} for one, seconds in page.late],
        "unavailable": page.unavailable,
        "alone": is_alone,
    }
