"""Views for tests of the opening handshake."""

from __future__ import annotations

import threading
import time
from typing import Any

import greenlet
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation

from django_websocket import ConnectionClosed, HandshakeAborted, accept_websocket, require_websocket
from django_websocket.serving.patch import eventlet

from ..journal import journal
from .common import SocketRequest, event


@require_websocket
def session(request: SocketRequest) -> None:
    request.session["visits"] = request.session.get("visits", 0) + 1
    request.websocket.accept()
    request.websocket.wait()


def visits(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.get("visits", 0)))


@require_websocket
def order(request: SocketRequest) -> None:
    journal.append("view")
    request.websocket.accept()
    journal.append("accepted")
    request.websocket.send("done")


@require_websocket  # type: ignore[type-var]  # the stubs know of no view that returns None
@login_required
def login_inside(request: SocketRequest) -> None:
    request.websocket.send(str(request.user))


@login_required  # type: ignore[type-var]  # as above
@require_websocket
def login_outside(request: SocketRequest) -> None:
    request.websocket.send(str(request.user))


def login_required_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("page")


login_required_page = login_required(login_required_page)


@require_websocket
def redirects(request: SocketRequest) -> HttpResponse:
    return redirect(request.GET["to"])


def _surroundings() -> dict[str, str]:
    try:
        only_here = reverse("only-here")
    except Exception as error:
        only_here = type(error).__name__
    return {
        "language": translation.get_language() or "",
        "zone": timezone.get_current_timezone_name(),
        "urlconf": only_here,
    }


@require_websocket
def surroundings(request: SocketRequest) -> None:
    before = _surroundings()
    time.sleep(0.001)
    request.websocket.send_json(before)
    for _ in request.websocket:
        time.sleep(0.001)
        request.websocket.send_json(_surroundings())


local = threading.local()


@require_websocket
def thread_locals(request: SocketRequest) -> None:
    seen = getattr(local, "value", None)
    local.value = request.GET["value"]
    request.websocket.send_json(seen)
    for _ in request.websocket:
        request.websocket.send_json(local.value)


@require_websocket
def parked(request: SocketRequest) -> None:
    """Notes how its accept fails. The clean-up blocks, and uses the database."""
    try:
        request.websocket.accept()
    except ConnectionClosed as error:
        journal.append(f"{type(error).__name__} {error.code}")
        for use in (request.websocket.wait, request.websocket.accept, lambda: request.websocket.send("too late")):
            try:
                use()
            except HandshakeAborted:
                journal.append("still aborted")
        request.websocket.close()
        assert request.websocket.closed
        raise
    finally:
        time.sleep(0.001)
        request.session.exists("nobody")
        journal.append("cleaned up")


@require_websocket
def raises_before(request: SocketRequest) -> None:
    time.sleep(0.001)
    raise ValueError("on purpose, before the accept")


@require_websocket
def raises_after(request: SocketRequest) -> None:
    request.websocket.send("accepted")
    time.sleep(0.001)
    raise ValueError("on purpose, after the accept")


@require_websocket
def exits(request: SocketRequest) -> None:
    request.websocket.accept()
    raise SystemExit(1)


@require_websocket
def closed_leaves(request: SocketRequest) -> None:
    """ConnectionClosed leaves the view."""
    while request.websocket.wait() is not None:
        pass
    request.websocket.send("to nobody")


@require_websocket
def returns_none(request: SocketRequest) -> None:
    """Never touches the socket."""
    time.sleep(0.001)


@accept_websocket
def returns_response(request: SocketRequest) -> HttpResponse:
    return HttpResponse("no websocket today", status=403)


@accept_websocket
def response_after_accept(request: SocketRequest) -> HttpResponse:
    request.websocket.send("hello")
    return HttpResponse("never seen")


@require_websocket
def closes_first(request: SocketRequest) -> None:
    request.websocket.close(4001, "not today")


@require_websocket
def accept_with(request: SocketRequest) -> None:
    """``?subprotocol=``, ``?header=``, ``?value=`` are what accept() is called with."""
    headers = {request.GET["header"]: request.GET["value"]} if "header" in request.GET else None
    try:
        request.websocket.accept(request.GET.get("subprotocol"), headers)
    except ValueError as error:
        journal.append(str(error))
        request.websocket.accept()
    request.websocket.send(str(request.websocket.subprotocol))


@require_websocket
def accept_twice(request: SocketRequest) -> None:
    request.websocket.accept()
    try:
        request.websocket.accept()
    except RuntimeError:
        request.websocket.send("refused")


@require_websocket
def foreign_accept(request: SocketRequest) -> HttpResponse:
    """Another greenlet than the view's tries to accept."""

    def accept() -> str:
        try:
            request.websocket.send("hello")
        except RuntimeError as error:
            return str(error)
        return "accepted"

    return HttpResponse(eventlet.spawn(accept).wait())


@require_websocket
def wrong_close(request: SocketRequest) -> HttpResponse:
    try:
        request.websocket.close(1005, "may not be sent")
    except ValueError:
        return HttpResponse("still unaccepted")
    return HttpResponse("closed")


waiting: dict[str, Any] = {}


@require_websocket
def killable(request: SocketRequest) -> None:
    """Waits for ever, before its accept or after it, until :func:`kill` ends its greenlet."""
    if "accepted" in request.GET:
        request.websocket.accept()
    waiting["view"] = greenlet.getcurrent()
    journal.append("waiting")
    try:
        eventlet.Event().wait()
    finally:
        journal.append("cleaned up")


def kill(request: HttpRequest) -> HttpResponse:
    eventlet.kill(waiting.pop("view"))
    return HttpResponse("killed")


@require_websocket
def late(request: SocketRequest) -> None:
    """Accepts when it is told to."""
    journal.append("waiting")
    event(request.GET["until"]).wait()
    try:
        message = request.websocket.wait()
        journal.append(f"got {message!r}")
    except HandshakeAborted:
        journal.append("aborted")
    finally:
        journal.append("ended")


@require_websocket
def gives_up(request: SocketRequest) -> None:
    """Waits for its accept no longer than it is told, and may sleep over it."""
    try:
        with eventlet.Timeout(float(request.GET["patience"])):
            request.websocket.accept()
    except eventlet.Timeout:
        journal.append("gave up")
        if "sleep" in request.GET:
            time.sleep(3600)
        raise
    finally:
        journal.append("ended")


class FrozenRequest(WSGIRequest):
    """A request whose user can't be replaced."""

    @property
    def user(self) -> Any:  # type: ignore[override]  # on purpose
        return AnonymousUser()


@require_websocket
def freezes_request(request: SocketRequest) -> None:
    """Its request can't be cleaned up at its end."""
    request.websocket.wait()
    request.__class__ = FrozenRequest  # type: ignore[assignment]  # a WSGIRequest it is


VIEWS = (
    "accept_twice",
    "accept_with",
    "closed_leaves",
    "closes_first",
    "exits",
    "gives_up",
    "foreign_accept",
    "freezes_request",
    "kill",
    "killable",
    "late",
    "login_inside",
    "login_outside",
    "login_required_page",
    "order",
    "parked",
    "raises_after",
    "raises_before",
    "response_after_accept",
    "redirects",
    "returns_none",
    "returns_response",
    "session",
    "surroundings",
    "thread_locals",
    "visits",
    "wrong_close",
)
