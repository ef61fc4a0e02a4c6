"""Views whose clients are members of groups."""

from __future__ import annotations

import json
import time
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_websocket import Group, require_websocket, wait_any
from django_websocket.groups.receivers import receivers
from tests.site.views import groups


@require_websocket
def member(request: Any) -> None:
    """Joins the groups of ``?group=``, and does what the client says."""
    websocket = request.websocket
    room = Group(request.GET.getlist("group")[0])
    info = json.loads(request.GET["info"]) if "info" in request.GET else None
    for name in request.GET.getlist("group"):
        websocket.join(name, info=info)
    for message in websocket:
        command, _, rest = message.partition(" ")
        match command:
            case "join":
                websocket.join(Group(rest))
            case "leave":
                websocket.leave(rest)
            case "others":
                room.send(rest, exclude=websocket)
            case "all":
                room.send(rest)
            case "answer":
                room.send(f"before {rest}")
                websocket.send(rest)
                room.send(f"after {rest}")
            case "close":
                room.send("the last")
                websocket.close(4000, "closed")
            case "groups":
                websocket.send_json(websocket.groups)
            case "flood":
                queued = []
                for _ in range(50):
                    room.send("x" * 1000)
                    queued.append(receivers.fan_out.queued_bytes)
                websocket.send_json(queued)
            case "sleep":
                time.sleep(60)  # on the test's clock
            case "fail":
                raise ValueError("on purpose")
            case "end":
                break


@require_websocket
def joins_late(request: Any) -> None:
    """Joins a closed websocket to a group."""
    request.websocket.accept()
    request.websocket.wait()
    request.websocket.join("room")


@require_websocket
def joins_wrongly(request: Any) -> HttpResponse | None:
    try:
        request.websocket.join(request.GET["group"], info=json.loads(request.GET.get("info", "null")))
    except (TypeError, ValueError) as error:
        if not request.websocket.accepted:
            return HttpResponse(str(error), status=403)
        request.websocket.send(str(error))
    return None


def sends(request: HttpRequest) -> HttpResponse:
    """A plain request that sends ``?message=`` to ``?group=``."""
    Group(request.GET["group"]).send(request.GET["message"], on_commit="on_commit" in request.GET)
    return HttpResponse()


@require_websocket
def waits(request: Any) -> None:
    """Waits for two subscriptions, ten seconds each time, and tells what came."""
    websocket = request.websocket
    with Group("a").subscribe() as a, Group("b").subscribe() as b:
        sources = {websocket: "client", a: "a", b: "b"}
        websocket.send("ready")
        while True:
            try:
                source, message = wait_any(*sources, timeout=10)
            except TimeoutError as error:
                websocket.send(str(error))
                continue
            if message is None:
                break
            if message == "only groups":
                source, message = wait_any(a, b, timeout=20)
            elif message == "one group":
                source, message = a, a.wait(5)
            websocket.send(f"{sources[source]}: {message}")


VIEWS: dict[str, Any] = {
    "member": member,
    "joins-late": joins_late,
    "joins-wrongly": joins_wrongly,
    "sends": sends,
    "room": groups.room,
    "listener": groups.listener,
    "waits": waits,
    "stream": groups.stream,
}

urlpatterns = [path(f"{name}/", view) for name, view in VIEWS.items()]
