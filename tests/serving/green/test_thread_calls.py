"""Native threads that have the hub make calls for them."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import greenlet
import pytest

from django_websocket.serving.green import eventlet, thread_calls
from django_websocket.serving.green.forks import at_fork
from django_websocket.serving.green.thread_calls import ThreadCalls
from tests.deadlines import deadline


@pytest.fixture
def calls() -> Iterator[ThreadCalls]:
    with ThreadCalls() as calls:
        yield calls
        reader, _ = calls._mailbox.descriptors
    assert reader not in eventlet.hubs.get_hub().listeners["read"]


def run_until(condition: Callable[[], bool]) -> None:
    """Let the hub run."""
    with eventlet.Timeout(deadline(20)):
        while not condition():
            eventlet.sleep(0.001)


def outcome(future: Future[Any]) -> Any:
    """Its result, or its exception, while the hub runs."""
    run_until(future.done)
    return future.exception() or future.result()


def test_results_and_exceptions(calls: ThreadCalls) -> None:
    hub = eventlet.hubs.get_hub().greenlet
    seen: list[object] = []

    def work(value: Any) -> Any:
        seen.extend((threading.get_ident(), greenlet.getcurrent().parent is hub))
        eventlet.sleep(0.001)
        if isinstance(value, BaseException):
            raise value
        return value

    errors = [ValueError(), SystemExit(1), KeyboardInterrupt()]
    with ThreadPoolExecutor(1) as pool:
        assert outcome(pool.submit(calls.call, work, "value")) == "value"
        for error in errors:
            assert outcome(pool.submit(calls.call, work, error)) is error
        assert isinstance(outcome(pool.submit(calls.call, work, greenlet.GreenletExit())), ConnectionAbortedError)
    assert seen == [threading.get_ident(), True] * 5


def test_calls_of_each_thread_are_made_in_order(calls: ThreadCalls) -> None:
    made: list[tuple[int, int]] = []

    def call(thread: int) -> None:
        for number in range(500):
            calls.call(made.append, (thread, number))

    with ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(call, thread) for thread in range(8)]
        run_until(lambda: all(one.done() for one in threads))
    for one in threads:
        one.result()
    for thread in range(8):
        assert [number for of, number in made if of == thread] == list(range(500))


def test_calls_that_wait_do_not_hold_up_others(calls: ThreadCalls) -> None:
    event = eventlet.Event()
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(calls.call, event.wait) for _ in range(4)]
        assert outcome(pool.submit(calls.call, int, "5")) == 5
        assert not any(one.done() for one in waiting)
        event.send("sent")
        assert [outcome(one) for one in waiting] == ["sent"] * 4


def test_a_stop_fails_those_under_way() -> None:
    calls = ThreadCalls()
    never = eventlet.Event()
    started: list[None] = []

    def wait() -> None:
        started.append(None)
        never.wait()

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(calls.call, wait)
        run_until(lambda: bool(started))
        late = pool.submit(calls.call, started.append, None)
        while len(calls._pending) < 2:
            time.sleep(0.001)  # the hub does not run meanwhile
        calls.close()
        for one in (waiting, late):
            assert isinstance(one.exception(deadline(10)), ConnectionAbortedError)
        assert isinstance(pool.submit(calls.call, print).exception(deadline(10)), ConnectionAbortedError)
        never.send(None)
        run_until(lambda: not never._waiters)
    assert started == [None]


@contextmanager
def patient() -> Iterator[None]:
    """A busy machine may keep a hub that runs from answering for a while."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(thread_calls, "MAX_SILENT_LOOKS", sys.maxsize)
        yield


def test_a_view_that_blocks_the_hub_until_its_thread_ends(calls: ThreadCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a call that was never started nor one that waits keeps the process blocked."""
    monkeypatch.setattr(thread_calls, "LOOK_SECONDS", 0.01)
    never = eventlet.Event()
    made: list[str] = []

    def wait() -> None:
        made.append("waits")
        try:
            never.wait()
        finally:
            made.append("killed")

    with ThreadPoolExecutor(2) as pool:
        with patient():
            waiting = pool.submit(calls.call, wait)
            run_until(lambda: bool(made))
            new = pool.submit(calls.call, made.append, "started")
        for one in (waiting, new):
            error = one.exception(deadline(10))
            assert isinstance(error, RuntimeError)
            assert "to_thread" in str(error)
        with patient():
            run_until(lambda: len(made) == 2)
            assert outcome(pool.submit(calls.call, int, "5")) == 5
    assert made == ["waits", "killed"]


def test_a_long_wait_on_a_live_hub_goes_on(calls: ThreadCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_calls, "LOOK_SECONDS", deadline(0.1))
    signs: list[None] = []
    event = eventlet.Event()
    give_sign = thread_calls._Call.give_sign

    def count(call: thread_calls._Call) -> None:
        signs.append(None)
        give_sign(call)

    monkeypatch.setattr(thread_calls._Call, "give_sign", count)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(calls.call, event.wait)
        run_until(lambda: len(signs) > 2 * thread_calls.MAX_SILENT_LOOKS)
        assert not waiting.done()
        event.send("sent")
        assert outcome(waiting) == "sent"


def test_a_forked_child_takes_no_calls(calls: ThreadCalls) -> None:
    def look() -> bool:
        try:
            with ThreadPoolExecutor(1) as pool:
                return isinstance(pool.submit(calls.call, print).exception(deadline(10)), ConnectionAbortedError)
        except BaseException:
            return False

    with at_fork(child=calls.disown), ThreadPoolExecutor(1) as pool:
        assert outcome(pool.submit(calls.call, int, "5")) == 5
        child = os.fork()
        if not child:
            os._exit(0 if look() else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert outcome(pool.submit(calls.call, int, "6")) == 6
