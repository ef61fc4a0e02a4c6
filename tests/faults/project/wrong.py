"""Views that go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from django_websocket import ConcurrencyError, ConnectionClosed, accept_websocket, require_websocket
from django_websocket.request import WebSocketRequest
from django_websocket.serving.patch import eventlet

from .state import told

__all__ = [
    "closes_twice",
    "ends",
    "ends_early",
    "ends_in_greenlet",
    "ends_in_http",
    "leaves_greenlet",
    "raises",
    "raises_early",
    "rubbish",
    "rubbish_early",
    "sends_after_close",
    "sends_from_many",
    "swallows",
    "swallows_in_greenlet",
    "waits_in_two",
]


@require_websocket
def raises_early(request: HttpRequest) -> None:
    raise ValueError("on purpose, early")


@require_websocket
def raises(request: WebSocketRequest) -> None:
    assert request.websocket is not None
    request.websocket.wait()
    raise ValueError("on purpose, late")


ENDS = {kind.__name__: kind for kind in (SystemExit, KeyboardInterrupt, eventlet.greenlet.GreenletExit)}


@require_websocket
def ends_early(request: HttpRequest) -> None:
    raise ENDS[request.GET["kind"]]("on purpose, early")


@require_websocket
def ends(request: WebSocketRequest) -> None:
    assert request.websocket is not None
    request.websocket.wait()
    raise ENDS[request.GET["kind"]]("on purpose, late")


def ends_in_http(request: HttpRequest) -> Any:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        raise ENDS[request.GET["kind"]]("on purpose, late")

    if "streamed" in request.GET:
        return StreamingHttpResponse(pieces())
    raise ENDS[request.GET["kind"]]("on purpose")


def ends_in_greenlet(request: HttpRequest) -> HttpResponse:
    """Raises in greenlets whose parent is the hub, and in the hub itself."""
    kind = ENDS[request.GET["kind"]]
    hub = eventlet.hubs.get_hub()

    def end() -> None:
        raise kind("on purpose, in a greenlet")

    hub.schedule_call_global(0, end)
    eventlet.spawn(end)
    eventlet.spawn_n(end)
    eventlet.sleep(0.1)
    return HttpResponse("alive")


@accept_websocket
def rubbish_early(request: HttpRequest) -> Any:
    return ["rubbish"]


@require_websocket
def rubbish(request: WebSocketRequest) -> Any:
    assert request.websocket is not None
    request.websocket.wait()
    return HttpResponse("rubbish") if request.GET.get("response") else ["rubbish"]


@require_websocket
def closes_twice(request: WebSocketRequest) -> None:
    websocket = request.websocket
    assert websocket is not None
    websocket.wait()
    websocket.close(4001, "first")
    websocket.close(4002, "second")
    told.append(f"closes_twice: {websocket.close_code}")


@require_websocket
def sends_after_close(request: WebSocketRequest) -> None:
    websocket = request.websocket
    assert websocket is not None
    websocket.wait()
    websocket.close(4001)
    try:
        websocket.send("too late")
    except ConnectionClosed as error:
        told.append(f"sends_after_close: {error.sent_code}")
    told.append(f"sends_after_close: {websocket.wait()!r}")
    websocket.send("still too late")


@require_websocket
def leaves_greenlet(request: WebSocketRequest) -> None:
    websocket = request.websocket
    assert websocket is not None
    websocket.wait()

    def linger() -> None:
        eventlet.sleep(0.2)
        try:
            websocket.send("from beyond")
        except ConnectionClosed:
            told.append("leaves_greenlet: ConnectionClosed")
        told.append(f"leaves_greenlet: {websocket.wait()!r}")

    eventlet.spawn(linger)


@require_websocket
def sends_from_many(request: WebSocketRequest) -> None:
    """Sixteen greenlets send at once more than the socket takes."""
    websocket = request.websocket
    assert websocket is not None
    websocket.wait()

    def send(letter: str) -> None:
        for _ in range(20):
            websocket.send(letter * 100_000)

    greenlets = [eventlet.spawn(send, chr(ord("a") + number)) for number in range(16)]
    for each in greenlets:
        each.wait()


@require_websocket
def swallows(request: WebSocketRequest) -> None:
    """Goes on for ever, whatever is raised; ``?use`` is what it does."""
    websocket = request.websocket
    assert websocket is not None
    list(ContentType.objects.all()[:1])
    websocket.send("begun")
    use: Callable[[], object] = websocket.wait if request.GET["use"] == "wait" else lambda: websocket.send("x" * 1000)
    while True:
        try:
            use()
        except BaseException:
            pass


@require_websocket
def swallows_in_greenlet(request: WebSocketRequest) -> None:
    websocket = request.websocket
    assert websocket is not None
    websocket.send("begun")

    def loop() -> None:
        while True:
            try:
                websocket.wait()
            except Exception:
                pass

    eventlet.spawn(loop)
    while not websocket.closed:
        eventlet.sleep(0.01)


@require_websocket
def waits_in_two(request: WebSocketRequest) -> None:
    websocket = request.websocket
    assert websocket is not None
    websocket.accept()

    def wait() -> None:
        try:
            websocket.wait()
        except ConcurrencyError as error:
            told.append(f"waits_in_two: {error}")

    second = eventlet.spawn_after(0.05, wait)
    message = websocket.wait()
    second.wait()
    assert message is not None
    websocket.send(message)
