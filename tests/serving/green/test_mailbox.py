"""Other threads reach the hub, which waits in the kernel meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_websocket.serving.green import eventlet
from django_websocket.serving.green.mailbox import Mailbox
from django_websocket.serving.process.os_signals import signals_to_hub
from tests.deadlines import deadline


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    reader, _ = mailbox.descriptors
    mailbox.close()
    assert reader not in eventlet.hubs.get_hub().listeners["read"]


def wait_for(event: eventlet.Event) -> object:
    """Block this greenlet, with nothing that would wake the hub before the deadline."""
    with eventlet.Timeout(deadline(10)):
        return event.wait()


def test_a_post_from_another_thread_wakes_the_hub(mailbox: Mailbox) -> None:
    done = eventlet.Event()
    threads: list[int] = []

    def call(value: str) -> None:
        threads.append(threading.get_ident())
        done.send(value)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(mailbox.post, call, "value")
        assert wait_for(done) == "value"
    assert threads == [threading.get_ident()]


def test_posts_of_many_threads_all_arrive_in_the_order_of_each(mailbox: Mailbox) -> None:
    received: list[tuple[int, int]] = []
    done = eventlet.Event()

    def call(thread: int, number: int) -> None:
        received.append((thread, number))
        if len(received) == 8 * 2000:
            done.send()

    def post(thread: int) -> None:
        for number in range(2000):
            mailbox.post(call, thread, number)

    with ThreadPoolExecutor(8) as threads:
        for thread in range(8):
            threads.submit(post, thread)
        wait_for(done)
    for thread in range(8):
        assert [number for one, number in received if one == thread] == list(range(2000))


def test_more_posts_than_the_pipe_holds_neither_block_nor_get_lost(mailbox: Mailbox) -> None:
    received: list[int] = []
    done = eventlet.Event()
    for number in range(100_000):
        mailbox.post(received.append, number)
    mailbox.post(done.send)
    wait_for(done)
    assert received == list(range(100_000))


def test_what_is_posted_meanwhile_has_its_turn_after_the_others(mailbox: Mailbox) -> None:
    turns = 0
    done = eventlet.Event()

    def again() -> None:
        nonlocal turns
        turns += 1
        mailbox.post(again)

    again()
    eventlet.hubs.get_hub().schedule_call_global(0.02, done.send)
    wait_for(done)
    assert turns > 1


def test_a_failure_is_logged_and_ends_nothing(mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    done = eventlet.Event()
    mailbox.post(int, "on purpose")
    mailbox.post(done.send)
    wait_for(done)
    assert "on purpose" in caplog.text


def test_a_closed_mailbox_takes_nothing() -> None:
    mailbox = Mailbox()
    mailbox.close()
    mailbox.close()
    with pytest.raises(RuntimeError, match="closed"):
        mailbox.post(print)


def test_a_signal_reaches_the_hub() -> None:
    done = eventlet.Event()
    with signals_to_hub(done.send, signal.SIGUSR1):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert wait_for(done) == signal.SIGUSR1
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_one_signal_after_the_other_is_delivered() -> None:
    received: list[int] = []
    with signals_to_hub(received.append, signal.SIGUSR1):
        for count in range(1, 4):
            os.kill(os.getpid(), signal.SIGUSR1)
            with eventlet.Timeout(deadline(10)):
                while len(received) < count:
                    eventlet.sleep(0)
    assert received == [signal.SIGUSR1] * 3


def test_a_signal_that_arrives_before_the_hub_reacts_counts_once() -> None:
    received: list[int] = []
    with signals_to_hub(received.append, signal.SIGUSR1, signal.SIGUSR2):
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        with eventlet.Timeout(deadline(10)):
            while len(received) < 2:
                eventlet.sleep(0)
        eventlet.sleep(0)
    assert received == [signal.SIGUSR1, signal.SIGUSR2]


def test_signals_are_ignored_until_the_exit() -> None:
    received: list[int] = []
    try:
        with signals_to_hub(received.append, signal.SIGUSR1, until_exit=True):
            pass
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        assert signal.signal(signal.SIGUSR1, signal.SIG_DFL) is signal.SIG_IGN
    assert received == []
