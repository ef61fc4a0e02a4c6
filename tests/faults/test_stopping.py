"""SIGTERM and SIGINT."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.deadlines import deadline, wait_until
from tests.ends import send_until_ended

from .peer import Peer, close_frame, crowd
from .served import Served

Serving = Callable[..., AbstractContextManager[Served]]
Record = Callable[[str, object], None]


def refused(port: int) -> bool:
    try:
        Peer(port).sock.close()
    except ConnectionRefusedError:
        return True
    return False


def stop_with_many(served: Served, size: int, number: signal.Signals, drain: float, record: Record) -> None:
    """``size`` sockets, among them a view that never ends and an HTTP request under way."""
    with ExitStack() as stack:
        peers = stack.enter_context(crowd(served.port, "/echo/", size))
        never = stack.enter_context(served.open("/endless/"))
        finishing = stack.enter_context(served.open("/finishing/?seconds=0.5"))
        idle = stack.enter_context(served.peer())
        assert idle.get("/hello/")[0] == 200
        under_way = stack.enter_context(served.peer())
        under_way.send(b"GET /slow_response/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        served.wait_state(websockets=size + 2)

        start = time.monotonic()
        served.process.send_signal(number)
        wait_until(lambda: refused(served.port), 5, "the listener is closed")
        closed = time.monotonic() - start
        assert idle.gone()
        for peer in peers:
            assert peer.message().code == 1001
            peer.send(close_frame(1001))
        all_told = time.monotonic() - start
        for peer in peers:
            assert peer.gone()
        assert finishing.closing() == 1001
        assert never.message().code == 1001
        status, headers = under_way.head()
        assert status == 200
        assert headers["connection"] == "close"
        assert under_way.rest() == b"done"
        status, printed = served.wait_end(drain + 10)
        ended = time.monotonic() - start
        assert status == 0
        assert printed == "finishing: done\nended"
        figures = f"listener closed {closed:.2f} s, all told {all_told:.2f} s, ended {ended:.2f} s"
        print(figures)
        record("figures", figures)
        assert closed < drain
        assert drain <= ended < drain + deadline(10)


def test_a_signal_stops_in_good_order(serving: Serving, record_property: Record) -> None:
    drain = deadline(2)
    with serving(settings={"WEBSOCKET_DRAIN_TIMEOUT": drain}) as served:
        stop_with_many(served, 20, signal.SIGINT, drain, record_property)


@pytest.mark.heavy
def test_a_signal_stops_thousands_in_good_order(serving: Serving, many: int, record_property: Record) -> None:
    drain = deadline(10)
    with serving(settings={"WEBSOCKET_DRAIN_TIMEOUT": drain}) as served:
        stop_with_many(served, many, signal.SIGTERM, drain, record_property)


def test_without_a_stubborn_view_it_ends_at_once(serving: Serving) -> None:
    with serving(settings={"WEBSOCKET_DRAIN_TIMEOUT": 30}) as served, ExitStack() as stack:
        peers = stack.enter_context(crowd(served.port, "/witness/", 20))
        served.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        for peer in peers:
            assert peer.closing() == 1001
        status, printed = served.wait_end(5)
        assert (status, printed) == (0, "ended")
        assert time.monotonic() - start < deadline(5)


def test_clients_that_do_not_answer_the_close_do_not_hold_it_up(serving: Serving) -> None:
    settings = {"WEBSOCKET_DRAIN_TIMEOUT": 30, "WEBSOCKET_CLOSE_TIMEOUT": 1}
    with serving(settings=settings) as served, crowd(served.port, "/echo/", 20):
        served.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        assert served.wait_end(10) == (0, "ended")
        assert time.monotonic() - start < deadline(4)


def test_signals_repeated_until_the_end_do_not_change_the_exit_status(serving: Serving) -> None:
    with serving() as served, crowd(served.port, "/witness/", 20):
        assert send_until_ended(served.process) == 0
        lines = served.log().splitlines()
        assert len(lines) <= 2, lines
        assert all(line.startswith("LOG django.server INFO Received SIG") for line in lines), lines


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_stops_now(serving: Serving, numbers: tuple[signal.Signals, signal.Signals]) -> None:
    first, second = numbers
    with serving(settings={"WEBSOCKET_DRAIN_TIMEOUT": 60}) as served, ExitStack() as stack:
        never = stack.enter_context(served.open("/endless/"))
        stack.enter_context(crowd(served.port, "/finishing/?seconds=60", 20))
        served.process.send_signal(first)
        assert never.message().code == 1001
        served.process.send_signal(second)
        start = time.monotonic()
        assert served.wait_end(10) == (0, "ended")
        assert time.monotonic() - start < deadline(4)
