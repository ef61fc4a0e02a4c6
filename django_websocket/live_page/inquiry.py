"""Puts the questions of one page to all processes, and merges what they answer.

Nobody knows beforehand how many processes there are. Whoever has answered is known and waited for, a second at most;
who doesn't answer then is waited for no more, and named, until it answers again or is forgotten.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from ..exceptions import GroupsUnavailable
from ..groups.process import process_id
from ..groups.subscription import Subscription
from .census import Answer, Census
from .closing import Order, carry_out
from .control import CONTROL, listen, post
from .query import LIMIT, Position, Query

__all__ = ["FIRST_PATIENCE", "PATIENCE", "Closed", "Inquiry", "Page"]

logger = logging.getLogger("django_websocket")

PATIENCE = 1.0
"""Seconds to wait for processes that are known."""

FIRST_PATIENCE = 0.3
"""Seconds to wait for those that are not known yet, when a page opens."""

FORGET_SECONDS = 30.0
"""Seconds without an answer after which a process is taken to have ended."""

MAX_VIEWS = 100

_numbers = count(1)


@dataclass
class Page:
    """What all processes have answered, together."""

    query: Query
    rows: list[tuple[Position, dict[str, Any]]] = field(default_factory=list)
    first: int = 0
    """How many of those that match come before this page."""
    matching: int = 0
    sockets: int = 0
    received_rate: float | None = None
    """Messages a second since the last page; None if that isn't known."""
    sent_rate: float | None = None
    lag: float | None = None
    views: dict[str, int] = field(default_factory=dict)
    processes: list[Answer] = field(default_factory=list)
    late: list[tuple[Answer, float]] = field(default_factory=list)
    """Last answers of processes that did not answer now, and how many seconds ago those came."""
    unavailable: str = ""
    """Why only this process was asked."""
    cost: float = 0.0
    """Seconds of a core, the most of all processes: what it took for one page, times the pages that ask there."""

    @property
    def is_beside(self) -> bool:
        """Whether its cursor is behind the last row, or so near to the first one that it leaves half a page."""
        enough = LIMIT if self.query.backwards else 1
        return self.query.cursor is not None and len(self.rows) < min(enough, self.matching)


@dataclass
class Closed:
    """What became of an order."""

    number: int
    """Websockets that were closed."""
    missing: int
    """Processes that have not answered; they may carry it out later."""
    unavailable: str = ""


@dataclass
class _Peer:
    """Another process."""

    answer: Answer
    heard: float
    is_late: bool = False


class Inquiry:
    """Used by one greenlet or thread; without a census by a process that serves nothing itself."""

    def __init__(self, census: Census | None) -> None:
        self._census = census
        self._name = f"{CONTROL}.{process_id()}.{next(_numbers)}"
        """Where the replies go."""
        self._number = 0
        self._replies: Subscription | None = None
        self._peers: dict[str, _Peer] = {}
        self._knows_peers = False
        self._counted: dict[str, Answer] = {}
        """What :meth:`_rates` saw last."""
        self._asked = 0.0

    def close(self) -> None:
        """Listen no more."""
        replies, self._replies = self._replies, None
        if replies is not None:
            replies.close()

    # Questions

    def ask(self, query: Query) -> Page:
        """The page that ``query`` asks for; the last or the first one, if that is beside what there is."""
        page = self._ask(query)
        if page.is_beside:
            at_end = not query.backwards
            page = self._ask(replace(query, cursor=None, backwards=at_end))
        return page

    def _ask(self, query: Query) -> Page:
        now = time.monotonic()
        span = min(now - self._asked, 30.0) if self._asked else 1.0
        self._asked = now
        page = Page(query)
        page.unavailable = self._post({"query": query.to_json(), "span": span})
        answers = [] if self._census is None else [self._census.answer(query, self._name, span)]
        if not page.unavailable:
            answers += self._answers(now)
        self._merge(page, answers)
        return page

    def _answers(self, asked: float) -> list[Answer]:
        answers = []

        def take(message: Any) -> str:
            answer = Answer.parse(message["answer"])
            peer = self._peers.setdefault(answer.process, _Peer(answer, asked))
            peer.answer, peer.heard, peer.is_late = answer, time.monotonic(), False
            answers.append(answer)
            return answer.process

        for process in self._collect(asked, take):
            self._peers[process].is_late = True
        return answers

    def _collect(self, asked: float, take: Callable[[Any], str]) -> set[str]:
        """Hand each reply to ``take``, which says whose it is; return which known processes have not replied."""
        expected = {process for process, peer in self._peers.items() if not peer.is_late}
        is_hasty = self._census is not None and not self._knows_peers
        end = asked + (FIRST_PATIENCE if is_hasty else PATIENCE)
        replies = self._replies
        while replies is not None and (expected or not self._knows_peers or replies.has_messages()):
            try:
                content = replies.wait(max(end - time.monotonic(), 0))
            except TimeoutError:
                break
            if content is None:
                break
            message = json.loads(content)
            try:
                if message["number"] == self._number:
                    expected.discard(take(message))
                elif "answer" in message:
                    self._heard_late(Answer.parse(message["answer"]))
            except (KeyError, TypeError, ValueError) as error:
                logger.debug("A process with other code answered: %s", error)
        self._knows_peers = True
        return expected

    def _heard_late(self, answer: Answer) -> None:
        """An answer to an earlier question: that process is alive, and worth waiting for again."""
        peer = self._peers.setdefault(answer.process, _Peer(answer, 0.0))
        peer.answer, peer.heard, peer.is_late = answer, time.monotonic(), False

    def _post(self, message: dict[str, Any]) -> str:
        """Send it to all other processes; return why that can't be done."""
        self._number += 1
        try:
            if self._replies is None:
                self._replies = listen(self._name)
            post(
                CONTROL,
                {**message, "number": self._number, "process": process_id(), "reply": self._name},
            )
        except GroupsUnavailable as error:
            return str(error)
        return ""

    # Merging

    def _merge(self, page: Page, answers: list[Answer]) -> None:
        query = page.query
        rows = [(answer.position(row), row[2]) for answer in answers for row in answer.rows]
        rows.sort(key=lambda entry: entry[0], reverse=not query.upwards)
        del rows[LIMIT:]
        if query.backwards:
            rows.reverse()
        page.rows = rows
        page.matching = sum(answer.matching for answer in answers)
        passed = sum(answer.passed for answer in answers)
        page.first = page.matching - passed - len(rows) if query.backwards else passed
        page.sockets = sum(answer.sockets for answer in answers)
        page.received_rate, page.sent_rate = self._rates(answers)
        page.lag = max((answer.lag for answer in answers if answer.lag is not None), default=None)
        page.cost = max((answer.cost * answer.pages for answer in answers), default=0.0)
        views: Counter[str] = Counter()
        for answer in answers:
            views.update(answer.views)
        page.views = dict(views.most_common(MAX_VIEWS))
        page.processes = sorted(answers, key=lambda answer: (answer.host, answer.pid))
        if not page.unavailable:
            page.late = self._late({answer.process for answer in answers})

    def _rates(self, answers: list[Answer]) -> tuple[float | None, float | None]:
        """Messages a second, received and sent, in the processes of which two answers are known."""
        rates = []
        for answer in answers:
            before = self._counted.get(answer.process)
            if before is not None and before.epoch == answer.epoch and answer.at > before.at:
                seconds = answer.at - before.at
                rates.append(((answer.received - before.received) / seconds, (answer.sent - before.sent) / seconds))
        self._counted = {answer.process: answer for answer in answers}
        if not rates:
            return None, None
        return sum(received for received, _ in rates), sum(sent for _, sent in rates)

    def _late(self, answered: set[str]) -> list[tuple[Answer, float]]:
        now = time.monotonic()
        for process, peer in list(self._peers.items()):
            if now - peer.heard > FORGET_SECONDS:
                del self._peers[process]
        return [(peer.answer, now - peer.heard) for process, peer in self._peers.items() if process not in answered]

    # Orders

    def order(self, order: Order) -> Closed:
        """Have ``order`` carried out wherever it concerns somebody."""
        asked = time.monotonic()
        result = Closed(0, 0)
        if order.websocket is None or order.websocket[0] != process_id():
            result.unavailable = self._post({"order": order.to_json()})
        result.number = carry_out(order)
        if order.websocket is not None and order.websocket[0] == process_id():
            return result

        def take(message: Any) -> str:
            result.number += message["closed"]
            return str(message["process"])

        if not result.unavailable:
            result.missing = len(self._collect(asked, take)) + sum(peer.is_late for peer in self._peers.values())
        return result
