"""Groups with a history: what a client gets that comes back."""

from __future__ import annotations

import base64
import json
import random
from functools import partial
from typing import Any

import pytest

from django_websocket import Group
from django_websocket.groups import receivers as receivers_module
from django_websocket.groups.backend import PAGE_SIZE, Page
from django_websocket.groups.config import GroupsConfig, History
from django_websocket.groups.memory import MemoryBackend
from django_websocket.groups.message import TEXT, GroupMessage
from django_websocket.groups.position import Position
from django_websocket.groups.receivers import Joined, receivers
from django_websocket.groups.subscription import Subscription
from django_websocket.testing import WebSocketClient


@pytest.fixture(autouse=True)
def kept(settings: Any) -> None:
    settings.WEBSOCKET_GROUPS = {"HISTORY": {"kept.few.*": 5, "kept.*": {"SIZE": 10_000, "TTL": 60}}}


def room(name: str, since: str | None = None) -> str:
    return f"/room/?group={name}" + ("" if since is None else f"&since={since}")


def received(socket: Any, number: int) -> list[Any]:
    return [socket.receive_json() for _ in range(number)]


def test_the_envelope(ws_client: WebSocketClient) -> None:
    group = Group("kept.a")
    with ws_client.websocket(room("kept.a")) as socket:
        assert socket.receive_json() == {"joined": True, "position": "0"}
        group.send('text "é"')
        group.send_json({"a": [1, None]})
        group.send_json("a string")
        group.send(b"\x00\xff")
        group.send(5)
        envelopes = received(socket, 5)
    epoch = envelopes[0]["position"].partition(".")[0]
    contents: list[dict[str, Any]] = [
        {"message": 'text "é"'},
        {"message": {"a": [1, None]}},
        {"message": "a string"},
        {"bytes": base64.b64encode(b"\x00\xff").decode()},
        {"message": "5"},
    ]
    assert envelopes == [
        {"group": "kept.a", "position": f"{epoch}.{number}", **content} for number, content in enumerate(contents, 1)
    ]


def test_groups_without_history_send_the_bare_message(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(room("bare", since="x.5")) as socket:
        assert socket.receive_json() == {"joined": False, "position": None}
        Group("bare").send("message")
        assert socket.receive() == "message"


def test_joining_since(ws_client: WebSocketClient) -> None:
    group = Group("kept.a")
    for number in range(250):
        group.send(str(number))
    with ws_client.websocket(room("kept.a", "0")) as socket:
        messages = received(socket, 251)
        assert [message["message"] for message in messages[:-1]] == [str(number) for number in range(250)]
        assert messages[-1] == {"joined": True, "position": messages[-2]["position"]}
        group.send("live")
        assert socket.receive_json()["message"] == "live"
    with ws_client.websocket(room("kept.a", messages[100]["position"])) as socket:
        assert received(socket, 150) == [
            *messages[101:-1],
            {**messages[-2], "position": _next(messages[-2]), "message": "live"},
        ]
        assert socket.receive_json()["joined"] is True
    with ws_client.websocket(room("kept.a")) as socket:
        assert socket.receive_json() == {"joined": True, "position": _next(messages[-2])}
        socket.assert_nothing_received()


def _next(envelope: dict[str, Any]) -> str:
    epoch, _, number = envelope["position"].partition(".")
    return f"{epoch}.{int(number) + 1}"


@pytest.mark.parametrize("since", ["other.3", "", "x", "1.2.3", "é", "0.1", "9" * 50, "0"])
def test_positions_that_the_history_does_not_know(ws_client: WebSocketClient, since: str) -> None:
    group = Group("kept.few.a")
    for number in range(10):
        group.send(str(number))
    with ws_client.websocket(room("kept.few.a", since)) as socket:
        messages = received(socket, 6)
    assert [message["message"] for message in messages[:-1]] == ["5", "6", "7", "8", "9"]
    assert messages[-1]["joined"] is False


def test_since_must_be_a_string(ws_client: WebSocketClient) -> None:
    with ws_client.websocket(room("kept.a")) as socket, pytest.raises(TypeError, match="a position is a str, not int"):
        Group("kept.b").add(socket.websocket, since=5)  # type: ignore[arg-type]  # on purpose


def test_joining_again_repeats_nothing(ws_client: WebSocketClient) -> None:
    group = Group("kept.a")
    group.send("one")
    with ws_client.websocket(room("kept.a", "0")) as socket:
        assert socket.receive_json()["message"] == "one"
        assert socket.receive_json()["joined"] is True
        joined = group.add(socket.websocket, info={"name": "ann"}, since="0")
        assert joined == Joined(complete=False, position=joined.position)
        socket.assert_nothing_received()


def test_a_slow_client_gets_a_history_at_its_own_pace(ws_client: WebSocketClient) -> None:
    """More than the outbox may hold: the join waits for the client."""
    group = Group("kept.large")
    for number in range(150):
        group.send(f"{number} {'x' * 50_000}")
    with ws_client.websocket(room("kept.large", "0")) as socket:
        group.send("live")
        messages = received(socket, 152)
    numbers = [message["message"].split()[0] for message in messages if "message" in message]
    assert numbers == [*map(str, range(150)), "live"]
    assert [message["joined"] for message in messages if "joined" in message] == [True]


def test_a_client_that_leaves_while_it_gets_the_history(ws_client: WebSocketClient) -> None:
    group = Group("kept.large")
    for _ in range(150):
        group.send("x" * 50_000)
    socket = ws_client.websocket(room("kept.large", "0"))
    assert group.count() == 1
    socket.abort()
    assert group.count() == 0


def test_the_keyword(ws_client: WebSocketClient) -> None:
    group = Group("by-keyword", history=2)
    for text in ("one", "two", "three"):
        group.send(text)
    with ws_client.websocket(room("by-keyword")) as socket:
        assert socket.receive_json() == {"joined": True, "position": None}
        joined = group.add(socket.websocket, info=1, since="0")
        group.send("four")
        assert json.loads(socket.receive())["message"] == "four"
    assert joined.complete is False
    for wrong in (0, -1, 1.5, True, "5"):
        with pytest.raises(ValueError, match="positive number of messages"):
            Group("by-keyword", history=wrong)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="positive number of seconds"):
        Group("by-keyword", history=1, history_ttl=0)


# The seam between the history and live messages


class LaggingBackend(MemoryBackend):
    """Messages are in the history before they are delivered, as in Redis, and more come at any moment."""

    def __init__(self, seed: int) -> None:
        super().__init__(GroupsConfig(), receivers)
        self.random = random.Random(seed)
        self.under_way: list[GroupMessage] = []
        self.sent = 0
        self.left = 40

    def publish(self, message: GroupMessage, history: History | None) -> None:
        assert history is not None
        self._keep(message, history)
        self.under_way.append(message)

    def send(self, number: int) -> None:
        for _ in range(number):
            if self.left:
                self.left -= 1
                self.sent += 1
                self.publish(GroupMessage("kept.seam", TEXT, str(self.sent).encode()), History(1000))

    def arrive(self, number: int) -> None:
        while self.under_way and number:
            number -= 1
            self.receiver.deliver(self.under_way.pop(0))

    def stir(self) -> None:
        self.send(self.random.choice([0, 0, 1, 2, 5]))
        self.arrive(self.random.choice([0, 0, 1, 2, 5]))

    def read_history(self, name: str, after: Position | None, *, trusted: bool = False) -> Page:
        # Whoever delivers does nothing else while it fills a gap.
        stir = partial(self.send, self.random.choice([0, 1, 4])) if trusted else self.stir
        stir()
        page = super().read_history(name, after, trusted=trusted)
        stir()
        return page


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("backend", "memory"):
        monkeypatch.setattr(f"django_websocket.groups.{module}.PAGE_SIZE", 3)
    assert PAGE_SIZE > 3


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("others", [False, True])
def test_nothing_is_lost_or_doubled_at_the_seam(
    ws_client: WebSocketClient, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    for seed in range(150):
        backend = LaggingBackend(seed)
        monkeypatch.setattr(receivers, "_backend", backend)
        backend.send(5)
        if others:
            first = ws_client.websocket(room("kept.seam", "0"))
            subscription = Subscription(Group("kept.seam"), History(1000), "0")
        start = backend.random.randrange(backend.sent + 1)
        kept = backend._histories["kept.seam"]
        since = f"{kept._epoch}.{start}" if start else "0"
        with ws_client.websocket(room("kept.seam", since)) as socket:
            for _ in range(10):
                backend.stir()
            backend.send(100)
            backend.arrive(100)
            sockets = [(socket, start)] + ([(first, 0)] if others else [])
            for one, begin in sockets:
                messages = received(one, backend.sent - begin + 1)
                numbers = [int(message["message"]) for message in messages if "message" in message]
                assert numbers == list(range(begin + 1, backend.sent + 1)), seed
                one.assert_nothing_received()
            if others:
                numbers = [int(subscription.wait(0)) for _ in range(backend.sent)]
                assert numbers == list(range(1, backend.sent + 1)), seed
                assert not subscription.has_messages()
                subscription.close()
                first.close()
        assert receivers_module.receivers._groups == {}


@pytest.mark.usefixtures("small_pages")
def test_skipped_messages_are_fetched(ws_client: WebSocketClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(50):
        backend = LaggingBackend(seed)
        monkeypatch.setattr(receivers, "_backend", backend)
        with ws_client.websocket(room("kept.seam")) as socket:
            start = int(socket.receive_json()["position"].partition(".")[2] or 0)
            for _ in range(10):
                backend.send(backend.random.choice([1, 3]))
                if backend.random.random() < 0.4:
                    backend.under_way.clear()
                if backend.random.random() < 0.3:
                    receivers.interrupted(["kept.seam"], "a test")
                backend.arrive(2)
            receivers.interrupted(["kept.seam"], "a test")
            backend.arrive(100)
            numbers = [int(message["message"]) for message in received(socket, backend.sent - start)]
            assert numbers == list(range(start + 1, backend.sent + 1)), seed
            socket.assert_nothing_received()
