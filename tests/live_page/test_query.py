"""What a page may ask for, and in which order things are."""

from __future__ import annotations

from typing import Any

import pytest

from django_websocket.live_page.columns import COLUMNS
from django_websocket.live_page.query import MAX_SEARCH, Query


def test_a_query_survives_its_journey() -> None:
    query = Query("two words", "room", "7", "latency", True, (0.25, "process", 3), True)
    assert Query.parse(query.to_json()) == query
    assert Query.parse({}) == Query()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "path",
        {"unknown": 1},
        {"sort": "password"},
        {"sort": ["path"]},
        {"search": 1},
        {"search": "x" * (MAX_SEARCH + 1)},
        {"view": 7},
        {"user": "x" * 300},
        {"cursor": "x"},
        {"cursor": [1, "process", 1]},  # a path is a text
        {"cursor": ["x" * 300, "process", 1]},
        {"cursor": ["path", "process", "1"]},
        {"cursor": ["path", 1, 1]},
        {"cursor": ["path", "process"]},
        {"cursor": ["path", "process", 1], "sort": "age"},
    ],
)
def test_anything_else_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"not a|no column"):
        Query.parse(data)


@pytest.mark.parametrize(
    ("descending", "backwards", "wanted"),
    [(False, False, [3, 4]), (False, True, [1]), (True, False, [1]), (True, True, [3, 4])],
)
def test_what_is_beyond_the_cursor(descending: bool, backwards: bool, wanted: list[int]) -> None:
    query = Query(sort="sent", descending=descending, backwards=backwards, cursor=(2, "p", 1))
    assert [value for value in (1, 2, 3, 4) if query.is_wanted((value, "p", 1))] == wanted


def test_equal_values_are_told_apart_by_process_and_number() -> None:
    query = Query(sort="sent", cursor=(2, "p", 5))
    assert [number for number in (4, 5, 6) if query.is_wanted((2, "p", number))] == [6]
    assert [process for process in ("o", "p", "q") if query.is_wanted((2, process, 5))] == ["q"]


def test_every_column_says_whether_it_is_text() -> None:
    assert {name for name, column in COLUMNS.items() if column.is_text} == {"path", "view", "user", "address"}
