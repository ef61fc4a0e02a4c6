"""Views for tests of database connections and transactions."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpRequest, HttpResponse

from django_websocket import HandshakeAborted, accept_websocket, require_websocket

from ..journal import journal
from .common import SocketRequest


def _create(request: HttpRequest) -> None:
    Group.objects.create(name=request.GET["name"])


@require_websocket
def before_the_accept(request: SocketRequest) -> None:
    _create(request)
    before = _state(request)
    request.websocket.accept()
    request.websocket.send_json({"before": before, "after": _state(request)})
    request.websocket.wait()


def _state(request: Any) -> dict[str, bool]:
    """Whose connection the view uses, and whether a transaction is open on it."""
    return {
        "the request's": connections["default"] is getattr(request, "outer_connection", None),
        "in a transaction": connection.in_atomic_block,
    }


@require_websocket
def raises_before(request: SocketRequest) -> None:
    _create(request)
    raise ValueError("on purpose, before the accept")


@accept_websocket
def responds(request: SocketRequest) -> HttpResponse:
    """No websocket after all; the transaction is that of any request."""
    _create(request)
    return HttpResponse("created")


@require_websocket
def commits_on_accept(request: SocketRequest) -> None:
    transaction.on_commit(lambda: journal.append("committed"))
    request.websocket.accept()
    journal.append("accepted")


@require_websocket
def accepts_within(request: SocketRequest) -> None:
    """Accepts inside an atomic block of its own, which it leaves as the client says."""
    try:
        with transaction.atomic():
            _create(request)
            request.websocket.accept()
            request.websocket.send_json(_state(request))
            if request.websocket.wait() == "roll back":
                transaction.set_rollback(True)
        request.websocket.send("left")
    except TransactionManagementError:
        journal.append("refused")
        raise
    except HandshakeAborted:
        journal.append("aborted")
        raise


@require_websocket
def refused_within(request: SocketRequest) -> None:
    """Catches the error of an accept inside an atomic block, and accepts outside of it."""
    with transaction.atomic():
        _create(request)
        try:
            request.websocket.accept()
        except TransactionManagementError:
            journal.append("refused")
    request.websocket.accept()


@require_websocket
def waits(request: SocketRequest) -> None:
    """Opens a connection of its own for each message and tells whether it was there before."""
    for message in request.websocket:
        was_open = connection.connection is not None
        if message == "query":
            Group.objects.count()
        elif message == "in a transaction":
            with transaction.atomic():
                Group.objects.count()
                request.websocket.send(f"was open: {was_open}")
                request.websocket.wait()
                was_open = connection.connection is not None
        elif message == "in its own transaction":
            connection.set_autocommit(False)
            Group.objects.count()
            request.websocket.send(f"was open: {was_open}")
            request.websocket.wait()
            was_open = connection.connection is not None
            connection.rollback()
            connection.set_autocommit(True)
        request.websocket.send(f"was open: {was_open}")


@require_websocket
def before_and_after(request: SocketRequest) -> None:
    """Uses a connection before the accept, which is the request's, and one of its own."""
    Group.objects.count()
    request.websocket.accept()
    Group.objects.count()
    request.websocket.send("used two")
    request.websocket.wait()


@require_websocket
def sleeps(request: SocketRequest) -> None:
    """Holds a connection without waiting for the client."""
    request.websocket.accept()
    Group.objects.count()
    request.websocket.send("holds one")
    while not request.websocket.closed:
        request.websocket.read()
        time.sleep(0.01)


def unmarked(view: Any) -> Any:
    """A decorator that takes a view's attributes away."""

    def wrapper(request: HttpRequest) -> Any:
        with transaction.atomic():
            pass
        return view(request)

    return wrapper


nested_within = unmarked(accepts_within)
nested_before = unmarked(before_the_accept)


def nested_before_and_after(request: SocketRequest) -> Any:
    return before_and_after(request)


nested_before_and_after.accept_websocket = True  # type: ignore[attr-defined]  # as a project does it
nested_within.accept_websocket = True
nested_before.accept_websocket = True


def by_attribute(request: SocketRequest) -> None:
    _create(request)
    before = _state(request)
    request.websocket.accept()
    request.websocket.send_json({"before": before, "after": _state(request)})
    request.websocket.wait()


@require_websocket
def cannot_be_closed(request: SocketRequest) -> None:
    """Its connection fails when it is closed."""
    request.websocket.accept()
    Group.objects.exists()
    request.websocket.wait()
    one = connections["default"]
    close = one.close

    def fail() -> None:
        close()
        raise OSError("on purpose")

    one.close = fail  # type: ignore[method-assign]  # of this connection alone


@transaction.non_atomic_requests
def not_atomic(request: SocketRequest) -> None:
    by_attribute(request)


by_attribute.accept_websocket = True  # type: ignore[attr-defined]  # as a project does it
not_atomic.accept_websocket = True  # type: ignore[attr-defined]


VIEWS = (
    "accepts_within",
    "before_and_after",
    "before_the_accept",
    "by_attribute",
    "cannot_be_closed",
    "commits_on_accept",
    "nested_before",
    "nested_before_and_after",
    "nested_within",
    "not_atomic",
    "raises_before",
    "refused_within",
    "responds",
    "sleeps",
    "waits",
)
