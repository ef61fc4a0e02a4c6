"""The process can't run for longer than its clients have time: none of them loses anything."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tests.deadlines import deadline, wait_until

from .peer import BINARY, CLOSE, PONG, TEXT, frame
from .served import Served

pytestmark = pytest.mark.skipif(
    os.environ.get("EVENTLET_HUB") == "selects", reason="stalls are measured on the hubs for epoll and poll only"
)

Serving = Callable[..., AbstractContextManager[Served]]
Stall = Callable[[Served], AbstractContextManager[None]]

TIMEOUT = deadline(1)
"""Before the stall, nobody may have used it up."""
STALL = 2 * TIMEOUT + 1
"""Longer than a ping and the wait for its answer."""

SETTINGS = {
    "WEBSOCKET_SEND_TIMEOUT": TIMEOUT,
    "WEBSOCKET_REQUEST_TIMEOUT": TIMEOUT,
    "WEBSOCKET_CLOSE_TIMEOUT": TIMEOUT,
    "WEBSOCKET_PING_INTERVAL": TIMEOUT,
    "WEBSOCKET_PING_TIMEOUT": TIMEOUT,
}


def sleep_until(end: float) -> None:
    time.sleep(max(0.0, end - time.monotonic()))


@contextmanager
def stopped(served: Served) -> Iterator[None]:
    end = time.monotonic() + STALL
    served.process.send_signal(signal.SIGSTOP)
    try:
        yield
        sleep_until(end)
    finally:
        served.process.send_signal(signal.SIGCONT)


@contextmanager
def blocked(served: Served) -> Iterator[None]:
    with served.peer() as peer:
        peer.send(f"GET /block/?seconds={STALL} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        end = time.monotonic() + STALL
        time.sleep(0.05)  # it makes no difference whether it has begun
        yield
        assert peer.head()[0] == 200
        sleep_until(end)


@pytest.fixture(params=[stopped, blocked])
def stall(request: pytest.FixtureRequest) -> Stall:
    stall: Stall = request.param
    return stall


def test_readers_of_a_fast_sender_stay(serving: Serving, stall: Stall) -> None:
    """Their outboxes are never empty, and they read all the time."""
    with serving(settings=SETTINGS) as served, ExitStack() as stack:
        readers = [stack.enter_context(served.open("/push/")) for _ in range(10)]
        received = [0] * len(readers)
        stop = threading.Event()

        def read(number: int) -> None:
            peer = readers[number]
            while not stop.is_set():
                answer = peer.frame()
                if answer.opcode == BINARY:
                    received[number] += 1
                elif answer.opcode == CLOSE:
                    return
                else:
                    peer.send(frame(PONG, answer.payload))

        threads = [threading.Thread(target=read, args=[number], daemon=True) for number in range(len(readers))]
        for thread in threads:
            thread.start()
        with stall(served):
            pass
        before = list(received)

        def all_go_on() -> bool:
            return all(after > count for after, count in zip(received, before, strict=True))

        try:
            wait_until(all_go_on, 10, "each gets more")
            assert served.state()["websockets"] == len(readers), served.told("push")
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_a_head_that_arrives_meanwhile_is_answered(serving: Serving, stall: Stall) -> None:
    with serving(settings=SETTINGS) as served, served.peer() as whole, served.peer() as half:
        for peer in (whole, half):
            peer.send(b"GET /hello/ HTTP/1.1\r\nHost: 127")
        with stall(served):
            whole.send(b".0.0.1\r\n\r\n")
            half.send(b".0.0.1\r\n")
        half.send(b"\r\n")
        assert whole.head()[0] == 200
        assert half.head()[0] == 200


def test_a_body_that_arrives_meanwhile_is_read(serving: Serving, stall: Stall) -> None:
    with serving(settings=SETTINGS) as served, served.peer() as whole, served.peer() as half:
        for peer in (whole, half):
            peer.send(b"POST /size/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n\r\n0123456789")
        served.state()
        with stall(served):
            whole.send(b"0123456789")
            half.send(b"01234")
        half.send(b"56789")
        for peer in (whole, half):
            status, headers = peer.head()
            assert status == 200
            assert peer.take(int(headers["content-length"])) == b"20"


def test_a_close_that_is_answered_meanwhile_is_clean(serving: Serving, stall: Stall) -> None:
    with serving(settings=SETTINGS) as served, served.open("/close_by_itself/") as peer:
        closing = peer.frame()
        assert closing.code == 4000
        with stall(served):
            peer.send(frame(TEXT, b"x" * 100_000) + frame(CLOSE, closing.payload[:2]))
        assert peer.sock.recv(1) == b"", "not a reset"
        served.wait_state(websockets=0)


def test_a_message_that_arrives_meanwhile_is_waited_for(serving: Serving, stall: Stall) -> None:
    with serving(settings=SETTINGS) as served, served.open(f"/impatient/?seconds={TIMEOUT}") as peer:
        assert peer.text() == "waiting"
        with stall(served):
            peer.send_text("in time")
        assert peer.text() == "in time"


def test_a_client_that_was_silent_before_and_after_is_still_cut(serving: Serving, stall: Stall) -> None:
    settings = {**SETTINGS, "WEBSOCKET_PING_INTERVAL": 20}
    with (
        serving(settings=settings) as served,
        served.peer() as head,
        served.open("/push/", receive_buffer=4096) as reader,
        served.open("/close_by_itself/") as closing,
        served.open(f"/impatient/?seconds={TIMEOUT}") as message,
    ):
        head.send(b"GET")
        assert reader.frame().opcode == BINARY
        assert closing.frame().code == 4000
        assert message.text() == "waiting"
        with stall(served):
            pass
        assert head.head()[0] == 408
        assert message.text() == "TimeoutError"
        served.wait_told("push: 1006")
        message.sock.close()
        served.wait_state(websockets=0)
