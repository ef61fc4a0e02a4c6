"""What a process does when a live page in another one asks or orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from django_websocket.groups.process import process_id
from django_websocket.live_page import respondent as module
from django_websocket.live_page.census import Answer, Census
from django_websocket.live_page.closing import Order
from django_websocket.live_page.control import CONTROL, listen, post
from django_websocket.live_page.query import Query
from django_websocket.live_page.respondent import Respondent
from django_websocket.registry import registry
from django_websocket.testing.groups import groups_in_memory


class Counting(Census):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(lambda seconds: None)
        self.asked: list[str] = []

    def answer(self, query: Query, page: str, span: float = 1.0) -> Answer:
        self.asked.append(query.search)
        return super().answer(query, page, span)


@pytest.fixture
def census() -> Iterator[Counting]:
    census = Counting()
    with groups_in_memory():
        yield census
    registry.unsubscribe(census)


def question(number: int, search: str = "", reply: str = "!reply", **more: Any) -> dict[str, Any]:
    query = Query(search=search).to_json()
    return {"process": "another", "reply": reply, "number": number, "query": query, "span": 1, **more}


def test_an_answer_goes_where_the_question_says(census: Counting) -> None:
    with listen(CONTROL) as messages, listen("!reply") as replies:
        post(CONTROL, question(7))
        Respondent(census).serve(messages)
        reply = json.loads(replies.wait(1))
    assert reply["number"] == 7
    assert Answer.parse(reply["answer"]).process == process_id()


def test_of_each_page_only_the_newest_question_counts(census: Counting) -> None:
    with listen(CONTROL) as messages:
        for number in range(5):
            post(CONTROL, question(number, f"a{number}", "!a"))
            post(CONTROL, question(number, f"b{number}", "!b"))
        Respondent(census).serve(messages)
    assert census.asked == ["a4", "b4"]


def test_its_own_questions_are_not_answered_twice(census: Counting) -> None:
    with listen(CONTROL) as messages:
        post(CONTROL, question(1, process=process_id()))
        Respondent(census).serve(messages)
    assert census.asked == []


def test_all_orders_are_carried_out(census: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: list[str] = []

    def carry_out(order: Order) -> int:
        reasons.append(order.reason)
        return len(reasons)

    monkeypatch.setattr(module, "carry_out", carry_out)
    with listen(CONTROL) as messages, listen("!reply") as replies:
        for number in range(2):
            order = {"reason": f"r{number}", "by": "root", "user": "1"}
            post(CONTROL, {"process": "another", "reply": "!reply", "number": number, "order": order})
        Respondent(census).serve(messages)
        closed = [json.loads(replies.wait(1)) for _ in range(2)]
    assert reasons == ["r0", "r1"]
    assert closed == [{"number": number, "process": process_id(), "closed": number + 1} for number in range(2)]


def test_a_question_of_other_code_is_passed_over(census: Counting) -> None:
    with listen(CONTROL) as messages:
        post(CONTROL, {**question(1), "query": {"sort": "new column"}})
        post(CONTROL, question(1, "known", "!other"))
        Respondent(census).serve(messages)
    assert census.asked == ["known"]
