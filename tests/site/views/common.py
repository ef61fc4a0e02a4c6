"""What every test module asks the served process for."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from contextvars import Context
from typing import Any

import greenlet
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.core.handlers.wsgi import WSGIRequest
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

from django_websocket import WebSocket, WebSocketRequest, require_websocket
from django_websocket.database import ConnectionLoan
from django_websocket.driver import Driver
from django_websocket.handover import Handover
from django_websocket.opening import Opening
from django_websocket.protocol.connection import Connection
from django_websocket.serving.patch import eventlet
from django_websocket.serving.sockets.channel import EventletChannel
from django_websocket.sessions import session_watch

from .. import running_server
from ..journal import journal


class SocketRequest(WebSocketRequest):
    """A request that is known to be a websocket."""

    websocket: WebSocket


events: dict[str, Any] = {}
found: Counter[str] = Counter()
opened: list[Any] = []  # database connections; kept here so that one nobody closes doesn't end with its last reference


def event(name: str) -> Any:
    """Something that a view waits for and an HTTP request lets happen."""
    return events.setdefault(name, eventlet.Event())


def release(request: HttpRequest) -> HttpResponse:
    event(request.GET["name"]).send()
    return HttpResponse("released")


@login_not_required
@never_cache
def journal_view(request: HttpRequest) -> JsonResponse:
    """What happened since the last time that somebody asked."""
    entries = journal.copy()
    journal.clear()
    return JsonResponse(entries, safe=False)


def stats(request: HttpRequest) -> JsonResponse:
    """What the process holds. One collection of garbage takes the cycles of tracebacks away."""
    gc.collect()
    hub = eventlet.hubs.get_hub()
    server = running_server.server
    assert server is not None
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return JsonResponse(
        {
            "greenlets": sum(type(one) is greenlet.greenlet and not one.dead for one in gc.get_objects()),
            "fds": len(os.listdir("/proc/self/fd")),
            "listeners": len(hub.listeners["read"]) + len(hub.listeners["write"]),
            "timers": sum(not timer.called for _, timer in [*hub.timers, *hub.next_timers]),
            "connections": server.connections,
            "websockets": len(server.websockets),
            "watched sessions": len(session_watch),
            "database connections": sum(one.connection is not None for one in opened),
            "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        }
    )


def garbage(request: HttpRequest) -> JsonResponse:
    """What of ended websockets only the collector has found so far; from the first call on it runs only here."""
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    for one in gc.garbage:
        if type(one) is WSGIRequest and "websocket" in one.__dict__:
            found["handshake"] += 1
        elif type(one) in (Connection, ConnectionLoan, Context, Driver, EventletChannel, Handover, Opening, WebSocket):
            found[type(one).__name__] += 1
    gc.garbage.clear()
    assert running_server.server is not None
    return JsonResponse({"open": len(running_server.server.websockets), "found": found})


def _note_opened(connection: Any, **kwargs: Any) -> None:
    opened[:] = [one for one in opened if one.connection is not None]
    if connection not in opened:
        opened.append(connection)


connection_created.connect(_note_opened)


def groups(request: HttpRequest) -> JsonResponse:
    """The names of all groups that are committed."""
    return JsonResponse(sorted(Group.objects.values_list("name", flat=True)), safe=False)


def log_in(request: HttpRequest) -> HttpResponse:
    user, _ = get_user_model().objects.get_or_create(username="someone")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("logged in")


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@require_websocket
def echo(request: SocketRequest) -> None:
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def echo_to_user(request: SocketRequest) -> None:
    """Answers with the user; fails on a message that it doesn't know."""
    for message in request.websocket:
        request.websocket.send(f"{request.user} {list(get_messages(request))}")
        if message != "who":
            raise ValueError("on purpose")


def spin(request: HttpRequest) -> HttpResponse:
    """Blocks the process."""
    end = time.monotonic() + float(request.GET["seconds"])
    while time.monotonic() < end:
        pass
    return HttpResponse("done")


VIEWS = ("echo", "echo_to_user", "garbage", "groups", "journal_view", "log_in", "plain", "release", "spin", "stats")
