"""Messages of groups for code: subscriptions, and waiting for several sources."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import Any

import pytest

from django_websocket import ConcurrencyError, Group, Notice, wait_any
from django_websocket.groups import subscription as module
from django_websocket.groups.receivers import receivers
from django_websocket.live_page.control import CONTROL, listen
from django_websocket.signals import messages_lost
from django_websocket.testing import WebSocketClient
from tests.deadlines import deadline, wait_until


def test_messages_as_they_were_sent() -> None:
    group = Group("room")
    with group.subscribe() as subscription:
        assert subscription.read() is None
        assert subscription.read("nothing") == "nothing"
        for message in ("text é", b"bytes", 5):
            group.send(message)
        group.send_json({"a": 1})
        assert subscription.has_messages()
        assert [subscription.wait() for _ in range(4)] == ["text é", b"bytes", "5", '{"a": 1}']
        assert not subscription.has_messages()
        with pytest.raises(TimeoutError, match=r"no message within 0\.01 seconds"):
            subscription.wait(0.01)
        with pytest.raises(TimeoutError):
            subscription.wait(0)
        group.close(4000)
        group.send("after a close of the members")
        assert subscription.wait() == "after a close of the members"
        assert repr(subscription) == "<Subscription room>"
        assert subscription.position is None
        group.send("the last")
    assert repr(subscription) == "<Subscription room closed>"
    group.send("too late")
    assert list(subscription) == ["the last"]
    assert subscription.wait() is None
    subscription.close()


def test_in_threads() -> None:
    group = Group("room")
    with group.subscribe() as subscription:
        received: list[str] = []
        thread = threading.Thread(target=lambda: received.extend(subscription))
        thread.start()
        wait_until(lambda: subscription._event is not None)
        with pytest.raises(ConcurrencyError):
            subscription.wait(0)

        def send() -> None:
            for _ in range(200):
                group.send("x")

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        wait_until(lambda: len(received) == 800)
    thread.join(deadline(5))
    assert not thread.is_alive()
    assert subscription._queued_bytes == 0


def test_presence(ws_client: WebSocketClient) -> None:
    with Group("room").subscribe(presence=True) as told, Group("room").subscribe() as untold:
        with ws_client.websocket('/member/?group=room&info={"name": "ann"}') as socket:
            Group("room").add(socket.websocket, {"name": "anna"})
            with ws_client.websocket("/member/?group=room"):
                pass
        assert [told.read() for _ in range(4)] == [
            Notice(joined=True, info={"name": "ann"}),
            Notice(joined=True, info={"name": "anna"}),
            Notice(joined=False, info={"name": "anna"}),
            None,
        ]
        assert not untold.has_messages()


def test_one_that_nobody_reads_drops_the_oldest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_QUEUE", 10)
    told: list[Any] = []

    def take(**kwargs: Any) -> None:
        told.append(kwargs["groups"])

    messages_lost.connect(take)
    try:
        with Group("room").subscribe() as subscription:
            for number in range(25):
                Group("room").send(str(number))
            assert subscription.lost == 15
            assert [subscription.read() for _ in range(11)] == [*map(str, range(15, 25)), None]
    finally:
        messages_lost.disconnect(take)
    assert told == [["room"]]
    assert [(r.levelno, r.message) for r in caplog.records] == [
        (logging.WARNING, "Messages may be lost, a subscription is full: group room")
    ]


def test_its_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 1000)
    with Group("room").subscribe() as subscription:
        for _ in range(10):
            Group("room").send("x" * 300)
        assert subscription._queued_bytes <= 1300
        Group("room").send("y" * 5000)
        taken = []
        while subscription.has_messages():
            taken.append(subscription.read())
        assert taken[-1] == "y" * 5000
        assert len(taken) + subscription.lost == 11
        assert subscription.lost > 0


def test_one_with_history_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUE", 10)
    group = Group("room", history=1000)
    with group.subscribe() as subscription:
        for number in range(350):
            group.send(str(number))
            if number % 7 == 0:
                assert subscription.read() is not None
        rest = []
        while (message := subscription.read()) is not None:
            rest.append(message)
        assert rest == [str(number) for number in range(50, 350)]
        assert (subscription.lost, subscription.complete) == (0, True)
        assert subscription.position is not None
        assert subscription.position.endswith(".350")


def test_since() -> None:
    group = Group("room", history=10)
    for number in range(20):
        group.send(str(number))
    with group.subscribe(since="0") as subscription:
        assert [subscription.wait(0) for _ in range(10)] == [str(number) for number in range(10, 20)]
        assert not subscription.complete
        position = subscription.position
        group.send("live")
        assert subscription.wait(0) == "live"
    with group.subscribe(since=position) as subscription:
        assert subscription.wait(0) == "live"
        assert subscription.complete
    with Group("bare").subscribe(since=position) as subscription:
        assert not subscription.complete


def test_notices_alone() -> None:
    group = Group("room", history=10)
    group.send("before")
    with group.subscribe(since="0", presence=True, messages=False) as subscription:
        group.send("after")
        assert not subscription.has_messages()


def test_one_that_was_forgotten_is_not_kept() -> None:
    subscription = Group("room").subscribe()
    Group("room").send("x")
    del subscription
    gc.collect()
    Group("room").send("y")
    assert receivers._groups == {}


# Several sources


def test_any_of_subscriptions() -> None:
    with Group("a").subscribe() as a, Group("b").subscribe() as b:
        with pytest.raises(TimeoutError):
            wait_any(a, b, timeout=0.01)
        Group("b").send("to b")
        assert wait_any(a, b) == (b, "to b")
        thread = threading.Timer(0.05, lambda: Group("a").send("to a"))
        thread.start()
        assert wait_any(a, b, timeout=deadline(10)) == (a, "to a")
        thread.join()
        for _ in range(200):
            Group("a").send("a")
        Group("b").send("b")
        sources = [wait_any(a, b)[0] for _ in range(60)]
        assert b in sources
        a.close()
        while wait_any(a, b, timeout=0)[1] is not None:
            pass
    for wrong in ((), (5,), (a, "b")):
        with pytest.raises(TypeError, match="wait_any takes subscriptions, and one websocket at most"):
            wait_any(*wrong)


def test_a_client_and_groups(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/waits/") as socket:
        assert socket.receive() == "ready"
        socket.send("hello")
        assert socket.receive() == "client: hello"
        Group("a").send("one")
        assert socket.receive() == "a: one"
        for number in range(20):
            Group("a").send(str(number))
            Group("b").send(str(number))
            socket.send(str(number))
        received = [str(socket.receive()) for _ in range(60)]
        for source in ("a", "b", "client"):
            mine = [text.partition(": ")[2] for text in received if text.startswith(source)]
            assert mine == [str(number) for number in range(20)]
        ws_client.advance(10)
        assert socket.receive() == "no message within 10 seconds"
        socket.send("only groups")
        ws_client.advance(15)
        Group("b").send("late")
        assert socket.receive() == "b: late"
        socket.send("one group")
        Group("a").send("x")
        assert socket.receive() == "a: x"
    assert receivers._groups == {}


def test_a_client_that_leaves_ends_the_wait(ws_client: WebSocketClient) -> None:
    with ws_client.websocket("/waits/") as socket:
        assert socket.receive() == "ready"
        socket.abort()
    assert receivers._groups == {}


def test_waiting_takes_no_real_time_in_tests(ws_client: WebSocketClient) -> None:
    began = time.monotonic()
    with ws_client.websocket("/waits/") as socket:
        for _ in range(100):
            ws_client.advance(10)
        assert socket.receive() == "ready"
    assert time.monotonic() - began < deadline(10)


def test_what_this_package_says_to_itself_is_not_reported_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    with Group("room").subscribe(), listen(CONTROL):
        receivers.interrupted([CONTROL, "room"], "a test")
    assert [record.message for record in caplog.records] == ["Messages may be lost, a test: group room"]
