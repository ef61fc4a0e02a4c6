"""Many processes, one page."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from django_websocket.exceptions import GroupsUnavailable
from django_websocket.groups.process import process_id
from django_websocket.live_page import inquiry as module
from django_websocket.live_page.census import Answer, Census
from django_websocket.live_page.closing import Order
from django_websocket.live_page.control import CONTROL, listen, post
from django_websocket.live_page.inquiry import Inquiry, Page
from django_websocket.live_page.query import LIMIT, Query
from django_websocket.registry import registry
from django_websocket.testing.groups import groups_in_memory


class Others:
    """Processes that answer while the question is being posted; what they say is up to the test."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = {}
        """Name of a process: how many messages each of its websockets has sent."""
        self.silent: set[str] = set()
        self.changes: dict[str, Any] = {}
        self.questions: list[dict[str, Any]] = []

    def put(self, message: dict[str, Any]) -> None:
        self.questions.append(message)
        for process in self.rows.keys() - self.silent:
            self.reply(process, message)

    def reply(self, process: str, message: dict[str, Any]) -> None:
        if "order" in message:
            post(message["reply"], {"number": message["number"], "process": process, "closed": len(self.rows[process])})
            return
        answer = self.answer(process, Query.parse(message["query"]))
        post(message["reply"], {"number": message["number"], "answer": {**answer.to_json(), **self.changes}})

    def answer(self, process: str, query: Query) -> Answer:
        answer = Answer(process, len(process), "host", epoch=1, at=float(len(self.questions)), views={"room": 1})
        answer.sockets = answer.matching = len(self.rows[process])
        places = [(sent, process, number) for number, sent in enumerate(self.rows[process])]
        wanted = sorted(filter(query.is_wanted, places), reverse=not query.upwards)
        answer.passed = len(places) - len(wanted)
        answer.rows = [(sent, number, {"sent": sent, "of": process}) for sent, _, number in wanted[:LIMIT]]
        answer.received = answer.sent = 10 * len(self.questions)
        return answer


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    others = Others()

    def post_and_answer(name: str, obj: Any) -> None:
        post(name, obj)
        others.put(obj)

    monkeypatch.setattr(module, "post", post_and_answer)
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "FIRST_PATIENCE", 0.05)
    with groups_in_memory():
        yield others


@pytest.fixture
def inquiry(others: Others) -> Iterator[Inquiry]:
    census = Census()
    inquiry = Inquiry(census)
    yield inquiry
    inquiry.close()
    registry.unsubscribe(census)


def sent(page: Page) -> list[int]:
    return [row["sent"] for _, row in page.rows]


def test_rows_of_all_processes_are_sorted_into_one_page(others: Others, inquiry: Inquiry) -> None:
    others.rows = {"a": [1, 4, 6], "b": [2, 3, 5]}
    assert sent(inquiry.ask(Query(sort="sent"))) == [1, 2, 3, 4, 5, 6]
    page = inquiry.ask(Query(sort="sent", descending=True))
    assert sent(page) == [6, 5, 4, 3, 2, 1]
    assert (page.first, page.matching, page.sockets, page.views) == (0, 6, 6, {"room": 2})


@pytest.mark.parametrize("descending", [False, True])
def test_pages_back_and_forth(others: Others, inquiry: Inquiry, descending: bool) -> None:
    size = 2 * LIMIT + 20
    others.rows = {"a": list(range(0, size, 3)), "b": [n for n in range(size) if n % 3]}
    whole = sorted(range(size), reverse=descending)
    page = inquiry.ask(Query(sort="sent", descending=descending))
    for first in (LIMIT, 2 * LIMIT):
        page = inquiry.ask(Query(sort="sent", descending=descending, cursor=page.rows[-1][0]))
        assert (page.first, sent(page)) == (first, whole[first : first + LIMIT])
    for first in (LIMIT, 0):
        page = inquiry.ask(Query(sort="sent", descending=descending, cursor=page.rows[0][0], backwards=True))
        assert (page.first, sent(page)) == (first, whole[first : first + LIMIT])
    page = inquiry.ask(Query(sort="sent", descending=descending, backwards=True))
    assert (page.first, sent(page)) == (size - LIMIT, whole[-LIMIT:])


def test_a_cursor_beside_what_there_is(others: Others, inquiry: Inquiry) -> None:
    others.rows = {"a": list(range(LIMIT + 5))}
    behind_all = inquiry.ask(Query(sort="sent", cursor=(1000, "a", 0)))
    assert (behind_all.first, behind_all.query.cursor, behind_all.query.backwards) == (5, None, True)
    half_a_page = inquiry.ask(Query(sort="sent", cursor=(20, "a", 20), backwards=True))
    assert (half_a_page.first, len(half_a_page.rows)) == (0, LIMIT)
    assert half_a_page.query == Query(sort="sent")
    others.rows = {"a": []}
    assert inquiry.ask(Query(sort="sent", cursor=(20, "a", 20))).rows == []


def test_who_does_not_answer_is_named_and_not_waited_for_again(
    others: Others, inquiry: Inquiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    others.rows = {"a": [1], "b": [2, 3]}
    assert inquiry.ask(Query(sort="sent")).late == []
    others.silent = {"b"}
    for _ in range(2):
        page = inquiry.ask(Query(sort="sent"))
        assert sent(page) == [1]
        assert [answer.process for answer, _ in page.late] == ["b"]
    # Its answer to the last question comes at last: it is there again.
    others.reply("b", others.questions[-1])
    others.silent = set()
    inquiry.ask(Query(sort="sent"))
    page = inquiry.ask(Query(sort="sent"))
    assert (sent(page), page.late) == ([1, 2, 3], [])
    others.silent = {"b"}
    monkeypatch.setattr(module, "FORGET_SECONDS", 0.0)
    assert inquiry.ask(Query(sort="sent")).late == []


def test_messages_a_second(others: Others, inquiry: Inquiry) -> None:
    others.rows = {"a": [1], "b": [1]}
    assert inquiry.ask(Query()).received_rate is None
    page = inquiry.ask(Query())
    # Each process has counted ten more, one second on its clock later; this one none.
    assert (page.received_rate, page.sent_rate) == (20, 20)
    others.changes = {"epoch": 2, "received": 0}
    assert inquiry.ask(Query()).received_rate == 0


def test_an_answer_of_other_code_counts_as_none(
    others: Others, inquiry: Inquiry, caplog: pytest.LogCaptureFixture
) -> None:
    others.rows = {"a": [1]}
    others.changes = {"new": 1}
    with caplog.at_level(logging.DEBUG, "django_websocket"):
        assert inquiry.ask(Query()).rows == []
    assert "A process with other code answered" in caplog.text


def test_without_groups_this_process_is_shown_alone(
    others: Others, inquiry: Inquiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, obj: Any) -> None:
        raise GroupsUnavailable("no Redis")

    others.rows = {"a": [1]}
    inquiry.ask(Query())
    monkeypatch.setattr(module, "post", fail)
    page = inquiry.ask(Query())
    assert page.late == []  # nobody has asked it
    assert page.unavailable == "no Redis"
    assert [answer.process for answer in page.processes] == [process_id()]
    closed = inquiry.order(Order("because", "root", user="1"))
    assert (closed.number, closed.unavailable) == (0, "no Redis")


def test_an_order_goes_to_all(others: Others, inquiry: Inquiry) -> None:
    others.rows = {"a": [1], "b": [2, 3]}
    inquiry.ask(Query())
    closed = inquiry.order(Order("because", "root", user="1"))
    assert (closed.number, closed.missing) == (3, 0)
    assert others.questions[-1]["order"] == Order("because", "root", user="1").to_json()
    others.silent = {"a"}
    closed = inquiry.order(Order("because", "root", user="1"))
    assert (closed.number, closed.missing) == (2, 1)


def test_an_order_for_this_process_goes_nowhere(others: Others, inquiry: Inquiry) -> None:
    closed = inquiry.order(Order("because", "root", (process_id(), 999)))
    assert closed.number == 0
    assert others.questions == []


def test_what_the_others_hear(inquiry: Inquiry) -> None:
    with listen(CONTROL) as questions:
        inquiry.ask(Query(search="x"))
        question = json.loads(questions.wait(1))
    assert question["query"]["search"] == "x"
    assert question["process"] == process_id()
