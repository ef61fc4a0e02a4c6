"""Views of groups, for what needs real sockets."""

from __future__ import annotations

import os
import time

from django.http import HttpRequest, HttpResponse, JsonResponse

from django_websocket import Group, require_websocket
from django_websocket.blocking import to_thread

from ..journal import journal
from .common import SocketRequest


@require_websocket
def member(request: SocketRequest) -> None:
    """Joins ``?group=``; what the client says goes to all. Notes how it ends, and whenever it is woken."""
    websocket = request.websocket
    websocket.join(request.GET["group"])
    for message in websocket:
        journal.append(f"woken by {message!r}")
        Group(request.GET["group"]).send(message)
    journal.append(f"member closed {websocket.close_code}")


@require_websocket
def joins_in_a_thread(request: SocketRequest) -> None:
    websocket = request.websocket
    websocket.accept()
    to_thread(websocket.join, "room")
    websocket.send("joined")
    websocket.wait()
    to_thread(websocket.leave, "room")
    websocket.send(str(Group("room").count()))


def _send(request: HttpRequest) -> None:
    """``?times=`` messages of ``?size=`` bytes, which begin with their number."""
    group = Group(request.GET["group"])
    padding = "x" * (int(request.GET["size"]) - 8)
    for number in range(int(request.GET["times"])):
        group.send(f"{number:8}{padding}")


def sends(request: HttpRequest) -> HttpResponse:
    began = time.thread_time()
    _send(request)
    return JsonResponse({"seconds": time.thread_time() - began})


def sends_in_a_thread(request: HttpRequest) -> HttpResponse:
    to_thread(_send, request)
    return HttpResponse()


def sends_in_a_fork(request: HttpRequest) -> HttpResponse:
    """Tells how many members the child of a fork has."""
    group = Group(request.GET["group"])
    pid = os.fork()
    if pid == 0:
        group.send("from the child")
        os._exit(group.count())
    _, status = os.waitpid(pid, 0)
    group.send("from the parent")
    return JsonResponse(os.waitstatus_to_exitcode(status), safe=False)


def count(request: HttpRequest) -> JsonResponse:
    return JsonResponse(Group(request.GET["group"]).count(), safe=False)


VIEWS = ("count", "joins_in_a_thread", "member", "sends", "sends_in_a_fork", "sends_in_a_thread")
