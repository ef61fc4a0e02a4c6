"""Views of groups, for what needs real sockets."""

from __future__ import annotations

import json
import os
import time

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from django_websocket import CloseCode, Group, GroupsUnavailable, Notice, require_websocket, wait_any
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


@require_websocket
def room(request: SocketRequest) -> None:
    """Joins ``?group=`` ``since`` a position, with an ``info``; tells what the join returned, and sends what comes."""
    websocket, group = request.websocket, Group(request.GET["group"])
    info = request.GET.get("info")
    try:
        joined = websocket.join(group, since=request.GET.get("since"), info=info and json.loads(info))
    except GroupsUnavailable:
        websocket.close(CloseCode.TRY_AGAIN_LATER)
        return
    websocket.send_json({"joined": joined.complete, "position": joined.position})
    for message in websocket:
        group.send(message, exclude=websocket if str(message).startswith("others") else None)


@require_websocket
def listener(request: SocketRequest) -> None:
    """Answers its client, and tells it what is said in ``?group=``, with the notices."""
    websocket = request.websocket
    with Group(request.GET["group"]).subscribe(presence=True) as subscription:
        websocket.send("ready")
        while True:
            source, message = wait_any(websocket, subscription)
            if message is None:
                break
            if source is websocket:
                websocket.send(f"client: {message}")
            elif isinstance(message, Notice):
                websocket.send(f"{'joined' if message.joined else 'left'}: {json.dumps(message.info)}")
            else:
                websocket.send(f"group: {message}")
    journal.append("listener ended")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return Group(request.GET["group"]).event_stream(request, heartbeat=float(request.GET.get("heartbeat", 15)))


def members(request: HttpRequest) -> JsonResponse:
    return JsonResponse(Group(request.GET["group"]).members(), safe=False)


def says(request: HttpRequest) -> HttpResponse:
    """Sends ``?message=``, or says why not."""
    try:
        Group(request.GET["group"]).send(request.GET["message"])
    except GroupsUnavailable as error:
        return HttpResponse(str(error), status=503)
    return HttpResponse("sent")


def closes(request: HttpRequest) -> HttpResponse:
    Group(request.GET["group"]).close(4000, "closed")
    return HttpResponse()


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


VIEWS = (
    "closes",
    "count",
    "joins_in_a_thread",
    "listener",
    "member",
    "members",
    "room",
    "says",
    "sends",
    "sends_in_a_fork",
    "sends_in_a_thread",
    "stream",
)
