"""Views of the served project that meet locks, and block."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from contextvars import ContextVar
from typing import Any

from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_websocket import require_websocket
from django_websocket.blocking import in_thread, to_thread

variable: ContextVar[str] = ContextVar("variable", default="unset")
logger = logging.getLogger(__name__)


@require_websocket
def echo(request: Any) -> Any:
    for message in request.websocket:
        request.websocket.send(message)


def write(request: HttpRequest) -> HttpResponse:
    """Write in a transaction that takes its time, and say how long it took."""
    began = time.monotonic()
    try:
        with transaction.atomic():
            Group.objects.create(name=request.GET["name"])
            time.sleep(0.05)
    except OperationalError as error:
        return HttpResponse(json.dumps([str(error), time.monotonic() - began]), status=503)
    return HttpResponse(json.dumps(["written", time.monotonic() - began]))


def session(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


def names(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(list(Group.objects.order_by("name").values_list("name", flat=True))))


def block(seconds: float) -> str:
    """Block in C: SQLite counts until it is interrupted."""
    database = sqlite3.connect(":memory:")
    end = time.monotonic() + seconds
    database.set_progress_handler(lambda: time.monotonic() > end, 1000)
    try:
        database.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    except sqlite3.OperationalError:
        pass
    finally:
        database.close()
    return hashlib.sha256(b"").hexdigest()


def blocking(request: HttpRequest) -> HttpResponse:
    """Block for ``seconds`` in a native thread, and use the ORM and a log there."""
    number = request.GET["number"]
    variable.set(number)

    @in_thread
    def work(*, seconds: float) -> tuple[str, str, bool]:
        logger.warning("blocking %s", number)
        Group.objects.create(name=f"thread {number}")
        found = Group.objects.filter(name=f"thread {number}").count()
        block(seconds)
        variable.set("changed")
        return number, variable.get(), found == 1

    own = connection.connection
    answer = work(seconds=float(request.GET["seconds"]))
    assert connection.connection is own
    return HttpResponse(json.dumps([*answer, variable.get()]))


def failing(request: HttpRequest) -> HttpResponse:
    """What leaves the function, whatever it is, is raised here."""
    import eventlet
    import greenlet

    outcomes = []
    for error in (ValueError("x"), SystemExit(3), KeyboardInterrupt(), greenlet.GreenletExit(), GeneratorExit()):

        def fail() -> None:
            raise error  # noqa: B023  called at once

        try:
            to_thread(fail)
        except BaseException as raised:
            outcomes.append(raised is error)
    outcomes.append(to_thread(lambda: (1, ValueError(), 2))[0] == 1)
    outcomes.append(to_thread(lambda: to_thread(threading.get_native_id) == threading.get_native_id()))
    outcomes.append(to_thread(threading.get_native_id) != threading.get_native_id())
    try:
        with eventlet.Timeout(0.05):
            to_thread(block, 5)
    except eventlet.Timeout:
        outcomes.append(True)
    return HttpResponse(json.dumps(outcomes))


def stuck(request: HttpRequest) -> HttpResponse:
    to_thread(block, 3600)
    raise AssertionError("an hour is over")


urlpatterns = [
    path("echo/", echo),
    path("write/", write),
    path("session/", session),
    path("names/", names),
    path("blocking/", blocking),
    path("failing/", failing),
    path("stuck/", stuck),
]
