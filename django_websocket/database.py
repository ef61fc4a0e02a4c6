"""Database connections of websocket views.

``django.db.connections`` is thread-local, hence greenlet-local on a patched server, and a view has a greenlet of its
own. Until it accepts it is still part of its request, so it borrows the request's connections: a query before the
accept is in the transaction of ATOMIC_REQUESTS and commits or rolls back with it. From the accept on the view opens its
own, which are given back when one wait lasts ``WEBSOCKET_RELEASE_DB_AFTER`` seconds, and when the view ends.
"""

from __future__ import annotations

import _thread
from typing import Any
from weakref import WeakSet

import greenlet
from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError

from .websocket import WebSocket

__all__ = ["ConnectionLoan", "close_opened", "release_connections"]

_loans: dict[int, ConnectionLoan] = {}
"""The loans of the greenlets that run views, by what Django tells threads apart with."""

_openers: WeakSet[greenlet.greenlet] = WeakSet()
"""The greenlets that have opened database connections. Asking Django's thread-locals instead would make an entry there
for each greenlet that runs, which takes longer than most of what a handshake does."""


def _depth(connection: BaseDatabaseWrapper) -> int:
    return len(connection.atomic_blocks)


class ConnectionLoan:
    """The connections of a request, lent to its view's greenlet; those that the view opens become the request's.

    Made and collected in the request's greenlet; the rest is called in the view's. Where both are one thread to Django
    (no monkey patching, as in tests) there is nothing to lend.
    """

    __slots__ = ("_has_opened", "_kept", "_lent", "_opened", "_owner", "_taken", "_websocket")

    def __init__(self) -> None:
        self._owner = _thread.get_ident()
        self._lent: dict[str, tuple[BaseDatabaseWrapper, int]] = {
            connection.alias: (connection, _depth(connection)) for connection in connections.all(initialized_only=True)
        }
        if self._lent:
            _openers.add(greenlet.getcurrent())  # it is to close what the view may connect
        self._taken = False
        self._has_opened = False
        self._opened: tuple[BaseDatabaseWrapper, ...] = ()
        self._kept: tuple[str, ...] = ()
        self._websocket: WebSocket | None = None

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
        _loans[_thread.get_ident()] = self

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
        if not accepting:
            del _loans[_thread.get_ident()]
        if self._lent or self._has_opened:
            self._give_back(accepting)

    def _give_back(self, accepting: bool) -> None:
        here = connections.all(initialized_only=True)
        self._has_opened = False
        for connection in here:
            if connection.alias in self._lent:
                continue
            if accepting and connection.in_atomic_block:
                self._has_opened = True
                continue
            connection.inc_thread_sharing()
            del connections[connection.alias]
            self._opened += (connection,)
        for alias, (connection, depth) in self._lent.items():
            if (accepting and _depth(connection) > depth) or connection not in here:
                # The latter was kept by a view that ran within this one, in a greenlet of its own.
                self._kept += (alias,)
                self._has_opened = True
                continue
            connection.dec_thread_sharing()
            del connections[alias]
        self._lent.clear()

    def collect(self) -> None:
        """In the request's greenlet: take over what the view has opened, and let go of what it has kept."""
        for alias in self._kept:
            del connections[alias]
        outer = _loans.get(_thread.get_ident())  # where the request's greenlet is itself that of a view
        for connection in self._opened:
            connections[connection.alias] = connection
            _openers.add(greenlet.getcurrent())
            if outer is not None:
                outer.opened(connection)
        self._kept = self._opened = ()

    def accepted(self, websocket: WebSocket) -> None:
        """In the view's greenlet: its connections are its own from now on, those that it has kept too."""
        if not self.is_separate:
            return
        self._websocket = websocket
        _loans[_thread.get_ident()] = self
        if self._has_opened:
            for connection in connections.all(initialized_only=True):
                self.opened(connection)

    def opened(self, connection: BaseDatabaseWrapper) -> None:
        """In the view's greenlet: it has opened ``connection``, which is given back when it waits for long."""
        self._has_opened = True
        if self._websocket is not None:
            self._websocket.release_database = self._release_idle
            if _closing_when_lost not in connection.execute_wrappers:
                connection.execute_wrappers.append(_closing_when_lost)

    def _release_idle(self) -> None:
        """What an open websocket does about its connections when one wait has lasted for long."""
        release_connections()
        if self._websocket is not None and any(map(_in_transaction, connections.all(initialized_only=True))):
            self._websocket.release_database = self._release_idle  # it is asked again in the next wait

    def end(self) -> None:
        """In the view's greenlet: it has ended."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.release_database = None  # which refers to this
        if _loans.pop(_thread.get_ident(), None) is not None and self._has_opened:
            release_connections(final=True)


def release_connections(*, final: bool = False) -> None:
    """Close the connections of this greenlet, or give them back to their pool.

    Those inside a transaction stay, unless it is the ``final`` call at the end of a view.
    """
    for connection in connections.all(initialized_only=True):
        if final or not _in_transaction(connection):
            connection.close()


def close_opened() -> None:
    """Close the connections that this greenlet has opened, as at its end."""
    if greenlet.getcurrent() in _openers:
        connections.close_all()


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether closing the connection now would take a transaction away from the view, be it atomic() or its own."""
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def _connection_opened(connection: Any, **kwargs: Any) -> None:
    _openers.add(greenlet.getcurrent())
    loan = _loans.get(_thread.get_ident())
    if loan is not None:
        loan.opened(connection)


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


connection_created.connect(_connection_opened, dispatch_uid="django_websocket.database")
