"""Views for tests of what views do with a websocket."""

from __future__ import annotations

import datetime
import decimal
import time
import uuid
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext_lazy

from django_websocket import ConcurrencyError, ConnectionClosed, WebSocket, require_websocket
from django_websocket.serving.patch import eventlet

from ..journal import journal
from .common import SocketRequest, event


@require_websocket
def times_out(request: SocketRequest) -> None:
    """Waits for a little while, for no while at all, and then for as long as it takes."""
    began = time.monotonic()
    for timeout in (0.05, 0, -1):
        try:
            request.websocket.wait(timeout=timeout)
        except TimeoutError:
            pass
        else:
            raise AssertionError("nothing was sent yet")
    took = time.monotonic() - began
    request.websocket.send("late" if took < 0.05 or took > 5 else "timed out")
    request.websocket.send(request.websocket.wait(timeout=60))
    request.websocket.send(request.websocket.wait())


@require_websocket
def looks_later(request: SocketRequest) -> None:
    """Sleeps until it is told to look at what has arrived."""
    websocket = request.websocket
    websocket.accept()
    event(request.GET["until"]).wait()
    before = (websocket.count_messages(), websocket.has_messages())
    read = websocket.read("nothing")
    after = (websocket.count_messages(), websocket.has_messages())
    rest = []
    while (message := websocket.read()) is not None:
        rest.append(message)
    websocket.send_json(
        {
            "before": before,
            "read": read,
            "after": after,
            "rest": rest,
            "at last": (websocket.read("nothing"), websocket.count_messages(), websocket.has_messages()),
        }
    )


@require_websocket
def polls(request: SocketRequest) -> None:
    """Never waits, and never sleeps either."""
    websocket = request.websocket
    how = request.GET["how"]
    while not websocket.closed:
        if how == "read":
            message = websocket.read()
        elif how == "has":
            message = websocket.wait() if websocket.has_messages() else None
        elif how == "count":
            message = websocket.wait() if websocket.count_messages() else None
        else:
            try:
                message = websocket.wait(timeout=0)
            except TimeoutError:
                message = None
        if message is not None:
            websocket.send(message)
    journal.append(f"closed {websocket.close_code}")


@require_websocket
def sends_all_kinds(request: SocketRequest) -> None:
    for message in (
        "text \u00e9",
        "",
        b"bytes",
        b"",
        bytearray(b"bytearray"),
        memoryview(b"memoryview")[::2],
        5,
        None,
        decimal.Decimal("1.50"),
        gettext_lazy("Monday"),
    ):
        request.websocket.send(message)


@require_websocket
def json_echo(request: SocketRequest) -> None:
    websocket = request.websocket
    websocket.send_json(
        {
            "date": datetime.date(2026, 2, 1),
            "uuid": uuid.UUID(int=1),
            "decimal": decimal.Decimal("1.50"),
            "lazy": gettext_lazy("Monday"),
        }
    )
    try:
        websocket.send_json(object())
    except TypeError:
        websocket.send("TypeError")
    while True:
        try:
            value = websocket.wait_json()
        except ValueError:
            websocket.send("ValueError")
            continue
        if value is None:
            break
        websocket.send_json(value)


@require_websocket
def closes(request: SocketRequest) -> None:
    """Closes as the query says, more than once, and then does what one can't do any more."""
    websocket = request.websocket
    websocket.accept()
    websocket.close(int(request.GET["code"]), request.GET["reason"])
    websocket.close(3000, "another")
    journal.append(f"{websocket.closed} {websocket.close_code} {websocket.close_reason}")
    try:
        websocket.send("too late")
    except ConnectionClosed as error:
        # The client may have answered by now.
        journal.append(f"send {error.code in (1006, error.sent_code)} {error.sent_code}")
    try:
        websocket.ping()
    except ConnectionClosed:
        journal.append("ping")
    journal.append(f"{websocket.wait()!r} {websocket.read('fallback')} {websocket.count_messages()}")


@require_websocket
def refuses_to_close(request: SocketRequest) -> None:
    for code, reason in ((1005, "x"), (1006, ""), (999, ""), (2999, ""), (5000, ""), (1000, "x" * 124), (1015, "")):
        try:
            request.websocket.close(code, reason)
        except ValueError:
            journal.append(str(code))
    request.websocket.send("still open")


@require_websocket
def sees_the_close(request: SocketRequest) -> None:
    websocket = request.websocket
    messages = list(websocket)
    journal.append(f"{messages} {websocket.closed} {websocket.close_code} {websocket.close_reason}")
    try:
        websocket.send("too late")
    except ConnectionClosed as error:
        journal.append(f"send {error.code} {error.reason} {error.sent_code}")
    websocket.close()
    journal.append(f"{websocket.wait()!r} {websocket.wait(timeout=1)!r} {websocket.close_code}")


@require_websocket
def answers_after_the_close(request: SocketRequest) -> None:
    """What the client sent before its close frame is still answered."""
    websocket = request.websocket
    websocket.accept()
    event(request.GET["until"]).wait()
    for message in websocket:
        websocket.send(message)


@require_websocket
def waits_on(request: SocketRequest) -> None:
    """A loop without an end of its own."""
    while True:
        request.websocket.wait()


@require_websocket
def waits_twice(request: SocketRequest) -> None:
    websocket = request.websocket
    websocket.accept()
    other = eventlet.spawn(websocket.wait)
    eventlet.sleep(0)
    try:
        websocket.wait()
    except ConcurrencyError as error:
        websocket.send(type(error).__name__)
    websocket.send(other.wait())
    websocket.send(websocket.wait())


@require_websocket
def polls_for_another(request: SocketRequest) -> None:
    """One greenlet waits while another one looks, and takes the input in by that."""
    websocket = request.websocket
    websocket.accept()
    other = eventlet.spawn(websocket.wait)
    eventlet.sleep(0)
    websocket.send("waiting")
    # Blocks the hub too, so that it is this greenlet that finds the input.
    driver: Any = websocket.driver
    eventlet.patcher.original("select").select([driver._channel._wire.fd], [], [], 60)
    websocket.has_messages()
    websocket.send(other.wait())


@require_websocket
def loses_a_waiter(request: SocketRequest) -> None:
    """A greenlet of its own fails with what it has received."""
    websocket = request.websocket
    websocket.accept()

    def fail() -> None:
        websocket.wait()
        raise ValueError("on purpose, in a greenlet of the view")

    other = eventlet.spawn(fail)
    eventlet.sleep(0)
    websocket.send("it waits")
    while not other.dead:
        eventlet.sleep(0.01)
    for message in websocket:
        websocket.send(message)


@require_websocket
def sends_from_two(request: SocketRequest) -> None:
    websocket = request.websocket
    websocket.accept()

    def send(letter: str) -> None:
        for number in range(100):
            websocket.send(f"{number:03}" + letter * (number * 977 % 70000))

    senders = [eventlet.spawn(send, letter) for letter in "ab"]
    for sender in senders:
        sender.wait()


held: dict[str, WebSocket] = {}


@require_websocket
def holds(request: SocketRequest) -> None:
    """Sends much, while :func:`buffered` can look at it."""
    websocket = request.websocket
    websocket.accept()
    assert websocket.buffered_amount == 0
    held["websocket"] = websocket
    try:
        websocket.send(b"x" * (16 * 1024 * 1024))
        journal.append(f"sent, {websocket.buffered_amount} left")
        websocket.wait()
    except ConnectionClosed as error:
        journal.append(f"ConnectionClosed {error.code}, {type(error.__cause__).__name__}")
    finally:
        del held["websocket"]


def buffered(request: HttpRequest) -> JsonResponse:
    return JsonResponse(held["websocket"].buffered_amount, safe=False)


@require_websocket
def pings(request: SocketRequest) -> None:
    websocket = request.websocket
    before = websocket.latency
    websocket.ping()
    websocket.wait()
    latency = websocket.latency
    websocket.send(f"{before is None and latency is not None and 0 <= latency < 60}")


@require_websocket
def represents(request: SocketRequest) -> None:
    states: list[Any] = [repr(request.websocket), request.websocket.closed, request.websocket.close_code]
    request.websocket.accept()
    states += [repr(request.websocket), request.websocket.closed, request.websocket.close_code]
    request.websocket.send_json(states)
    request.websocket.close()
    journal.append(repr(request.websocket))


VIEWS = (
    "answers_after_the_close",
    "buffered",
    "closes",
    "holds",
    "json_echo",
    "looks_later",
    "loses_a_waiter",
    "pings",
    "polls",
    "polls_for_another",
    "refuses_to_close",
    "represents",
    "sees_the_close",
    "sends_all_kinds",
    "sends_from_two",
    "times_out",
    "waits_on",
    "waits_twice",
)
