"""Orders to close, and what the log says of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_websocket.groups.process import process_id
from django_websocket.live_page import closing as module
from django_websocket.live_page.closing import Order, carry_out
from django_websocket.registry import registry

from .conftest import Entering, Visitor


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"reason": "why"},
        {"reason": "why", "user": ""},
        {"reason": "why", "user": 7},
        {"reason": "why", "user": "7", "websocket": ["p", 1]},
        {"reason": "why", "websocket": ["p"]},
        {"reason": "why", "websocket": ["p", "1"]},
        {"reason": " ", "user": "7"},
        {"reason": None, "user": "7"},
        {"reason": "ä" * 62, "user": "7"},  # 124 bytes
    ],
)
def test_what_is_no_order(data: Any) -> None:
    with pytest.raises(ValueError, match=r"reason|order"):
        Order.parse(data, "root")


def test_an_order_survives_its_journey() -> None:
    for order in (Order("why", "root", ("p", 1)), Order("why", "root", user="7")):
        assert Order.parse(order.to_json()) == order


def test_who_gives_an_order_is_not_for_the_page_to_say() -> None:
    assert Order.parse({"reason": "why", "user": "7", "by": "somebody"}, "root").by == "root"


def test_a_reason_is_one_line_of_the_log() -> None:
    assert Order.parse({"reason": "one\nERROR two", "user": "7"}, "root").reason == "one ERROR two"


def test_one_websocket(entering: Entering, caplog: pytest.LogCaptureFixture) -> None:
    with entering() as enter:
        first, second = enter("/room/hall/?secret", "ann"), enter("/room/hall/", "ann")
        websocket = next(iter(registry))
        order = Order("too loud", "root (#1)", (process_id(), websocket.number))
        assert carry_out(order) == 1
        Visitor().advance(0)
        assert (first.close_code, first.close_reason) == (1008, "too loud")
        assert not second.closed
        # It is closed only once.
        assert carry_out(order) == 0
    [record] = [one for one in caplog.records if one.name == "django_websocket"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "root (#1) closed websocket /room/hall/ of ann: too loud"


def test_all_of_a_user(
    people: dict[str, Any],
    entering: Entering,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SLICE", 2)
    with entering() as enter:
        hers = [enter("/room/hall/", "ann") for _ in range(5)]
        his, nobodys = enter("/room/hall/", "bob"), enter("/room/hall/")
        assert carry_out(Order("bye", "root", user=str(people["ann"].pk))) == 5
        Visitor().advance(0)
        assert {(client.close_code, client.close_reason) for client in hers} == {(1008, "bye")}
        assert not his.closed
        assert not nobodys.closed
    assert "root closed 5 websockets of ann: bye" in caplog.text


def test_a_name_is_no_line_of_its_own(
    people: dict[str, Any], entering: Entering, caplog: pytest.LogCaptureFixture
) -> None:
    people["ann"].username = "ann\nroot closed everything"
    people["ann"].save()
    with entering() as enter:
        for count in (1, 2):
            for _ in range(count):
                enter("/room/hall/", "ann")
            assert carry_out(Order("bye", "root\nroot", user=str(people["ann"].pk))) == count
            Visitor().advance(0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        r"root\nroot closed websocket /room/hall/ of ann\nroot closed everything: bye",
        r"root\nroot closed 2 websockets of ann\nroot closed everything: bye",
    ]


def test_a_websocket_of_another_process_stays(entering: Entering, caplog: pytest.LogCaptureFixture) -> None:
    with entering() as enter:
        client = enter("/room/hall/")
        assert carry_out(Order("bye", "root", ("another", next(iter(registry)).number))) == 0
        assert not client.closed
    assert caplog.text == ""
