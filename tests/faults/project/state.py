"""What goes on in the served process, for the test to see."""

from __future__ import annotations

import ctypes
import gc
import os
from collections import Counter
from typing import Any

import greenlet
from django.http import HttpRequest, JsonResponse

from django_websocket.serving.patch import eventlet
from django_websocket.serving.process.server import Server
from django_websocket.sessions import session_watch
from tests.faults.machine import Stopwatch

__all__ = ["beat", "state"]

#: What views have to tell, oldest first.
told: list[str] = []

servers: list[Server] = []

_gaps: list[float] = []

checks = Counter[str]()


def _trim_heap() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def state(request: HttpRequest) -> JsonResponse:
    """Counts of all that could leak. ``?gc`` collects garbage first, ``?forget`` drops what was told.

    With ``?gc`` memory that is free also goes back to the system: what the C library keeps of it after the largest
    moment so far is no leak, but would look like one.
    """
    if "gc" in request.GET:
        gc.collect()
        _trim_heap()
    if "forget" in request.GET:
        told.clear()
    hub = eventlet.hubs.get_hub()
    return JsonResponse(
        {
            "told": told,
            "connections": servers[0].connections,
            "websockets": len(servers[0].websockets),
            "fds": len(os.listdir("/proc/self/fd")),
            "greenlets": sum(1 for each in gc.get_objects() if isinstance(each, greenlet.greenlet) and not each.dead),
            "listeners": len(hub.listeners["read"]) + len(hub.listeners["write"]),
            "timers": sum(not timer.called for _, timer in (*hub.timers, *hub.next_timers)),
            "answered": sum(websocket.latency is not None for websocket in servers[0].websockets),
            "watched": len(session_watch),
            "checks": checks["begun"],
            "checked": checks["done"],
            "rss": resident_bytes(),
        }
    )


def count_checks() -> None:
    """Count how often the sessions of open websockets are looked at, and how often that comes to its end."""
    check = session_watch.check

    def counting() -> None:
        checks["begun"] += 1
        check()
        checks["done"] += 1

    session_watch.check = counting  # type: ignore[method-assign]  # of the one object


def start_beat(seconds: float) -> None:
    """Note how late a timer of ``seconds`` is, each time."""
    hub = eventlet.hubs.get_hub()
    watch = Stopwatch()

    def tick() -> None:
        nonlocal watch
        _gaps.append(watch.seconds())
        watch = Stopwatch()
        hub.schedule_call_global(seconds, tick)

    hub.schedule_call_global(seconds, tick)


def beat(request: HttpRequest) -> JsonResponse:
    """The gaps between the beats since the last look, in seconds."""
    gaps: list[Any] = list(_gaps)
    _gaps.clear()
    return JsonResponse({"gaps": gaps})
