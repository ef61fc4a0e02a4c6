"""Websocket views as users write them, and the ways in which they go wrong."""

from __future__ import annotations

import json
import queue
import time
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user, login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils import timezone

from django_websocket import WebSocket, accept_websocket, require_websocket

people: set[WebSocket] = set()


@require_websocket
def echo(request: Any) -> None:
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def chat(request: Any) -> None:
    """Sends what one says to everybody else."""
    websocket = request.websocket
    websocket.accept()
    name = get_user(request).get_username() or "somebody"
    people.add(websocket)
    try:
        for message in websocket:
            for other in people - {websocket}:
                other.send(f"{name}: {message}" if isinstance(message, str) else message)
    finally:
        people.discard(websocket)


@require_websocket
def handshake(request: Any) -> None:
    """Tells what the request was."""
    websocket = request.websocket
    websocket.accept(subprotocol=request.GET.get("subprotocol"), headers={"X-From-View": "yes"})
    websocket.send_json(
        {
            "headers": dict(request.headers),
            "cookies": request.COOKIES,
            "query": request.GET.dict(),
            "secure": request.is_secure(),
            "peer": request.META["REMOTE_ADDR"],
        }
    )


@require_websocket
def remembers(request: Any) -> None:
    request.session["visits"] = request.session.get("visits", 0) + 1
    request.websocket.send_json(request.session["visits"])


@require_websocket
def closes(request: Any) -> None:
    request.websocket.send("bye")
    request.websocket.close(4000, "enough")


@require_websocket
def reports_the_end(request: Any) -> None:
    websocket = request.websocket
    try:
        while websocket.wait() is not None:
            pass
    finally:
        endings.append((websocket.close_code, websocket.close_reason))


endings: list[tuple[int | None, str]] = []


@require_websocket
def large(request: Any) -> None:
    """Sends as many bytes as the client says, and says how many it got."""
    for message in request.websocket:
        assert message is not None
        request.websocket.send("x" * int(message) if isinstance(message, str) else str(len(message)))


@require_websocket
def flood(request: Any) -> None:
    for number in range(int(request.GET["count"])):
        request.websocket.send(str(number))


# Refusals


@accept_websocket
def returns(request: Any) -> HttpResponse:
    return HttpResponse("a page")


def plain(request: Any) -> HttpResponse:
    return HttpResponse("a page")


@require_websocket
def forbids(request: Any) -> HttpResponse:
    return HttpResponse("not you", status=403)


@require_websocket
def needs_to_agree(request: Any) -> Any:
    return redirect("/terms/")


@login_required  # type: ignore[type-var]  # the stubs want a response of every view
@require_websocket
def needs_a_user(request: Any) -> None:
    request.websocket.send("welcome")


@require_websocket
def misses_a_row(request: Any) -> None:
    get_object_or_404(Group, name="missing")


# Faults


@require_websocket
def raises_before(request: Any) -> None:
    raise ValueError("before the accept")


@require_websocket
def raises_after(request: Any) -> None:
    message = request.websocket.wait()
    raise ValueError(f"after {message}")


@require_websocket
def loops_before(request: Any) -> None:
    while True:
        pass


@require_websocket
def loops_after(request: Any) -> None:
    request.websocket.wait()
    while True:
        pass


@require_websocket
def blocks_before(request: Any) -> None:
    queue.SimpleQueue[None]().get()


@require_websocket
def blocks_after(request: Any) -> None:
    request.websocket.wait()
    queue.Queue[None]().get()


@require_websocket
def never_gives_up(request: Any) -> None:
    while True:
        try:
            request.websocket.wait()
            while True:
                pass
        except BaseException:
            pass


@require_websocket
def polls(request: Any) -> None:
    websocket = request.websocket
    while not websocket.closed:
        if websocket.has_messages():
            websocket.send(websocket.read())


# Time


@require_websocket
def ticks(request: Any) -> None:
    request.websocket.accept()
    while True:
        time.sleep(1)
        request.websocket.send("tick")


@require_websocket
def times_out(request: Any) -> None:
    try:
        request.websocket.wait(timeout=30)
    except TimeoutError:
        request.websocket.send("late")


@require_websocket
def sleeps_first(request: Any) -> None:
    time.sleep(3600)
    request.websocket.send("awake")


@require_websocket
def dates(request: Any) -> None:
    """Sends the date, and again after an hour."""
    while True:
        request.websocket.send(timezone.now().isoformat())
        time.sleep(3600)


# The database


@require_websocket
def names(request: Any) -> None:
    """Adds the name that it receives, and sends all."""
    for name in request.websocket:
        Group.objects.create(name=name)
        request.websocket.send_json(sorted(Group.objects.values_list("name", flat=True)))


@require_websocket
def hooks(request: Any) -> None:
    for name in request.websocket:
        with transaction.atomic():
            transaction.on_commit(partial(request.websocket.send, f"committed {name}"))


@require_websocket
def depth(request: Any) -> None:
    before = len(connection.atomic_blocks)
    request.websocket.accept()
    request.websocket.send_json([before, len(connection.atomic_blocks)])


@require_websocket
def accepts_in_a_block(request: Any) -> None:
    with transaction.atomic():
        request.websocket.accept()


@require_websocket
def logs_in(request: Any) -> None:
    login(request, User.objects.get())
    request.websocket.wait()


@require_websocket
def waits(request: Any) -> None:
    assert get_user(request).is_authenticated
    request.websocket.wait()


def log_out(request: Any) -> HttpResponse:
    logout(request)
    return HttpResponse("bye")


@require_websocket
def speaks_json(request: Any) -> None:
    while (message := request.websocket.wait_json()) is not None:
        request.websocket.send(json.dumps({"you said": message}))


@require_websocket
def setting(request: Any) -> None:
    """Sends a setting, or the names of the installed apps."""
    name = request.GET["name"]
    names = [config.name for config in apps.get_app_configs()]
    request.websocket.send(str(names if name == "apps" else getattr(settings, name, None)))


VIEWS = [
    *(echo, chat, handshake, remembers, closes, reports_the_end, large, flood, returns, plain, forbids, needs_a_user),
    needs_to_agree,
    *(misses_a_row, raises_before, raises_after, loops_before, loops_after, blocks_before, blocks_after),
    *(
        never_gives_up,
        polls,
        ticks,
        dates,
        times_out,
        sleeps_first,
        names,
        hooks,
        depth,
        accepts_in_a_block,
        logs_in,
        waits,
    ),
    *(log_out, speaks_json, setting),
]
urlpatterns = [path(f"{view.__name__}/", view) for view in VIEWS]
