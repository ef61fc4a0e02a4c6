"""The signals' arguments, and that a wrong receiver harms nobody; through a served project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .faults.peer import CLOSE, TEXT, close_frame, frame
from .faults.served import Served, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("signals") / "log") as running:
        yield running


@pytest.fixture(autouse=True)
def forget(served: Served) -> None:
    served.forget()


def closed(served: Served) -> dict[str, Any]:
    [line] = served.wait_told("closed: ")
    arguments: dict[str, Any] = json.loads(line.removeprefix("closed: "))
    return arguments


def test_both_ends_of_a_websocket_are_told(served: Served) -> None:
    with served.open("/echo/?signals=1") as peer:
        peer.send_text("four")
        peer.send_text("fives")
        assert (peer.text(), peer.text()) == ("four", "fives")
        assert served.told("opened: ") == ["opened: WebSocket /echo/ False"]
        assert served.told("closed: ") == []
        peer.send(frame(CLOSE, b"\x0f\xa1because"))
        peer.gone()
    arguments = closed(served)
    duration = arguments.pop("duration")
    assert 0 < duration < 60
    assert arguments == {
        "sender": "WebSocket",
        "path": "/echo/",
        "code": 4001,
        "reason": "because",
        "messages_received": 2,
        "messages_sent": 2,
        "bytes_received": 10 + 11 + 15,
        "bytes_sent": 6 + 7 + 4 + 7,
    }


@pytest.mark.parametrize(
    ("path", "code"), [("raises", 1011), ("closes_twice", 4001), ("rubbish", 1000), ("sends_after_close", 4001)]
)
def test_the_code_is_that_of_the_first_close_frame(served: Served, path: str, code: int) -> None:
    with served.open(f"/{path}/?signals=1") as peer:
        peer.send_text("go")
        assert peer.closing() == code
    assert closed(served)["code"] == code


def test_a_lost_connection_is_a_1006(served: Served) -> None:
    served.open("/echo/?signals=1").reset()
    assert closed(served)["code"] == 1006


def test_what_never_opened_is_not_told(served: Served) -> None:
    assert served.get("/echo/?signals=1")[0] == 400
    with served.peer() as peer:
        peer.send(b"GET /raises_early/?signals=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert peer.head()[0] >= 400
    assert served.told("opened") == served.told("closed") == []


def test_a_receiver_that_fails_is_logged_and_harms_nobody(served: Served) -> None:
    with served.open("/echo/?signals=wrong") as peer:
        peer.send_text("hello")
        received = peer.message()
        assert (received.opcode, received.payload) == (TEXT, b"hello")
        peer.send(close_frame())
        peer.gone()
    closed(served)
    served.wait_state(websockets=0)
    assert served.tracebacks("on purpose, in a receiver") == 2
