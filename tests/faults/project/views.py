"""Views that behave, and views that are busy."""

from __future__ import annotations

import threading
import time

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from django_websocket import ConnectionClosed, Group, require_websocket
from django_websocket.request import WebSocketRequest
from django_websocket.serving.patch import eventlet

from .state import servers, told

__all__ = [
    "block",
    "busy",
    "close_by_itself",
    "echo",
    "endless",
    "finishing",
    "hello",
    "idle",
    "impatient",
    "latency",
    "push",
    "room",
    "size",
    "slow_response",
    "witness",
]


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def slow_response(request: HttpRequest) -> HttpResponse:
    """Takes ``?seconds``; without them, until the server stops, and a little longer."""
    if "seconds" in request.GET:
        time.sleep(float(request.GET["seconds"]))
    else:
        while not servers[0].stopping:
            time.sleep(0.01)
        time.sleep(0.5)
    return HttpResponse("done")


def block(request: HttpRequest) -> HttpResponse:
    """Holds up the whole process for ``?seconds``."""
    eventlet.patcher.original("time").sleep(float(request.GET["seconds"]))
    return HttpResponse("done")


@csrf_exempt
def size(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


@require_websocket
def room(request: WebSocketRequest) -> None:
    """Sends what its client says to all members of ``?group``."""
    assert request.websocket is not None
    group = Group(request.GET["group"])
    request.websocket.join(group)
    for message in request.websocket:
        group.send(message)


@require_websocket
def echo(request: WebSocketRequest) -> None:
    assert request.websocket is not None
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def witness(request: WebSocketRequest) -> None:
    """Tells that its ``finally`` ran, and with what close code."""
    websocket = request.websocket
    assert websocket is not None
    try:
        for message in websocket:
            websocket.send(message)
        told.append(f"{request.GET.get('name')}: None")
    finally:
        told.append(f"{request.GET.get('name')}: finally {websocket.close_code}")


@require_websocket
def latency(request: WebSocketRequest) -> None:
    """Each message is answered by the latency of a ping."""
    websocket = request.websocket
    assert websocket is not None
    for _ in websocket:
        websocket.ping()
        while websocket.latency is None:
            websocket.wait(0.01) if websocket.has_messages() else time.sleep(0.01)
        websocket.send(f"{websocket.latency:.6f}")


@require_websocket
def impatient(request: WebSocketRequest) -> None:
    """Waits for ``?seconds`` and sends what it got, or "TimeoutError"."""
    websocket = request.websocket
    assert websocket is not None
    websocket.send("waiting")
    try:
        message = websocket.wait(float(request.GET["seconds"]))
    except TimeoutError:
        message = "TimeoutError"
    websocket.send(message)


_is_idle = threading.Event()


def idle(request: HttpRequest) -> HttpResponse:
    """Let :func:`busy` views go on."""
    _is_idle.set()
    return HttpResponse("idle")


@require_websocket
def busy(request: WebSocketRequest) -> None:
    """Does something else for ``?seconds``, or until ``/idle/`` is asked for; then counts the bytes that came."""
    websocket = request.websocket
    assert websocket is not None
    websocket.accept()
    _is_idle.wait(float(request.GET["seconds"]) if "seconds" in request.GET else None)
    total = 0
    for message in websocket:
        if message == "count":
            break
        total += len(message)
    websocket.send(str(total))


@require_websocket
def push(request: WebSocketRequest) -> None:
    """Sends until the client is gone, and tells when and how that was."""
    websocket = request.websocket
    assert websocket is not None
    websocket.accept()
    payload = b"x" * int(request.GET.get("size", "65536"))
    start = last = time.monotonic()
    try:
        while True:
            last = time.monotonic()
            websocket.send(payload)
    except ConnectionClosed as error:
        now = time.monotonic()
        told.append(f"push: {error.code} blocked {now - last:.3f} of {now - start:.3f}")
        raise


@require_websocket
def close_by_itself(request: WebSocketRequest) -> None:
    assert request.websocket is not None
    request.websocket.close(4000, "enough")


@require_websocket
def endless(request: WebSocketRequest) -> None:
    """Doesn't look at its socket, and ignores that it is to end."""
    assert request.websocket is not None
    request.websocket.accept()
    while True:
        try:
            while True:
                time.sleep(3600)
        except BaseException:
            told.append("endless: ignored")


@require_websocket
def finishing(request: WebSocketRequest) -> None:
    """Needs a while at its end, once its client is gone."""
    websocket = request.websocket
    assert websocket is not None
    while websocket.wait() is not None:
        pass
    eventlet.sleep(float(request.GET["seconds"]))
    print("finishing: done", flush=True)
