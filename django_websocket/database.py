"""Database connections of websocket views.

``django.db.connections`` is thread-local, hence greenlet-local on a patched server, and a view has a greenlet of its
own. Until it accepts it is still part of its request, so it borrows the request's connections: a query before the
accept is in the transaction of ATOMIC_REQUESTS and commits or rolls back with it. From the accept on the view opens its
own, which are given back when one wait lasts ``WEBSOCKET_RELEASE_DB_AFTER`` seconds, and when the view ends.
"""

from __future__ import annotations

import _thread
from contextvars import ContextVar
from typing import Any

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError

from .websocket import WebSocket

__all__ = ["ConnectionLoan", "adopt_kept", "current_websocket", "release_connections"]

#: The open websocket whose view runs in this context, where the view has database connections of its own.
current_websocket: ContextVar[WebSocket | None] = ContextVar("django_websocket.current_websocket", default=None)


def _depth(connection: BaseDatabaseWrapper) -> int:
    return len(connection.atomic_blocks)


class ConnectionLoan:
    """The connections of a request, lent to its view's greenlet; those that the view opens become the request's.

    Made and settled in the request's greenlet; taken and given back in the view's. Where both are one thread to Django
    (no monkey patching, as in tests) there is nothing to lend.
    """

    __slots__ = ("_kept", "_lent", "_opened", "_owner", "_taken", "kept_any")

    def __init__(self) -> None:
        self._owner = _thread.get_ident()
        self._lent: dict[str, tuple[BaseDatabaseWrapper, int]] = {
            connection.alias: (connection, _depth(connection)) for connection in connections.all(initialized_only=True)
        }
        self._opened: list[BaseDatabaseWrapper] = []
        self._taken = False
        self._kept: list[str] = []
        self.kept_any = False
        """Whether the view has kept a connection at its accept."""

    @property
    def is_separate(self) -> bool:
        """Whether the caller's greenlet has database connections of its own."""
        return _thread.get_ident() != self._owner

    def take(self) -> None:
        """In the view's greenlet: use the request's connections."""
        if not self.is_separate:
            return
        for alias, (connection, _) in self._lent.items():
            connection.inc_thread_sharing()
            connections[alias] = connection
        self._taken = True

    def give_back(self, *, accepting: bool = False) -> None:
        """In the view's greenlet: the request's connections are the request's again.

        A connection on which the view itself has opened an atomic block stays with the view when it accepts. If the
        request has one around that (ATOMIC_REQUESTS), the two can't be told apart: TransactionManagementError.
        """
        if not self._taken:
            return
        if accepting:
            for alias, (connection, depth) in self._lent.items():
                if depth and _depth(connection) > depth:
                    raise TransactionManagementError(
                        f"the websocket is accepted inside an atomic block on {alias!r}, which is inside that of its "
                        "request (ATOMIC_REQUESTS): leave the inner block first, or call accept() before it"
                    )
        self._taken = False
        here = connections.all(initialized_only=True)
        for connection in here:
            if connection.alias in self._lent:
                continue
            if accepting and connection.in_atomic_block:
                self.kept_any = True
                continue
            connection.inc_thread_sharing()
            del connections[connection.alias]
            self._opened.append(connection)
        for alias, (connection, depth) in self._lent.items():
            if (accepting and _depth(connection) > depth) or connection not in here:
                # The latter was kept by a view that ran within this one, in a greenlet of its own.
                self._kept.append(alias)
                continue
            connection.dec_thread_sharing()
            del connections[alias]
        self._lent.clear()
        self.kept_any = self.kept_any or bool(self._kept)

    def settle(self) -> None:
        """In the request's greenlet: take over what the view has opened, and let go of what it has kept."""
        for alias in self._kept:
            del connections[alias]
        for connection in self._opened:
            connections[connection.alias] = connection
        self._kept, self._opened = [], []


def release_connections(*, final: bool = False) -> None:
    """Close the connections of this greenlet, or give them back to their pool.

    Those inside a transaction stay, unless it is the ``final`` call at the end of a view.
    """
    for connection in connections.all(initialized_only=True):
        if final or not _in_transaction(connection):
            connection.close()


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether closing the connection now would take a transaction away from the view, be it atomic() or its own."""
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def adopt_kept() -> None:
    """Treat the connections that the view has kept at its accept as those that it opens later."""
    for connection in connections.all(initialized_only=True):
        _connection_opened(connection)


def _connection_opened(connection: Any, **kwargs: Any) -> None:
    """Have the view give the connection back when it waits for long."""
    websocket = current_websocket.get()
    if websocket is not None:
        websocket.on_idle = release_idle
        if _closing_when_lost not in connection.execute_wrappers:
            connection.execute_wrappers.append(_closing_when_lost)


def _closing_when_lost(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Close a connection on which a query has found that the database is lost, so that the next one connects anew.

    Django looks after that at the end of a request; a websocket view may go on for days.
    """
    try:
        return execute(sql, params, many, context)
    except (InterfaceError, OperationalError):
        connection = context["connection"]
        if connection.autocommit and not connection.is_usable():
            connection.close()
        raise


def release_idle() -> None:
    """What an open websocket does about its connections when one wait has lasted for long."""
    release_connections()
    websocket = current_websocket.get()
    if websocket is not None and any(map(_in_transaction, connections.all(initialized_only=True))):
        websocket.on_idle = release_idle  # it is asked again in the next wait


connection_created.connect(_connection_opened, dispatch_uid="django_websocket.database")
