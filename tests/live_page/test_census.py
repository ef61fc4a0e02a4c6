"""What a process answers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_websocket.live_page import census as module
from django_websocket.live_page.census import Answer, Census
from django_websocket.live_page.columns import COLUMNS
from django_websocket.live_page.query import LIMIT, Position, Query
from django_websocket.registry import registry

from .conftest import Entering, Visitor


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def census(naps: list[float]) -> Iterator[Census]:
    census = Census(naps.append)
    yield census
    registry.unsubscribe(census)


def shown(answer: Answer, column: str) -> list[Any]:
    return [row[column] for _, _, row in answer.rows]


def test_a_row_says_everything(people: dict[str, Any], entering: Entering, census: Census) -> None:
    with entering() as enter:
        client = enter("/room/hall/?token=secret", "ann")
        client.send("héllo")
        assert client.receive() == "héllo"
        answer = census.answer(Query(), "page")
        [(value, _, row)] = answer.rows
        assert value == "/room/hall/"
        assert row.pop("age") >= 0
        assert row.pop("pid") == os.getpid()
        assert row == {
            "path": "/room/hall/",
            "view": "room",
            "user": "ann",
            "user_id": str(people["ann"].pk),
            "address": "127.0.0.1",
            "received": 1,
            "sent": 1,
            "bytes_received": 12,
            "bytes_sent": 8,
            "latency": None,
            "buffered": 0,
            "groups": ["room.hall"],
            "more_groups": 0,
            "closing": False,
        }
        assert (answer.sockets, answer.matching, answer.passed, answer.views) == (1, 1, 0, {"room": 1})
        assert Answer.parse(answer.to_json()) == answer


def test_who_nobody_has_asked_for_is_unknown(entering: Entering, census: Census) -> None:
    with entering() as enter:
        enter("/quiet/", "ann")
        enter("/room/hall/")
        assert shown(census.answer(Query(sort="user"), "page"), "user") == ["", ""]


def test_who_nobody_has_asked_for_may_be_known_by_the_session(
    people: dict[str, Any], entering: Entering, census: Census
) -> None:
    with entering() as enter:
        enter("/visited/", "ann")
        [(_, _, row)] = census.answer(Query(user=str(people["ann"].pk)), "page").rows
        assert (row["user"], row["user_id"]) == (f"#{people['ann'].pk}", str(people["ann"].pk))
        assert row["view"] == "tests.live_page.urls.visited"
        assert row["latency"] >= 0


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ({"search": "HALL"}, ["/room/hall/"]),
        ({"search": "ann attic"}, ["/room/attic/"]),
        ({"search": "bob"}, []),
        ({"search": "room.att"}, ["/room/attic/"]),
        ({"search": "127.0.0.1"}, ["/quiet/", "/room/attic/", "/room/hall/"]),
        ({"search": "secret"}, []),
        ({"view": "quiet"}, ["/quiet/"]),
        ({"view": "QUIET"}, []),
        ({"user": "0"}, []),
        ({"descending": True}, ["/room/hall/", "/room/attic/", "/quiet/"]),
    ],
)
def test_search_and_filter(entering: Entering, census: Census, query: dict[str, Any], paths: list[str]) -> None:
    with entering() as enter:
        enter("/room/attic/?secret", "ann")
        enter("/room/hall/")
        enter("/quiet/")
        answer = census.answer(Query.parse(query), "page")
        assert shown(answer, "path") == paths
        assert (answer.matching, answer.sockets) == (len(paths), 3)


def test_filter_by_user(people: dict[str, Any], entering: Entering, census: Census) -> None:
    with entering() as enter:
        enter("/room/attic/", "ann")
        enter("/room/attic/", "bob")
        assert shown(census.answer(Query(user=str(people["bob"].pk)), "page"), "user") == ["bob"]


def pages(census: Census, sort: str, descending: bool, *, backwards: bool) -> Iterator[list[Position]]:
    """All pages from one end to the other; each says how many rows lie behind it."""
    behind, cursor = 0, None
    while True:
        answer = census.answer(Query(sort=sort, descending=descending, backwards=backwards, cursor=cursor), "page")
        assert answer.passed == behind
        places = [answer.position(row) for row in answer.rows]
        if not places:
            return
        yield places
        behind, cursor = behind + len(places), places[-1]


@pytest.mark.parametrize("sort", COLUMNS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_have_each_row_once_in_both_directions(
    entering: Entering, census: Census, monkeypatch: pytest.MonkeyPatch, sort: str, descending: bool
) -> None:
    with entering() as enter:
        monkeypatch.setattr(module, "LIMIT", 3)
        monkeypatch.setattr(module, "SLICE", 2)
        for number in range(8):
            client = enter(f"/room/{number % 3}/")
            for _ in range(number % 2):
                client.send("x")
                client.receive()
        forwards = [place for page in pages(census, sort, descending, backwards=False) for place in page]
        assert forwards == sorted(set(forwards), reverse=descending)
        assert len(forwards) == 8
        backwards = [place for page in pages(census, sort, descending, backwards=True) for place in page]
        assert backwards == forwards[::-1]


def test_the_youngest_is_the_first_by_age(entering: Entering, census: Census) -> None:
    with entering() as enter:
        enter("/room/old/")
        Visitor().advance(5)
        enter("/room/young/")
        assert shown(census.answer(Query(sort="age"), "page"), "path") == ["/room/young/", "/room/old/"]


def test_no_more_rows_than_a_page_shows(entering: Entering, census: Census) -> None:
    with entering() as enter:
        for _ in range(LIMIT + 5):
            enter("/quiet/")
        answer = census.answer(Query(), "page")
        assert (len(answer.rows), answer.matching) == (LIMIT, LIMIT + 5)


def test_messages_of_those_that_left_still_count(entering: Entering, census: Census) -> None:
    with entering() as enter:
        stays, leaves = enter("/room/hall/"), enter("/room/attic/")
        before = census.answer(Query(), "page")
        for client in (stays, leaves, leaves):
            client.send("x")
            client.receive()
        leaves.close()
        after = census.answer(Query(), "page")
        assert after.epoch == before.epoch
        assert (after.received - before.received, after.sent - before.sent) == (3, 3)
        assert after.sockets == 1


def test_once_nobody_looks_nothing_is_added_up(
    entering: Entering, census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    with entering() as enter:
        monkeypatch.setattr(module, "ATTENTION", -1.0)
        client = enter("/room/hall/")
        first = census.answer(Query(), "page")
        client.close()
        assert census not in registry._observers
        assert census.answer(Query(), "page").epoch == first.epoch + 1


def test_others_run_between_slices_and_whoever_asks_too_often_waits(
    entering: Entering, census: Census, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with entering() as enter:
        monkeypatch.setattr(module, "SLICE", 2)
        for _ in range(5):
            enter("/quiet/")
        census.answer(Query(), "page")
        assert naps == [0, 0]
        census._cost = 50  # as if it had been a great many
        census.answer(Query(), "page")
        assert naps == [0] * 4
        census.answer(Query(), "page")
        [wait] = [nap for nap in naps if nap]
        assert 400 < wait < 500


def test_one_that_closes_while_others_run(entering: Entering, monkeypatch: pytest.MonkeyPatch) -> None:
    with entering() as enter:
        monkeypatch.setattr(module, "SLICE", 1)
        clients = [enter("/room/hall/") for _ in range(3)]
        for client in clients:
            client.send("x")
            client.receive()
        closed: list[None] = []

        def close_one(seconds: float) -> None:
            if seconds == 0 and not closed:
                closed.append(clients[2].close())

        census = Census(close_one)
        try:
            census.answer(Query(), "page")
            closed.clear()
            answer = census.answer(Query(), "page")
            assert (answer.received, answer.sockets) == (3, 2)
        finally:
            registry.unsubscribe(census)


def test_ages_go_by_the_clock_of_the_world(entering: Entering, census: Census) -> None:
    with entering() as enter:
        enter("/quiet/")
        [(value, _, _)] = census.answer(Query(sort="age"), "page").rows
        assert -value == pytest.approx(time.time(), abs=60)


def test_pages_that_ask_are_counted(people: dict[str, Any], census: Census, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [census.answer(Query(), page).pages for page in ("a", "b", "a")] == [1, 2, 2]
    monkeypatch.setattr(module, "ATTENTION", 0.0)
    assert census.answer(Query(), "c").pages == 1
