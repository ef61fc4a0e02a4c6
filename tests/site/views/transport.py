"""Views for tests of how bytes get from the socket to the view and back."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, JsonResponse

from django_websocket import ConnectionClosed, require_websocket
from django_websocket.serving.patch import eventlet

from ..journal import journal
from .common import SocketRequest, event

progress: dict[str, int] = {}


def _take_in_order(request: SocketRequest) -> None:
    websocket = request.websocket
    websocket.accept()
    event(request.GET["until"]).wait()
    expected = 0
    for message in websocket:
        if message == "end":
            break
        assert isinstance(message, str)
        number, _, rest = message.partition(" ")
        assert int(number) == expected
        assert not rest.strip("x")
        expected += 1
    websocket.send(str(expected))


@require_websocket
def takes_later(request: SocketRequest) -> None:
    """Lets messages wait until it is told to take them, which come numbered."""
    _take_in_order(request)


@require_websocket(max_queue=1)
def takes_later_one(request: SocketRequest) -> None:
    _take_in_order(request)


@require_websocket(max_queue=2)
def closes_later(request: SocketRequest) -> None:
    """Closes while more waits than it ever took."""
    request.websocket.accept()
    event(request.GET["until"]).wait()
    request.websocket.close(4000, "enough")


@require_websocket
def waits(request: SocketRequest) -> None:
    """Notes what its wait returned, and why."""
    websocket = request.websocket
    while (message := websocket.wait()) is not None:
        journal.append(f"got {message!r}")
    journal.append(f"ended {message} {websocket.close_code}")


@require_websocket
def sends(request: SocketRequest) -> None:
    """Sends for as long as it can, and never receives."""
    websocket = request.websocket
    try:
        while True:
            websocket.send(b"x" * 10_000)
    except ConnectionClosed as error:
        journal.append(f"ended {error.code}")
        raise


@require_websocket
def sends_slowly(request: SocketRequest) -> None:
    """The same, with less than fills any buffer."""
    websocket = request.websocket
    websocket.accept()
    journal.append("accepted")
    event(request.GET["until"]).wait()
    try:
        while True:
            websocket.send("tick")
    except ConnectionClosed as error:
        journal.append(f"ended {error.code}")


@require_websocket
def busy(request: SocketRequest) -> None:
    """Doesn't look at the socket until it is told to."""
    websocket = request.websocket
    websocket.accept()
    journal.append("accepted")
    event(request.GET["until"]).wait()
    journal.append(f"closed {websocket.closed} {websocket.close_code}")


def _count_turns(request: SocketRequest, work: Callable[[], None]) -> None:
    """Tell the client how often another greenlet had its turn during ``work``."""
    turns = 0

    def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            eventlet.sleep(0)

    other = eventlet.spawn(take_turns)
    eventlet.sleep(0)
    turns = 0
    work()
    counted = turns
    other.kill()
    request.websocket.send(f"turns {counted}")


@require_websocket
def takes_many(request: SocketRequest) -> None:
    """Takes messages that have all arrived."""

    def work() -> None:
        for _ in range(2000):
            request.websocket.wait()

    request.websocket.accept()
    _count_turns(request, work)


@require_websocket
def reads_many(request: SocketRequest) -> None:
    """The same, without waiting."""

    def work() -> None:
        for _ in range(2000):
            request.websocket.read()

    request.websocket.accept()
    _count_turns(request, work)


@require_websocket
def sends_many(request: SocketRequest) -> None:
    """Sends no more than the kernel takes at once."""

    def work() -> None:
        for _ in range(2000):
            request.websocket.send("x")

    request.websocket.accept()
    _count_turns(request, work)


@require_websocket
def floods(request: SocketRequest) -> None:
    """Answers each message without ever waiting for one: the queue never runs dry."""
    for message in request.websocket:
        request.websocket.send(message)
        progress["flooded"] = progress.get("flooded", 0) + 1


def flooded(request: HttpRequest) -> JsonResponse:
    return JsonResponse(progress.get("flooded", 0), safe=False)


VIEWS = (
    "busy",
    "closes_later",
    "flooded",
    "floods",
    "reads_many",
    "sends",
    "sends_many",
    "sends_slowly",
    "takes_later",
    "takes_later_one",
    "takes_many",
    "waits",
)
