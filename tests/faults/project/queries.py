"""Views that use the database."""

from __future__ import annotations

import time

from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse

from django_websocket import require_websocket
from django_websocket.request import WebSocketRequest

from .state import told

__all__ = ["early_query", "in_atomic", "plain_query", "queries", "query_loop", "sleeping"]


def ask(sql: str = "SELECT 1") -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
        return None if row is None else row[0]


def plain_query(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(ask()))


@require_websocket
def queries(request: WebSocketRequest) -> None:
    """Runs each message as a query."""
    websocket = request.websocket
    assert websocket is not None
    for message in websocket:
        websocket.send(str(ask(str(message))))


@require_websocket
def early_query(request: WebSocketRequest) -> None:
    """The query comes before the accept."""
    assert request.websocket is not None
    ask()
    request.websocket.send("accepted")


@require_websocket
def query_loop(request: WebSocketRequest) -> None:
    """Answers each message by a query's result, or by the name of the exception that it raised."""
    websocket = request.websocket
    assert websocket is not None
    if "kept" in request.GET:
        # The connection is the view's own from before the accept.
        with transaction.atomic():
            ask()
            websocket.accept()
    for message in websocket:
        try:
            websocket.send(str(ask(str(message))))
        except DatabaseError as error:
            told.append(f"query_loop: {type(error).__name__}")
            websocket.send(type(error).__name__)


@require_websocket
def in_atomic(request: WebSocketRequest) -> None:
    """Waits within a transaction; sends its backend's process id before and after."""
    websocket = request.websocket
    assert websocket is not None
    websocket.accept()
    with transaction.atomic():
        websocket.send(f"{ask('SELECT pg_backend_pid()')} {ask('SELECT txid_current()')}")
        websocket.wait()
        websocket.send(f"{ask('SELECT pg_backend_pid()')} {ask('SELECT txid_current()')}")
    websocket.wait()


@require_websocket
def sleeping(request: WebSocketRequest) -> None:
    """A query that takes ``?seconds``; sends how long it took."""
    websocket = request.websocket
    assert websocket is not None
    websocket.accept()
    start = time.monotonic()
    ask(f"SELECT pg_sleep({float(request.GET['seconds'])})")
    websocket.send(f"{time.monotonic() - start:.3f}")
    websocket.wait()
